import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { HTTP_UPSTREAM_HEADERS } from './envoy-config.ts';
import { FLEET_KEY, FLEET_SCOPE, FLEET_TOKENS, type FleetServer } from './fleet-server.ts';
import { ask } from './http-client.ts';
import { type Program, startProgram } from './programs.ts';
import type { TestIssuer } from './tokens.ts';
import { ROOT } from './tools.ts';

export type FleetDoor = 'ext_authz_grpc' | 'ext_authz_http';

/** One service of the fleet; its ports change when it is started again. */
export interface FleetAgent {
  readonly name: string;
  readonly door: FleetDoor;
  readonly configFile: string;
  port: number;
  operationsPort: number;
}

export interface FleetAgentPlan {
  readonly name: string;
  readonly door: FleetDoor;
  readonly server: FleetServer;
  readonly issuer: TestIssuer;
  readonly jwksFile: string;
  readonly salt: string;
  /** Laid over the config; each member replaces the whole section. */
  readonly changes?: Readonly<Record<string, unknown>>;
  /** Laid over `bundles.authz`. */
  readonly bundle?: Readonly<Record<string, unknown>>;
}

/** Writes the config of one service: its own folder, its own ports, the signed bundle and its orders from the server. */
export function planAgent({ name, door, server, issuer, jwksFile, salt, changes, bundle }: FleetAgentPlan): FleetAgent {
  const folder = join(server.folder, name);
  mkdirSync(folder, { recursive: true });
  const bundleUrl = `${server.url}/bundles/authz`;
  const credentials = { bearer_token: FLEET_TOKENS.AGENT };
  const listen = { listen: '127.0.0.1:0', trusted_loopback: true };
  const configFile = join(folder, 'sallyport.yaml');
  const config = {
    doors: {
      [door]:
        door === 'ext_authz_grpc'
          ? listen
          : { ...listen, deadline_ms: 10_000, upstream_headers: [...HTTP_UPSTREAM_HEADERS] },
    },
    operations: { listen: '127.0.0.1:0', drain_delay_ms: 0 },
    bundles: {
      authz: {
        url: bundleUrl,
        credentials,
        polling: { min_delay_seconds: 0.5, max_delay_seconds: 1, timeout_ms: 20_000, long_poll_seconds: 30 },
        trust: { keys: { [FLEET_KEY]: server.publicKeyFile }, scope: FLEET_SCOPE },
        orders: { url: `${bundleUrl}/orders` },
        ...bundle,
      },
    },
    agent: {
      data_dir: join(folder, 'data'),
      trial: { timeout_ms: 120_000 },
      status: { url: `${server.url}/status`, credentials, interval_seconds: 5 },
    },
    // Times are judged by what a busy machine can keep: what is measured there is the machine.
    rollout: {
      salt,
      guard_rails: { min_principals: 10, compare_first_seconds: 120, min_latency_ms: 50 },
      max_cpu_percent: 10,
    },
    policy: { budget_ms: 1_000 },
    quota: { refusals: { limit: 1_000_000_000 } },
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
    labels: { agent: name },
    decision_log: { sinks: [{ file: { path: join(folder, 'events.jsonl') } }] },
    ...changes,
  };
  writeFileSync(configFile, stringify(config));
  return { name, door, configFile, port: 0, operationsPort: 0 };
}

/** Starts services in one process; resolves once all of their doors are open, bundle or not. */
export async function startAgents(agents: readonly FleetAgent[]): Promise<Program> {
  const program = startProgram(
    process.execPath,
    [join(ROOT, 'test/support/fleet-services.ts'), ...agents.map(({ configFile }) => configFile)],
    { env: { NODE_ENV: undefined } },
  );
  await program.waitForLine((line) => line.startsWith('{"started"'), 60_000);
  let current: FleetAgent | undefined;
  for (const line of program.lines()) {
    if (!line.startsWith('{')) continue;
    // Lines of JSON that we or the logger wrote.
    const { starting, message, door, address } = JSON.parse(line) as Readonly<Record<string, string | undefined>>;
    if (starting !== undefined) current = agents.find(({ configFile }) => configFile === starting);
    if (message !== 'listening' || current === undefined) continue;
    const port = Number(/:(\d+)$/.exec(address ?? '')?.[1]);
    if (door === 'operations') current.operationsPort = port;
    else current.port = port;
  }
  for (const { name, port, operationsPort } of agents) {
    if (!(port > 0 && operationsPort > 0)) throw new Error(`${name} did not say where it listens`);
  }
  return program;
}

/** `GET /v1/status`, as far as tests look at it. */
export interface AgentStatus {
  readonly instance_id: string;
  readonly bundles: {
    readonly authz?: {
      readonly revision?: string;
      readonly sha256?: string;
      readonly version?: number;
      readonly ageMs?: number;
      readonly stale?: string;
      readonly lastError?: { readonly code: string; readonly message: string };
      readonly candidate?: {
        readonly sha256?: string;
        readonly staged: boolean;
        readonly orderVersion?: number;
        readonly lastError?: { readonly code: string; readonly message: string };
      };
    };
  };
  readonly staleness: { readonly level: string; readonly reasons: readonly string[] };
  readonly rollout: {
    readonly state: string;
    readonly reason?: string;
    readonly percent: number;
    readonly trips: number;
    readonly pin?: string;
    readonly candidate?: { readonly sha256: string; readonly security: boolean };
    readonly votes?: { readonly step: { readonly voters: number } };
    readonly findings?: {
      readonly compared: number;
      readonly results: Readonly<Record<string, number>>;
      readonly anonymous: Readonly<Record<string, number>>;
    };
    readonly refused: readonly { readonly sha256: string; readonly reason: string }[];
    readonly last?: {
      readonly sha256: string;
      readonly state: string;
      readonly reason: string;
      readonly at: string;
      readonly trips: number;
      readonly findings: { readonly compared: number; readonly examples: readonly unknown[] };
    };
  };
}

export async function statusOf({ operationsPort }: FleetAgent): Promise<AgentStatus> {
  const { status, body } = await ask(operationsPort, { path: '/v1/status' });
  if (status !== 200) throw new Error(`/v1/status answered ${status}`);
  // The service's own answer; what tests look at is asserted where they do.
  return JSON.parse(body) as AgentStatus;
}
