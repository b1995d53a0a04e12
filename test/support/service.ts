import { createHash } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { HTTP_UPSTREAM_HEADERS } from './envoy-config.ts';
import { ask } from './http-client.ts';
import { eventually, type Program, startProgram } from './programs.ts';
import type { TestIssuer } from './tokens.ts';
import { ROOT } from './tools.ts';
import { unthrottledBundle } from './unthrottled-bundle.ts';

/** The service as its users run it: a process of its own that reads a config file. */
export interface Service {
  readonly program: Program;
  /** Port of `ext_authz_grpc`, `ext_authz_http` or `operations`. */
  port(door: string): number;
  /** The text of `/metrics`. */
  metrics(): Promise<string>;
  stop(): Promise<void>;
}

export interface ServiceOptions {
  /** The whole config; {@link toServiceConfig} makes the usual one. */
  readonly config: unknown;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default true: resolves once `/health/ready` answers 200. */
  readonly waitUntilReady?: boolean;
  /** How to start it on a config file; default: `node src/main.ts serve --config FILE`. */
  readonly launch?: (configFile: string) => readonly [command: string, ...args: string[]];
}

export async function startService(options: ServiceOptions): Promise<Service> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-service-'));
  const file = join(folder, 'sallyport.yaml');
  await writeFile(file, stringify(options.config));
  // Whoever the service runs as must be able to read it.
  await chmod(folder, 0o755);
  const [command, ...args] = (options.launch ?? fromSource)(file);
  const program = startProgram(command, args, { env: { NODE_ENV: undefined, ...options.env } });
  const stop = async (): Promise<void> => {
    await program.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await program.waitForLine((line) => parseListening(line)?.door === 'operations');
    const ports = (): ReadonlyMap<string, number> =>
      new Map(
        program.lines().flatMap((line) => {
          const listening = parseListening(line);
          return listening === undefined ? [] : [[listening.door, listening.port] as const];
        }),
      );
    const port = (door: string): number => {
      const found = ports().get(door);
      if (found === undefined) throw new Error(`the service did not say where \`${door}\` listens`);
      return found;
    };
    if (options.waitUntilReady !== false) {
      await eventually(async () =>
        (await ask(port('operations'), { path: '/health/ready' })).status === 200 ? true : undefined,
      );
    }
    return {
      program,
      port,
      metrics: async () => (await ask(port('operations'), { path: '/metrics' })).body,
      stop,
    };
  } catch (error) {
    await stop();
    throw new Error(`the service did not start; its output:\n${program.output()}`, { cause: error });
  }
}

function fromSource(configFile: string): readonly [string, ...string[]] {
  return [process.execPath, join(ROOT, 'src/main.ts'), 'serve', '--config', configFile];
}

export interface ServiceConfigOptions {
  readonly issuer?: TestIssuer;
  /** Where {@link TestIssuer.writeJwks} wrote the set. */
  readonly jwksFile?: string;
  /** Default: the checked-in bundle without its limits. */
  readonly bundleFile?: string;
  readonly decisions?: Readonly<Record<string, unknown>>;
  readonly drainDelayMs?: number;
  readonly deadlineMs?: number;
  readonly trustedHops?: number;
  /** Fixed ports, for an instance that comes back where it was; default: any free ones. */
  readonly ports?: { readonly grpc: number; readonly http: number; readonly operations: number };
  /** File for decision events; default: stdout. */
  readonly eventsFile?: string;
}

/** All doors on ephemeral loopback ports, a bundle pinned by its digest, one issuer with a key-set file. */
export async function toServiceConfig(options: ServiceConfigOptions = {}): Promise<Record<string, unknown>> {
  const { issuer, jwksFile, deadlineMs = 1_500, drainDelayMs = 200, ports = ANY_PORTS } = options;
  const bundleFile = options.bundleFile ?? unthrottledBundle();
  const sha256 = createHash('sha256')
    .update(await readFile(bundleFile))
    .digest('hex');
  return {
    doors: {
      ext_authz_grpc: { listen: `127.0.0.1:${ports.grpc}`, trusted_loopback: true },
      ext_authz_http: {
        listen: `127.0.0.1:${ports.http}`,
        trusted_loopback: true,
        deadline_ms: deadlineMs,
        upstream_headers: HTTP_UPSTREAM_HEADERS,
      },
    },
    operations: { listen: `127.0.0.1:${ports.operations}`, drain_delay_ms: drainDelayMs },
    bundles: { authz: { file: bundleFile, trust: { sha256 } } },
    // Tests and benchmarks are refused thousands of times from one address, and want to know for what.
    quota: { refusals: { limit: 1_000_000_000 } },
    ...(issuer === undefined || jwksFile === undefined
      ? {}
      : {
          identity: {
            jwt: {
              issuers: [
                {
                  issuer: issuer.issuer,
                  audiences: [issuer.audience],
                  jwks: { file: jwksFile },
                  algorithms: [issuer.algorithm],
                  claims: { tenant: 'tenant', roles: 'roles', tier: 'tier' },
                },
              ],
            },
          },
        }),
    ...(options.trustedHops === undefined ? {} : { network: { trusted_hops: options.trustedHops } }),
    decision_log: {
      sinks: [options.eventsFile === undefined ? { stdout: {} } : { file: { path: options.eventsFile } }],
      // Each denial is to be its own event, however many there are.
      aggregate: { above_per_second: 1_000_000 },
    },
    ...(options.decisions === undefined ? {} : { policy: { decisions: options.decisions } }),
  };
}

const ANY_PORTS = { grpc: 0, http: 0, operations: 0 };

function parseListening(line: string): { readonly door: string; readonly port: number } | undefined {
  if (!line.startsWith('{') || !line.includes('"listening"')) return undefined;
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== 'object' || entry === null) return undefined;
    const { message, door, address } = entry as { message?: unknown; door?: unknown; address?: unknown };
    if (message !== 'listening' || typeof door !== 'string' || typeof address !== 'string') return undefined;
    const port = Number(/:(\d+)$/.exec(address)?.[1]);
    return Number.isInteger(port) ? { door, port } : undefined;
  } catch {
    return undefined;
  }
}
