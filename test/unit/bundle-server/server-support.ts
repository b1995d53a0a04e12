import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packArchive, readArchive } from '../../../src/bundle/archive.ts';
import { signBundle } from '../../../src/bundle/signing/bundle-signature.ts';
import type { BundleClaims, RolloutOrder } from '../../../src/bundle/signing/claims.ts';
import { signRolloutOrder } from '../../../src/bundle/signing/rollout-order.ts';
import { createSigner, type Signer } from '../../../src/bundle/signing/signer.ts';
import type { BundleServerConfig } from '../../../src/bundle-server/config.ts';
import type { ObjectStore } from '../../../src/bundle-server/object-store.ts';
import { type BundleServer, createBundleServer } from '../../../src/bundle-server/server.ts';
import { parseStrictJson } from '../../../src/identity/strict-json.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import { startSystemTimer } from '../../support/system-ports.ts';
import { ROOT } from '../../support/tools.ts';
import { type Answer, type Asking, ask } from '../operations/ask.ts';

export const TOKENS = {
  read: 'reader-token-1',
  publish: 'publisher-token-1',
  promote: 'promoter-token-1',
  report: 'agent-token-1',
  report2: 'agent-token-2',
  fleet: 'operator-token-1',
  /** Every right, over another bundle. */
  other: 'other-team-token-1',
} as const;

export type TokenName = keyof typeof TOKENS;

export function newSigner(kid: string, type: 'ed25519' | 'p256' = 'ed25519'): Signer {
  const { privateKey } =
    type === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return createSigner({ pem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), kid });
}

const shipped = readArchive(new Uint8Array(readFileSync(join(ROOT, 'bundles/authz.tar.gz'))));

/** The shipped bundle under another revision. */
export function archiveOf(revision: string): Uint8Array {
  const manifest = JSON.parse(Buffer.from(shipped.get('.manifest') ?? []).toString());
  return packArchive(new Map([...shipped, ['.manifest', Buffer.from(JSON.stringify({ ...manifest, revision }))]]));
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export const NOW_S = Date.UTC(2026, 10, 2, 12) / 1000;

export function claimsOf(version: number, revision: string, more: Partial<BundleClaims> = {}) {
  return {
    kind: 'bundle' as const,
    name: 'authz',
    scope: 'prod',
    version,
    revision,
    issuedAtEpochS: NOW_S - 60,
    notBeforeEpochS: NOW_S - 60,
    expiresEpochS: NOW_S + 86_400,
    minRollbackVersion: 1,
    security: false,
    ...more,
  };
}

/** An archive of that version with its signature. */
export function release(signer: Signer, version: number, more: Partial<BundleClaims> = {}) {
  const revision = `r${version}`;
  const bytes = archiveOf(revision);
  return {
    version,
    revision,
    bytes,
    sha256: sha256(bytes),
    jws: signBundle(bytes, claimsOf(version, revision, more), signer),
  };
}

export type Release = ReturnType<typeof release>;

export function orderFor(
  signer: Signer,
  candidate: Release,
  version: number,
  more: Partial<RolloutOrder> = {},
): string {
  const { sha256: digest, revision, version: of } = candidate;
  return signRolloutOrder(
    {
      bundle: 'authz',
      scope: 'prod',
      version,
      issuedAtEpochS: NOW_S - 60,
      expiresEpochS: NOW_S + 3600,
      candidate: { sha256: digest, version: of, revision },
      mode: 'canary',
      percent: 10,
      labels: {},
      paused: false,
      aborted: false,
      ...more,
    },
    signer,
  );
}

export interface OpenServer {
  readonly folder: string;
  readonly port: number;
  readonly clock: ManualClock;
  readonly server: BundleServer;
  readonly config: BundleServerConfig;
  readonly lines: readonly string[];
  /** With the token of that name; `undefined`: none. */
  ask(token: TokenName | undefined, asking: Asking): Promise<Answer>;
  publish(release: Pick<Release, 'bytes' | 'jws'>, token?: TokenName): Promise<Answer>;
  promote(digest: string, channel?: string, token?: TokenName): Promise<Answer>;
  order(jws: string, token?: TokenName): Promise<Answer>;
  report(token: TokenName, document: object): Promise<Answer>;
  audit(): readonly { readonly [name: string]: unknown }[];
  stop(): Promise<void>;
}

/** The names of all that is in the server's folder. */
export function storedIn({ folder }: OpenServer): readonly string[] {
  return readdirSync(join(folder, 'store'), { recursive: true })
    .map(String)
    .sort((a, b) => (a < b ? -1 : 1));
}

export interface ServerWish {
  readonly keys: Readonly<Record<string, string>>;
  readonly folder?: string;
  readonly store?: ObjectStore;
  readonly clock?: ManualClock;
  readonly bundle?: Partial<BundleServerConfig['bundles'][string]>;
  readonly limits?: Partial<BundleServerConfig['limits']>;
  readonly config?: Partial<BundleServerConfig>;
}

/** A server on a port of its own; timers are real, times of day are the manual clock's. */
export async function openServer(wish: ServerWish): Promise<OpenServer> {
  const folder = wish.folder ?? mkdtempSync(join(tmpdir(), 'sallyport-bundles-'));
  const clock = wish.clock ?? createManualClock();
  const keys = Object.fromEntries(
    Object.entries(wish.keys).map(([kid, pem]) => {
      const file = join(folder, `${kid}.pem`);
      writeFileSync(file, pem);
      return [kid, file];
    }),
  );
  const served = {
    keys,
    scope: 'prod',
    download: 'token',
    opa_deltas: false,
    channels: { default: 'stable', names: ['stable', 'canary'] },
  } as const;
  const token = (name: TokenName, rights: BundleServerConfig['tokens'][number]['rights'], bundles = ['authz']) => ({
    name,
    sha256: sha256(TOKENS[name]),
    rights,
    bundles,
  });
  const config: BundleServerConfig = {
    listen: '127.0.0.1:0',
    storage: { disk: { dir: join(folder, 'store') }, refresh_seconds: 3600 },
    bundles: { authz: { ...served, ...wish.bundle }, other: served },
    tokens: [
      token('read', ['read']),
      token('publish', ['publish']),
      token('promote', ['promote']),
      token('report', ['report']),
      token('report2', ['report']),
      token('fleet', ['fleet']),
      token('other', ['read', 'publish', 'promote', 'report', 'fleet'], ['other']),
    ],
    audit_log: join(folder, 'audit.jsonl'),
    limits: {
      max_archive_bytes: 4 * 2 ** 20,
      cache_bytes: 8 * 2 ** 20,
      max_connections: 1000,
      max_waiters: 100,
      max_wait_seconds: 60,
      transfer_seconds: 5,
      max_instances: 100,
      max_instances_per_token: 50,
      forget_instance_seconds: 86_400,
      ...wish.limits,
    },
    log: { level: 'info' },
    ...wish.config,
  };
  const lines: string[] = [];
  const server = createBundleServer({
    config,
    // Times of day stand still; how long somebody waits is real.
    clock: { now: () => ({ epochMs: clock.now().epochMs, monotonicMs: performance.now() }) },
    startTimer: startSystemTimer,
    logger: createLogger({ level: 'debug', destination: { write: (line) => void lines.push(line) } }),
    parseJson: parseStrictJson,
    uniqueName: () => randomBytes(8).toString('hex'),
    ...(wish.store === undefined ? {} : { store: wish.store }),
  });
  const { address } = await server.start();
  const port = address.kind === 'tcp' ? address.port : 0;
  const withToken = (name: TokenName | undefined, asking: Asking): Promise<Answer> =>
    ask(port, {
      ...asking,
      headers: { ...(name === undefined ? {} : { authorization: `Bearer ${TOKENS[name]}` }), ...asking.headers },
    });
  const json = (name: TokenName, path: string, value: object): Promise<Answer> =>
    withToken(name, {
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(value),
    });
  return {
    folder,
    port,
    clock,
    server,
    config,
    lines,
    ask: withToken,
    publish: ({ bytes, jws }, name = 'publish') =>
      withToken(name, {
        method: 'PUT',
        path: '/v1/bundles/authz/archives',
        headers: { 'x-sallyport-signature': jws },
        body: bytes,
      }),
    promote: (digest, channel = 'stable', name = 'promote') =>
      json(name, `/v1/bundles/authz/channels/${channel}`, { sha256: digest }),
    order: (jws, name = 'promote') => json(name, '/v1/bundles/authz/orders', { order: jws }),
    report: (name, document) => json(name, '/v1/status', document),
    audit: () => {
      try {
        const text = readFileSync(config.audit_log, 'utf8');
        return text
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line));
      } catch {
        return [];
      }
    },
    stop: async () => {
      await server.stop();
      if (wish.folder === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}
