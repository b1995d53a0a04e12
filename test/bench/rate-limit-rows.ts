import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePorts } from '../support/ports.ts';
import { eventually, startProgram } from '../support/programs.ts';
import { createRateLimitClient, SHOULD_RATE_LIMIT } from '../support/rate-limit-client.ts';
import { descriptorOf, encodeRateLimitRequest } from '../support/rate-limit-proto.ts';
import { startService, toServiceConfig } from '../support/service.ts';
import { requireTool } from '../support/tools.ts';
import type { ValkeyServer } from '../support/valkey.ts';
import { GRPC_HEADERS } from './calls.ts';
import { toGrpcFrame } from './check-message.ts';
import { CONCURRENCY, measureLoad, type Row, type RowTools } from './row.ts';
import { type Measured, writeBytes } from './servers.ts';
import { launchService } from './service-flags.ts';
import { quotaOnRedis, startedValkey } from './valkey.ts';

export type RateLimitRowName = 'rls_sallyport' | 'rls_envoy_ratelimit';

/** One file for both services. */
const LIMITS = `domain: edge
descriptors:
  - key: tenant
    rate_limit: {unit: hour, requests_per_unit: 4000000000}
  - key: path
    rate_limit: {unit: hour, requests_per_unit: 4000000000}
`;

const REQUESTS = 1000;
const PATHS = 50;
const HEADERS = GRPC_HEADERS.map(([name, value]) => [name, name === ':path' ? SHOULD_RATE_LIMIT : value] as const);

/** Envoy's rate limit service with two descriptors, none over its limit: ours and envoyproxy/ratelimit, on one Valkey. */
export function createRateLimitRows(tools: RowTools): Readonly<Record<RateLimitRowName, () => Promise<Row>>> {
  const { folder, load, count, started } = tools;
  const limits = join(folder, 'ratelimit/config/limits.yaml');
  let common: Promise<{ readonly valkey: ValkeyServer; readonly bodiesFile: string }> | undefined;
  const prepared = () => {
    common ??= startedValkey(tools).then(async (valkey) => {
      await mkdir(join(folder, 'ratelimit/config'), { recursive: true });
      await writeFile(limits, LIMITS);
      return { valkey, bodiesFile: await writeBytes(folder, 'rate-limits', requests()) };
    });
    return common;
  };

  function row(server: Measured, valkey: ValkeyServer, bodiesFile: string): Row {
    const calls = count(20_000);
    return {
      measure: () =>
        measureLoad(
          load,
          { pid: server.pid, redisPid: valkey.program().pid },
          {
            kind: 'http2',
            port: server.port('ratelimit'),
            headers: HEADERS,
            bodiesFile,
            count: calls,
            concurrency: CONCURRENCY,
            wanted: 'within_limit',
          },
        ),
    };
  }

  return {
    rls_sallyport: async () => {
      const { valkey, bodiesFile } = await prepared();
      return row(await started(startOurs(valkey, limits)), valkey, bodiesFile);
    },
    rls_envoy_ratelimit: async () => {
      const { valkey, bodiesFile } = await prepared();
      return row(await started(startTheirs(valkey, folder)), valkey, bodiesFile);
    },
  };
}

function requests(): readonly Buffer[] {
  return Array.from({ length: REQUESTS }, (_, number) => {
    const descriptors = [
      descriptorOf('tenant', `tenant-${number}`),
      descriptorOf('path', `/v1/model-${number % PATHS}/infer`),
    ];
    return toGrpcFrame(encodeRateLimitRequest({ domain: 'edge', descriptors }));
  });
}

async function startOurs({ url }: ValkeyServer, limitsFile: string): Promise<Measured> {
  const config = await toServiceConfig();
  const service = await startService({
    config: {
      ...config,
      doors: {
        ratelimit: {
          listen: '127.0.0.1:0',
          trusted_loopback: true,
          limits_files: [limitsFile],
          domains_from_bundle: false,
        },
      },
      quota: quotaOnRedis(url),
    },
    launch: (file) => launchService(file),
  });
  return { pid: service.program.pid, port: (door) => service.port(door), stop: () => service.stop() };
}

/** On one core, as the checks of one Sallyport process are. */
async function startTheirs(valkey: ValkeyServer, folder: string): Promise<Measured> {
  const [grpcPort = 0, httpPort = 0, debugPort = 0] = await freePorts(3);
  const program = startProgram(requireTool('ratelimit'), [], {
    env: {
      GOMAXPROCS: '1',
      REDIS_SOCKET_TYPE: 'tcp',
      REDIS_URL: `127.0.0.1:${valkey.port}`,
      USE_STATSD: 'false',
      RUNTIME_ROOT: folder,
      RUNTIME_SUBDIRECTORY: 'ratelimit',
      RUNTIME_WATCH_ROOT: 'false',
      HOST: '127.0.0.1',
      PORT: String(httpPort),
      GRPC_HOST: '127.0.0.1',
      GRPC_PORT: String(grpcPort),
      DEBUG_HOST: '127.0.0.1',
      DEBUG_PORT: String(debugPort),
      LOG_LEVEL: 'error',
    },
  });
  const client = createRateLimitClient(`127.0.0.1:${grpcPort}`);
  const probe = encodeRateLimitRequest({ domain: 'none', descriptors: [descriptorOf('k', 'v')] });
  try {
    await eventually(() => client.ask(probe, { deadline: Date.now() + 1_000 }), 30_000);
  } catch (error) {
    await program.stop();
    throw error;
  } finally {
    client.close();
  }
  return { pid: program.pid, port: () => grpcPort, stop: () => program.stop() };
}
