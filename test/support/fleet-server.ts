import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exitCodeOf } from '../../src/main.ts';
import { runCaptured } from './captured-io.ts';
import { type Release, type ReleasePlan, readRelease, writeReleasePolicies } from './fleet-releases.ts';
import { freePort } from './ports.ts';
import { type Program, startProgram } from './programs.ts';
import { ROOT } from './tools.ts';

/** Tokens of the bundle server: authors, operators, instances. */
export const FLEET_TOKENS = { CI: 'ci-token-1', OPS: 'ops-token-1', AGENT: 'agent-token-1' } as const;

export const FLEET_SCOPE = 'prod';
export const FLEET_KEY = 'release-1';

/** An author's folder and the bundle server beside it, by the real commands only. */
export interface FleetServer {
  readonly folder: string;
  readonly port: number;
  /** `…/v1`. */
  readonly url: string;
  readonly publicKeyFile: string;
  run(...argv: readonly string[]): Promise<string>;
  build(plan: ReleasePlan, ...flags: readonly string[]): Promise<Release>;
  publish(release: Release): Promise<void>;
  promote(release: Release): Promise<void>;
  /** Orders what the flags say of a release; answers the order's version. */
  order(release: Release, ...flags: readonly string[]): Promise<number>;
  /** Signs such an order and sends it nowhere. `keys` is the folder of the key. */
  signedOrder(release: Release, keys: string, version: number, ...flags: readonly string[]): Promise<string>;
  /** `sallyport fleet --json`. */
  fleet(): Promise<FleetAnswer>;
  /** Does nothing where it runs. */
  start(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

export interface FleetAnswer {
  readonly instances: readonly FleetInstance[];
  readonly flags: readonly { readonly kind: string; readonly detail: string; readonly instances: readonly string[] }[];
}

export interface FleetInstance {
  readonly token: string;
  readonly instance: string;
  readonly labels: { readonly [name: string]: string };
  readonly bundles: readonly {
    readonly name: string;
    readonly revision?: string;
    readonly sha256?: string;
    readonly version?: number;
    readonly code?: string;
    readonly candidate?: {
      readonly sha256: string;
      readonly state: string;
      readonly step_percent?: number;
      readonly reason?: string;
      readonly tripped: boolean;
    };
  }[];
}

/** Makes keys and a config in `folder`; `start` starts the server. */
export async function createFleetServer(folder: string): Promise<FleetServer> {
  const at = (name: string): string => join(folder, name);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/v1`;
  const bundleUrl = `${url}/bundles/authz`;
  let version = 0;
  let orderVersion = 0;
  let program: Program | undefined;

  const run = async (...argv: readonly string[]): Promise<string> => {
    const ran = await runCaptured(exitCodeOf, argv, {
      cwd: folder,
      env: { PATH: process.env['PATH'] ?? '', ...FLEET_TOKENS },
    });
    if (ran.code !== 0) throw new Error(`sallyport ${argv.join(' ')}: exit ${ran.code}: ${ran.stderr}${ran.stdout}`);
    return ran.stdout;
  };
  const orderOf = (release: Release, keys: string, number: number, flags: readonly string[]) => [
    ...['bundles', 'order', '--to', bundleUrl, '--token-env', 'OPS', '--key', keys, '--scope', FLEET_SCOPE],
    ...['--candidate', release.sha256, '--order-version', String(number), ...flags],
  ];

  await run('keys', 'bundle', 'create', '--out', 'signing', '--kid', FLEET_KEY);
  const digestOf = (token: string): string => createHash('sha256').update(token).digest('hex');
  writeFileSync(
    at('bundle-server.yaml'),
    `listen: 127.0.0.1:${port}
storage: {disk: {dir: store}}
audit_log: audit.jsonl
bundles:
  authz: {keys: {${FLEET_KEY}: signing/${FLEET_KEY}.public.pem}, scope: ${FLEET_SCOPE}}
tokens:
  - {name: ci, sha256: ${digestOf(FLEET_TOKENS.CI)}, rights: [publish], bundles: [authz]}
  - {name: ops, sha256: ${digestOf(FLEET_TOKENS.OPS)}, rights: [promote, read, fleet], bundles: [authz]}
  - {name: agents, sha256: ${digestOf(FLEET_TOKENS.AGENT)}, rights: [read, report], bundles: [authz]}
`,
  );

  return {
    folder,
    port,
    url,
    publicKeyFile: at(`signing/${FLEET_KEY}.public.pem`),
    run,
    build: async (plan, ...flags) => {
      version += 1;
      const number = version;
      writeReleasePolicies(at(`policies-${plan.name}`), plan);
      const file = at(`authz-${plan.name}.tar.gz`);
      const told = await run(
        ...['build', '--from', `policies-${plan.name}`, '-e', 'authz/decision', '-e', 'authz/limits', '--out', file],
        ...['--sign', '--key', 'signing', '--scope', FLEET_SCOPE, '--name', 'authz', '--version', String(number)],
        ...flags,
      );
      return readRelease(plan, file, number, told);
    },
    publish: async ({ file }) => {
      await run('bundles', 'publish', file, '--to', bundleUrl, '--token-env', 'CI');
    },
    promote: async ({ sha256 }) => {
      await run('bundles', 'promote', sha256, '--to', bundleUrl, '--token-env', 'OPS');
    },
    order: async (release, ...flags) => {
      orderVersion += 1;
      await run(...orderOf(release, 'signing', orderVersion, flags));
      return orderVersion;
    },
    signedOrder: async (release, keys, number, ...flags) =>
      (await run(...orderOf(release, keys, number, [...flags, '--dry-run']))).trim(),
    fleet: async () =>
      // What the command prints is checked where it is read.
      JSON.parse(await run('fleet', '--from', url.slice(0, -3), '--token-env', 'OPS', '--json')) as FleetAnswer,
    start: async () => {
      if (program !== undefined) return;
      program = startProgram(process.execPath, [
        ...[join(ROOT, 'src/main.ts'), 'bundles', 'serve', '--config', at('bundle-server.yaml')],
      ]);
      await program.waitForLine((line) => line.includes('the bundle server is ready'));
    },
    kill: async () => {
      program?.signal('SIGKILL');
      await program?.ended;
      program = undefined;
    },
    stop: async () => {
      await program?.stop();
    },
  };
}

/** Who changed what, as the server's audit log has it. */
export function readAuditLog(folder: string): readonly { readonly what: string; readonly who: string }[] {
  return readFileSync(join(folder, 'audit.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}
