import type { Authorize, StartTimer } from '../../decision/ports.ts';
import { createGrpcServer, type GrpcServer } from '../../listener/grpc-server.ts';
import { serveUnary } from '../../listener/unary-method.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { CHECK_PATH, createCheckMethod } from './check-service.ts';
import type { ExtAuthzGrpcConfig } from './config.ts';
import { DOOR } from './to-access-request.ts';

export interface ExtAuthzGrpcDoorPorts {
  readonly authorize: Authorize;
  readonly config: ExtAuthzGrpcConfig;
  readonly startTimer: StartTimer;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'limited'>;
  /** How long checks under way may still finish at `stop`, in milliseconds. */
  readonly graceMs: number;
  /** How often the certificate files are looked at, in milliseconds. */
  readonly tlsPollMs?: number;
}

/** Envoy's ext_authz over gRPC, and grpc.health.v1 beside it; nothing else is served on its listener. */
export type ExtAuthzGrpcDoor = GrpcServer;

export function createExtAuthzGrpcDoor({ authorize, ...parts }: ExtAuthzGrpcDoorPorts): ExtAuthzGrpcDoor {
  const methods = new Map([[CHECK_PATH, serveUnary(createCheckMethod(authorize))]]);
  return createGrpcServer({ ...parts, door: DOOR, methods });
}
