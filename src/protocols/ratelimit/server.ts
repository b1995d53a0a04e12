import type { StartTimer } from '../../decision/ports.ts';
import { createGrpcServer, type GrpcServer } from '../../listener/grpc-server.ts';
import { serveUnary } from '../../listener/unary-method.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { RateLimitConfig } from './config.ts';
import type { Limit } from './rate-limit.ts';
import { createRateLimitMethod, DOOR, type RateLimitOutcome, SHOULD_RATE_LIMIT_PATH } from './rate-limit-service.ts';

export interface RateLimitDoorPorts {
  readonly limit: Limit;
  readonly config: RateLimitConfig;
  readonly startTimer: StartTimer;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'limited'>;
  /** Told of every answer; of one that came after the call's deadline too. */
  readonly count: (outcome: RateLimitOutcome) => void;
  /** How long calls under way may still finish at `stop`, in milliseconds. */
  readonly graceMs: number;
  /** How often the certificate files are looked at, in milliseconds. */
  readonly tlsPollMs?: number;
}

/** Envoy's rate limit service over gRPC, and grpc.health.v1 beside it; nothing else is served on its listener. */
export type RateLimitDoor = GrpcServer;

/** The share of the caller's time after which the answer is what `on_error` says. */
const ANSWERED_AT = 0.8;

export function createRateLimitDoor({ limit, count, ...parts }: RateLimitDoorPorts): RateLimitDoor {
  const { config, logger } = parts;
  const method = createRateLimitMethod({ limit, config, logger, count });
  return createGrpcServer({
    ...parts,
    answeredAt: ANSWERED_AT,
    door: DOOR,
    methods: new Map([[SHOULD_RATE_LIMIT_PATH, serveUnary(method)]]),
  });
}
