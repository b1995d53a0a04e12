import { describe, expect, it } from 'vitest';
import { type Activator, type ActivatorOptions, createActivator } from '../../../src/bundle/activator.ts';
import { createPinAuthority } from '../../../src/bundle/agent/authority.ts';
import type { Bundle } from '../../../src/bundle/bundle.ts';
import { BundleError } from '../../../src/bundle/errors.ts';
import type { BundleSource, Download } from '../../../src/bundle/source.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { pinOf, repacked, revised, SHIPPED } from './shipped.ts';

type Given = Uint8Array | Download | BundleError | undefined;

/** A source that gives what the case last put there, and remembers what etags it was asked with. */
interface TestSource extends BundleSource {
  given: Given;
  readonly asked: (string | undefined)[];
}

function sourceOf(kind: 'file' | 'url', given: Given): TestSource {
  const asked: (string | undefined)[] = [];
  return {
    kind,
    given,
    asked,
    async load(etag) {
      asked.push(etag);
      if (this.given instanceof BundleError) throw this.given;
      return this.given instanceof Uint8Array ? { bytes: this.given } : this.given;
    },
  };
}

interface Scene {
  readonly activator: Activator;
  readonly activations: (readonly Bundle[])[];
  readonly counted: string[];
  readonly clock: ReturnType<typeof createManualClock>;
  readonly revisions: () => readonly string[];
}

interface Watch {
  readonly source: TestSource;
  sha256: string;
}

function scene(watches: Readonly<Record<string, Watch>>, options: Partial<ActivatorOptions> = {}): Scene {
  const clock = createManualClock();
  const activations: (readonly Bundle[])[] = [];
  const counted: string[] = [];
  const activator = createActivator({
    bundles: new Map(
      Object.entries(watches).map(([name, watch]) => [
        name,
        { source: watch.source, authority: createPinAuthority(watch, clock), minDelayMs: 1_000, maxDelayMs: 2_000 },
      ]),
    ),
    entrypoints: ['authz/decision'],
    activate: (bundles) => void activations.push(bundles),
    clock,
    startTimer: clock.startTimer,
    random: () => 0,
    logger: { info: () => {}, warn: () => {} },
    metrics: {
      bundleActivated: (bundle, revision) => void counted.push(`${bundle} activated ${revision}`),
      bundleRefused: (bundle, code) => void counted.push(`${bundle} refused ${code}`),
      bundleCopyFailed: (bundle) => void counted.push(`${bundle} not kept`),
      trackBundleAges: () => {},
    },
    ...options,
  });
  const revisions = () => activations.at(-1)?.map(({ revision }) => revision) ?? [];
  return { activator, activations, counted, clock, revisions };
}

const pinned = (kind: 'file' | 'url', bytes: Uint8Array): Watch => ({
  source: sourceOf(kind, bytes),
  ...pinOf(bytes),
});

/** Puts other bytes at the source and pins them, as an operator would who trusts them. */
function replace(watch: Watch, bytes: Uint8Array): void {
  watch.source.given = bytes;
  watch.sha256 = pinOf(bytes).sha256;
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 20));

describe('a bundle file at start', () => {
  it('is activated and told in the status', async () => {
    const watch = pinned('file', revised('r1'));
    const { activator, revisions, counted, clock } = scene({ authz: watch });
    expect(activator.ready()).toBe(false);
    await activator.start();
    expect(activator.ready()).toBe(true);
    expect(revisions()).toEqual(['r1']);
    expect(counted).toEqual(['authz activated r1']);
    expect(activator.status().get('authz')).toEqual({
      revision: 'r1',
      sha256: watch.sha256,
      activatedAtEpochMs: clock.now().epochMs,
      requestedAtEpochMs: clock.now().epochMs,
      downloadedAtEpochMs: clock.now().epochMs,
      ageMs: 0,
    });
    await activator.stop();
  });

  it.each<[string, () => Watch, string]>([
    [
      'is missing',
      () => ({ ...pinned('file', SHIPPED), source: sourceOf('file', new BundleError('bundle_missing', 'gone')) }),
      'bundle_missing',
    ],
    ['is not what its pin says', () => ({ ...pinned('file', SHIPPED), sha256: '0'.repeat(64) }), 'bundle_untrusted'],
    [
      'is truncated against its pin',
      () => ({ ...pinned('file', SHIPPED.subarray(0, 4096)), ...pinOf(SHIPPED) }),
      'bundle_untrusted',
    ],
    ['is truncated under its own pin', () => pinned('file', SHIPPED.subarray(0, 4096)), 'bundle_truncated'],
    ['is not compiled', () => pinned('file', repacked({ 'policy.wasm': undefined })), 'bundle_not_compiled'],
    ['is garbage', () => pinned('file', Buffer.alloc(100, 'x')), 'bundle_invalid'],
  ])('that %s stops the start: %s', async (_fault, watch, code) => {
    const { activator, activations } = scene({ authz: watch() });
    await expect(activator.start()).rejects.toMatchObject({ code, message: expect.stringMatching(/^bundle `authz`/) });
    expect(activations).toEqual([]);
    expect(activator.ready()).toBe(false);
    expect(activator.status().get('authz')?.lastError?.code).toBe(code);
  });

  it('that lacks an entrypoint of the config stops the start', async () => {
    const { activator } = scene({ authz: pinned('file', SHIPPED) }, { entrypoints: ['envoy/authz/allow'] });
    await expect(activator.start()).rejects.toMatchObject({ code: 'bundle_lacks_entrypoint' });
  });

  it('that the engine rejects stops the start with the engine’s words', async () => {
    const activate = () => Promise.reject(new Error('unknown builtin `x.y`'));
    const { activator } = scene({ authz: pinned('file', SHIPPED) }, { activate });
    await expect(activator.start()).rejects.toMatchObject({
      code: 'bundle_rejected',
      message: 'bundle `authz`: unknown builtin `x.y`',
    });
  });
});

describe('a bundle in force', () => {
  it('gives way to a new one on `reload`', async () => {
    const watch = pinned('file', revised('r1'));
    const { activator, revisions, activations } = scene({ authz: watch });
    await activator.start();
    replace(watch, revised('r2'));
    await activator.reload();
    expect(revisions()).toEqual(['r2']);
    await activator.reload();
    expect(activations).toHaveLength(2);
    await activator.stop();
  });

  it.each<[string, (watch: Watch) => void, string]>([
    [
      'gone',
      (watch) => {
        watch.source.given = new BundleError('bundle_missing', 'gone');
      },
      'bundle_missing',
    ],
    [
      'tampered with',
      (watch) => {
        watch.source.given = revised('r2');
      },
      'bundle_untrusted',
    ],
    ['truncated', (watch) => replace(watch, SHIPPED.subarray(0, 1000)), 'bundle_truncated'],
    [
      'without its entrypoint',
      (watch) => replace(watch, repacked({ 'plan.json': '{"plans":{"plans":[]}}' })),
      'bundle_lacks_entrypoint',
    ],
  ])('serves on when the new one is %s', async (_fault, spoil, code) => {
    const watch = pinned('file', revised('r1'));
    const { activator, revisions, activations, counted } = scene({ authz: watch });
    await activator.start();
    spoil(watch);
    await activator.reload();
    expect(revisions()).toEqual(['r1']);
    expect(activations).toHaveLength(1);
    expect(activator.ready()).toBe(true);
    expect(activator.status().get('authz')).toMatchObject({ revision: 'r1', lastError: { code } });
    expect(counted.at(-1)).toBe(`authz refused ${code}`);
    replace(watch, revised('r3'));
    await activator.reload();
    expect(activator.status().get('authz')).toMatchObject({ revision: 'r3' });
    expect(activator.status().get('authz')).not.toHaveProperty('lastError');
    await activator.stop();
  });

  it('serves on when the engine rejects the new one', async () => {
    const watch = pinned('file', revised('r1'));
    const inForce: string[] = [];
    const activate = (bundles: readonly Bundle[]) => {
      if (bundles.some(({ revision }) => revision === 'bad')) throw new Error('no');
      inForce.splice(0, 1, ...bundles.map(({ revision }) => revision));
    };
    const { activator } = scene({ authz: watch }, { activate });
    await activator.start();
    replace(watch, revised('bad'));
    await activator.reload();
    expect(inForce).toEqual(['r1']);
    expect(activator.status().get('authz')).toMatchObject({ revision: 'r1', lastError: { code: 'bundle_rejected' } });
    await activator.stop();
  });

  it('is swapped one activation at a time, the newest last', async () => {
    const watch = pinned('file', revised('r0'));
    let running = 0;
    let most = 0;
    const order: string[] = [];
    const activate = async (bundles: readonly Bundle[]) => {
      most = Math.max(most, ++running);
      await new Promise(setImmediate);
      order.push(bundles[0]?.revision ?? '');
      running -= 1;
    };
    const { activator } = scene({ authz: watch }, { activate });
    await activator.start();
    const reloads: Promise<void>[] = [];
    for (let at = 1; at <= 10; at += 1) {
      replace(watch, revised(`r${at}`));
      reloads.push(activator.reload());
      await new Promise(setImmediate);
    }
    await Promise.all(reloads);
    expect(most).toBe(1);
    expect(order.at(-1)).toBe('r10');
    expect(activator.status().get('authz')?.revision).toBe('r10');
    await activator.stop();
  });
});

describe('a bundle url', () => {
  const unreachable = new BundleError('bundle_unreachable', 'no answer');

  it('that does not answer is no failure of the start; it is asked again until it does', async () => {
    const watch = pinned('url', revised('r1'));
    const bytes = watch.source.given;
    watch.source.given = unreachable;
    const { activator, revisions, clock } = scene({ authz: watch });
    await activator.start();
    await settle();
    expect(activator.ready()).toBe(false);
    expect(activator.status().get('authz')?.lastError?.code).toBe('bundle_unreachable');
    clock.advance(250);
    await settle();
    expect(watch.source.asked).toHaveLength(2);
    watch.source.given = bytes;
    clock.advance(500);
    await settle();
    expect(activator.ready()).toBe(true);
    expect(revisions()).toEqual(['r1']);
    await activator.stop();
    expect(clock.pendingTimers()).toBe(0);
  });

  it('is asked with the etag of what is in force only', async () => {
    const good = revised('r1');
    const watch = pinned('url', good);
    watch.source.given = { bytes: good, etag: '"good"' };
    const { activator, clock, revisions } = scene({ authz: watch });
    await activator.start();
    await settle();
    watch.source.given = { bytes: revised('r2'), etag: '"bad"' };
    for (const delayMs of [1_000, 250, 500]) {
      clock.advance(delayMs);
      await settle();
    }
    watch.source.given = undefined;
    clock.advance(1_000);
    await settle();
    expect(watch.source.asked).toEqual([undefined, '"good"', '"good"', '"good"', '"good"']);
    expect(revisions()).toEqual(['r1']);
    expect(activator.status().get('authz')).not.toHaveProperty('lastError');
    await activator.stop();
  });

  it('is asked no more after `stop`', async () => {
    const watch = pinned('url', revised('r1'));
    const { activator, clock } = scene({ authz: watch });
    await activator.start();
    await settle();
    await activator.stop();
    clock.advance(100_000);
    await settle();
    expect(watch.source.asked).toHaveLength(1);
  });
});

describe('several bundles', () => {
  const SHARED = ['models', 'payload', 'tenancy', 'tiers'];
  const first = (revision: string): Uint8Array => revised(revision, ['authz', 'catalog', ...SHARED]);
  /** The same policy again, its entrypoints and data renamed by no means: only its roots are other. */
  const second = (revision: string, root: string): Uint8Array =>
    repacked({
      '.manifest': JSON.stringify({ revision, roots: [root, 'authz/decision', 'authz/limits'] }),
      'data.json': JSON.stringify({ [root]: {} }),
    });

  it('are activated as one generation, when the last of them is there', async () => {
    const slow = pinned('url', SHIPPED);
    slow.source.given = new BundleError('bundle_unreachable', 'no answer');
    const { activator, activations } = scene({ authz: pinned('file', revised('a1')), extra: slow });
    await activator.start();
    await settle();
    expect(activations).toEqual([]);
    expect(activator.ready()).toBe(false);
    await activator.stop();
  });

  it('that own the same part of data are not activated', async () => {
    const { activator, activations } = scene({
      authz: pinned('file', first('a1')),
      extra: pinned('file', second('b1', 'extra')),
    });
    await expect(activator.start()).rejects.toMatchObject({
      code: 'bundle_conflict',
      message: expect.stringContaining('`authz` and `extra` both own `data/authz`'),
    });
    expect(activations).toEqual([]);
  });
});
