import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Activator, type ActivatorOptions, createActivator } from '../../../../src/bundle/activator.ts';
import { createAuthority } from '../../../../src/bundle/agent/authority.ts';
import { createKeptCopies } from '../../../../src/bundle/agent/kept-copies.ts';
import type { WatchedBundle } from '../../../../src/bundle/agent/watched-bundle.ts';
import type { Bundle } from '../../../../src/bundle/bundle.ts';
import { BundleError } from '../../../../src/bundle/errors.ts';
import { signBundle } from '../../../../src/bundle/signing/bundle-signature.ts';
import type { BundleClaims, RolloutOrder } from '../../../../src/bundle/signing/claims.ts';
import { createHighWaterMark } from '../../../../src/bundle/signing/high-water-mark.ts';
import { signRolloutOrder } from '../../../../src/bundle/signing/rollout-order.ts';
import { createSigner } from '../../../../src/bundle/signing/signer.ts';
import type { BundleSource, Download, LoadWish } from '../../../../src/bundle/source.ts';
import type { OfferedOrder } from '../../../../src/bundle/sources/order-source.ts';
import { createManualClock, type ManualClock } from '../../../support/manual-clock.ts';
import { revised } from '../shipped.ts';

const pair = generateKeyPairSync('ed25519');
const signer = createSigner({ pem: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), kid: 'k1' });

export const START_S = Date.UTC(2026, 10, 2, 12) / 1000;
const HOUR_S = 3600;

/** Claims of version `version`, good for an hour. */
export function claimsOf(version: number, wish: Partial<BundleClaims> = {}): BundleClaims {
  return {
    kind: 'bundle',
    name: 'authz',
    scope: 'test',
    version,
    revision: `r${version}`,
    issuedAtEpochS: START_S,
    notBeforeEpochS: START_S,
    expiresEpochS: START_S + HOUR_S,
    minRollbackVersion: 0,
    security: false,
    ...wish,
  };
}

export interface Signed extends Download {
  readonly signature: string;
  readonly sha256: string;
}

export function signed(version: number, wish: Partial<BundleClaims> = {}, bytes = revised(`r${version}`)): Signed {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { bytes, signature: signBundle(bytes, claimsOf(version, wish), signer), etag: `"${sha256}"`, sha256 };
}

export function orderOf(version: number, { sha256 }: Signed, wish: Partial<RolloutOrder> = {}): string {
  const order: RolloutOrder = {
    bundle: 'authz',
    scope: 'test',
    version,
    issuedAtEpochS: START_S,
    expiresEpochS: START_S + HOUR_S,
    candidate: { sha256, version: 2, revision: 'r2' },
    mode: 'canary',
    percent: 10,
    labels: {},
    paused: false,
    aborted: false,
    ...wish,
  };
  return signRolloutOrder(order, signer);
}

/** A url that gives what the case last put there. */
export interface TestSource extends BundleSource {
  given: Download | BundleError | undefined;
  readonly wishes: (LoadWish & { readonly etag: string | undefined })[];
}

export const DOWN = new BundleError('bundle_unreachable', 'no answer');

export function sourceOf(given: TestSource['given'], kind: 'url' | 'file' = 'url'): TestSource {
  const wishes: TestSource['wishes'] = [];
  return {
    kind,
    given,
    wishes,
    async load(etag, _signal, wish = {}) {
      wishes.push({ etag, ...wish });
      if (this.given instanceof BundleError) throw this.given;
      return this.given?.etag !== undefined && this.given.etag === etag ? undefined : this.given;
    },
  };
}

export interface AgentWish extends Partial<ActivatorOptions> {
  readonly watch?: Partial<WatchedBundle>;
  /** Of an agent that ran before. */
  readonly folder?: string;
  readonly clock?: ManualClock;
  /** Replaces the archives that orders name. */
  readonly archives?: readonly Signed[];
  readonly orders?: { given: OfferedOrder | BundleError | undefined };
  readonly candidate?: TestSource;
}

export interface Agent {
  readonly activator: Activator;
  readonly clock: ManualClock;
  readonly folder: string;
  readonly inForce: string[];
  readonly staged: string[];
  readonly counted: string[];
  readonly logged: string[];
  readonly levels: string[];
}

/** An agent with a signed bundle, a folder of its own and a clock that is moved by hand. */
export function agentOf(source: BundleSource, wish: AgentWish = {}): Agent {
  const { watch, archives = [], orders, candidate, ...options } = wish;
  const clock = wish.clock ?? createManualClock();
  const folder = wish.folder ?? mkdtempSync(join(tmpdir(), 'sallyport-agent-'));
  folders.add(folder);
  const key = join(folder, 'k1.pem');
  writeFileSync(key, signer.publicPem);
  const trust = { keys: { k1: key }, scope: 'test', signature: 'jws' as const };
  const authority = createAuthority({ name: 'authz', trust, clock, mark: createHighWaterMark({ folder, clock }) });
  const inForce: string[] = [];
  const staged: string[] = [];
  const counted: string[] = [];
  const logged: string[] = [];
  const levels: string[] = [];
  const text = (bundles: readonly Bundle[]): string => bundles.map(({ revision }) => revision).join('+');
  const trial =
    orders === undefined
      ? candidate && { kind: 'local' as const, source: candidate, authority }
      : {
          kind: 'orders' as const,
          orders: {
            load: async () => {
              if (orders.given instanceof BundleError) throw orders.given;
              return orders.given;
            },
          },
          archive: (sha256: string) => sourceOf(archives.find((archive) => archive.sha256 === sha256) ?? DOWN),
        };
  const activator = createActivator({
    bundles: new Map([
      [
        'authz',
        {
          source,
          authority,
          minDelayMs: 1_000,
          maxDelayMs: 1_000,
          ...(trial === undefined ? {} : { trial }),
          ...watch,
        },
      ],
    ]),
    entrypoints: ['authz/decision'],
    activate: (bundles) => void inForce.push(text(bundles)),
    stage: async (set, order, trips) => {
      staged.push(
        `${set === undefined ? 'none' : text(set.bundles)} by ${order?.version ?? 'nobody'}, ${trips.length} trips`,
      );
    },
    onStaleness: ({ level, reasons }) => void levels.push([level, ...reasons].join(' ')),
    copies: createKeptCopies({ folder, maxBytes: 2 ** 20 }),
    candidateCopies: createKeptCopies({ folder, of: 'candidates', maxBytes: 2 ** 20 }),
    clock,
    startTimer: clock.startTimer,
    random: () => 0,
    logger: {
      info: (_fields, message) => void logged.push(message),
      warn: (fields, message) => void logged.push(`${message}: ${String(fields['error'])}`),
    },
    metrics: {
      bundleActivated: (_bundle, revision) => void counted.push(`activated ${revision}`),
      bundleRefused: (_bundle, code) => void counted.push(`refused ${code}`),
      bundleCopyFailed: () => void counted.push('not kept'),
      trackBundleAges: () => {},
    },
    ...options,
  });
  agents.add(activator);
  return { activator, clock, folder, inForce, staged, counted, logged, levels };
}

const folders = new Set<string>();
const agents = new Set<Activator>();

/** Stops every agent and takes its folder away. */
export async function cleanUp(): Promise<void> {
  for (const agent of agents) await agent.stop();
  agents.clear();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  folders.clear();
}

/** Waits, on the machine's own clock, until what is asked is so. */
export async function until(condition: () => boolean): Promise<void> {
  const dueMs = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > dueMs) throw new Error('it did not come to pass within 5 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
