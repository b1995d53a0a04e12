import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BucketStore } from '../../../src/quota/bucket-store.ts';
import { createLimiter } from '../../../src/quota/limiter.ts';
import { createMemoryStore } from '../../../src/quota/memory/memory-single.ts';
import { openMemoryStore } from '../../../src/quota/memory/memory-store.ts';
import { createMemoryTable, LOCK_WORDS } from '../../../src/quota/memory/memory-table.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { startSystemTimer, systemClock } from '../../../src/telemetry/system-clock.ts';
import type { Trials } from './matrix.ts';
import { charged, QUOTA_CONFIG } from './quota-store.ts';
import { openWorld, realTimeCore, type World } from './world.ts';

const CONFIG = { ...QUOTA_CONFIG, store: { ...QUOTA_CONFIG.store, kind: 'memory' } } as const;
/** Kept on disk; whatever the store's failures permit, a window asks for the most. */
const WINDOW = {
  kind: 'window',
  calendar: 'day',
  zone: 'UTC',
  per_seconds: undefined,
  limit: 10_000,
  on_failure: 'allow',
};

interface Scene {
  readonly store: BucketStore;
  readonly charge?: Readonly<Record<string, unknown>>;
  readonly start?: boolean;
  readonly before?: (world: World) => Promise<unknown>;
  readonly after?: () => Promise<unknown>;
}

/** The answer to a charged request of the real core and limiter over this store. */
async function trial({ store, charge = {}, start = true, before, after }: Scene): Promise<string> {
  const limiter = createLimiter({
    store,
    config: { ...CONFIG, failure: { ...CONFIG.failure, allow: false } },
    clock: systemClock,
    startTimer: startSystemTimer,
    randomBytes,
    metrics: createMetrics({ processMetrics: false }).quota,
    report: () => undefined,
  });
  const world = await openWorld(realTimeCore({ ...charged(charge), quota: limiter }));
  try {
    if (start) await store.start();
    await before?.(world);
    return await world.ask();
  } finally {
    await world.stop();
    await limiter.stop();
    await store.stop();
    await after?.();
  }
}

type Write = (file: number, text: string) => number;

/** A store that keeps its windows, and writes them so once it is told to. */
async function keeping(fail: Write | undefined): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-memory-trial-'));
  let failing = false;
  const store = createMemoryStore({
    config: { ...CONFIG, data_dir: folder },
    clock: systemClock,
    startTimer: startSystemTimer,
    report: () => undefined,
    write: (file, text) => (failing && fail !== undefined ? fail(file, text) : text.length),
  });
  return trial({
    store,
    charge: WINDOW,
    before: async (world) => {
      if ((await world.ask()) !== 'allow') throw new Error('the window could not be taken from before the fault');
      failing = true;
      // The one whose line is the first that cannot be written.
      await world.ask();
    },
    after: () => rm(folder, { recursive: true, force: true }),
  });
}

function unkept(): BucketStore {
  return createMemoryStore({
    config: CONFIG,
    clock: systemClock,
    startTimer: startSystemTimer,
    report: () => undefined,
  });
}

const failingWith =
  (code: string): Write =>
  () => {
    throw Object.assign(new Error(code), { code });
  };

export const memoryTrials: Trials = {
  healthy: () => keeping(undefined),
  faults: {
    down: () => trial({ store: unkept(), start: false }),
    // Some of the bytes were written, and nobody says so.
    partial: () => keeping((_file, text) => text.length - 1),
    reset: () => keeping(failingWith('EIO')),
    // Every reservation that there may be is open.
    full: () =>
      trial({
        store: unkept(),
        charge: { kind: 'concurrency', per_seconds: undefined, limit: 10_000, reserve: { ttl_seconds: 60 } },
        before: async (world) => {
          for (let at = 0; at < CONFIG.store.max_reservations / 2; at += 1) {
            if ((await world.ask()) !== 'allow') throw new Error('the store was full too early');
          }
        },
      }),
    // A thread died with every lock.
    stalled: () => {
      const table = createMemoryTable({ store: CONFIG.store, settleHorizonSeconds: 900, key: randomBytes(16) });
      const words = new Int32Array(table.buffer);
      for (let lock = 0; lock < table.lockCount; lock += 1) Atomics.store(words, lock * LOCK_WORDS, 99);
      return trial({ store: openMemoryStore({ table, workerId: 0 }) });
    },
  },
};
