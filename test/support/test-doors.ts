import type { Authorize } from '../../src/decision/ports.ts';
import type { ListenAddress } from '../../src/listener/address.ts';
import { createExtAuthzGrpcDoor } from '../../src/protocols/ext-authz-grpc/server.ts';
import { createExtAuthzHttpDoor } from '../../src/protocols/ext-authz-http/server.ts';
import { HTTP_UPSTREAM_HEADERS } from './envoy-config.ts';
import { startSystemTimer, systemClock } from './system-ports.ts';

/** Both real doors in this process, in front of a decision that the test makes. */
export interface TestDoors {
  readonly grpcPort: number;
  readonly httpPort: number;
  /** Bugs that the doors met; a test that expects none asserts that it is empty. */
  readonly faults: readonly unknown[];
  stop(): Promise<void>;
}

export interface TestDoorsOptions {
  /** Of each door; default 1,000. */
  readonly maxInFlight?: number;
}

export async function startTestDoors(
  authorize: Authorize,
  { maxInFlight = 1_000 }: TestDoorsOptions = {},
): Promise<TestDoors> {
  const faults: unknown[] = [];
  const ports = {
    authorize,
    clock: systemClock,
    startTimer: startSystemTimer,
    graceMs: 500,
  };
  const listening = { listen: '127.0.0.1:0', trusted_loopback: true, max_in_flight: maxInFlight };
  const logger = {
    info: () => undefined,
    warn: (entry: object, text?: string) => {
      faults.push({ ...entry, text });
    },
    limited: (key: string, _level: string, entry: object) => {
      faults.push({ key, ...entry });
    },
  };
  const grpc = createExtAuthzGrpcDoor({ ...ports, logger, config: { ...listening, max_message_bytes: 4 * 2 ** 20 } });
  const http = createExtAuthzHttpDoor({
    ...ports,
    onFault: (cause) => {
      faults.push(cause);
    },
    config: {
      ...listening,
      path_prefix: '/ext-authz/',
      upstream_headers: HTTP_UPSTREAM_HEADERS,
      deadline_ms: 2_000,
      max_body_bytes: 4 * 2 ** 20,
    },
  });
  const [grpcStarted, httpStarted] = await Promise.all([grpc.start(), http.start()]);
  return {
    grpcPort: portOf(grpcStarted.address),
    httpPort: portOf(httpStarted.address),
    faults,
    stop: async () => {
      await Promise.all([grpc.stop(), http.stop()]);
    },
  };
}

function portOf(address: ListenAddress): number {
  if (address.kind !== 'tcp') throw new Error('a test door listens on TCP');
  return address.port;
}
