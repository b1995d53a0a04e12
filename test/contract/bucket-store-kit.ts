import { randomBytes } from 'node:crypto';
import { expect, onTestFinished } from 'vitest';
import type { Clock } from '../../src/decision/ports.ts';
import type { BucketCharge, BucketState, BucketTerms, Windows } from '../../src/quota/bucket.ts';
import type { BucketStore, StoreTaken } from '../../src/quota/bucket-store.ts';
import { createWindows } from '../../src/quota/calendar.ts';
import { createReservationId } from '../../src/quota/reservation-id.ts';

/** A started store with the means to let its time pass. It need not be empty: every bucket has a name of its own. */
export interface OpenBucketStore {
  readonly store: BucketStore;
  /** What every call is told as `at`. */
  readonly clock: Clock;
  /** Moves the store's time, or lets at least as much of it pass. */
  readonly advance: (ms: number) => Promise<void> | void;
  /** Moves the wall clock alone; where time is manual. */
  readonly setEpoch?: (epochMs: number) => void;
  readonly close: () => Promise<void>;
  /** Whether time stands still between calls: then every figure is exact. */
  readonly manualTime: boolean;
}

export const DAY_MS = 86_400_000;
/** How long a hold lasts that a test sees the end of. */
export const SHORT_MS = 1500;
export const LONG_MS = 3_600_000;
/** Does not end while a test runs. */
export const LONG_WINDOWS: Windows = createWindows({ periodSeconds: 366 * 86_400 });

export type ChargeOptions = Partial<Pick<BucketCharge, 'enforced' | 'refundable' | 'hold'>>;

export function charge(terms: BucketTerms, cost: number, options: ChargeOptions = {}): BucketCharge {
  return { terms, cost, enforced: true, refundable: true, ...options };
}

export function hold(
  terms: BucketTerms,
  cost = 1,
  { ttlMs = LONG_MS, onExpiry = 'charge', ...options }: Partial<NonNullable<BucketCharge['hold']>> & ChargeOptions = {},
): BucketCharge {
  return charge(terms, cost, { ...options, hold: { ttlMs, onExpiry } });
}

let buckets = 0;
const run = randomBytes(6).toString('hex');

/** A bucket that no other test knows; `mark` becomes part of its id. */
export function bucketId(mark = ''): string {
  buckets += 1;
  return `${run}:${buckets}:${mark}`;
}

type Sizes = Partial<Pick<BucketTerms, 'id' | 'burst' | 'periodMs' | 'scope' | 'region'>>;

/** So slow, unless a period is given, that nothing of it drains while a test runs. */
export function rate(limit: number, sizes: Sizes = {}): BucketTerms {
  return { ...PLAIN, id: bucketId('rate'), kind: 'rate', limit, burst: limit, periodMs: DAY_MS, ...sizes };
}

export function window(limit: number, windows: Windows = LONG_WINDOWS, sizes: Sizes = {}): BucketTerms {
  return { ...PLAIN, id: bucketId('window'), kind: 'window', limit, burst: limit, windows, ...sizes };
}

export function concurrency(limit: number, sizes: Sizes = {}): BucketTerms {
  return { ...PLAIN, id: bucketId('concurrency'), kind: 'concurrency', limit, burst: limit, ...sizes };
}

const PLAIN = { periodMs: 1, region: 'callers', scope: 'tenant' } as const;

export type Kit = Awaited<ReturnType<typeof openKit>>;

/** Opens a store for the test that runs, with the calls in short. */
export async function openKit(open: () => Promise<OpenBucketStore>) {
  const opened = await open();
  onTestFinished(() => opened.close());
  const { store, clock, manualTime } = opened;
  const now = () => clock.now();
  const newId = () => createReservationId(now().epochMs, randomBytes, 'tenant-a');
  const take = async (plans: readonly (readonly BucketCharge[])[], id = newId(), note = 'note') =>
    store.take({ id, plans, note }, now());
  /** How a bucket stands, with what cannot drift between two calls. */
  const shown = ({ level, waitMs, resetMs, ...steady }: BucketState) =>
    manualTime ? { level, waitMs, resetMs, ...steady } : steady;
  const peek = async (...terms: readonly BucketTerms[]) => (await store.peek(terms, now())).map(shown);
  const one = async (terms: BucketTerms) => {
    const [state] = await store.peek([terms], now());
    if (state === undefined) throw new Error('a peek said nothing');
    return state;
  };
  return {
    ...opened,
    now,
    newId,
    take,
    shown,
    peek,
    /** How one bucket stands. */
    one,
    /** `[remaining, held]` of each bucket. */
    left: async (...terms: readonly BucketTerms[]) =>
      (await store.peek(terms, now())).map(({ remaining, held }) => [remaining, held]),
    /** Takes one plan, which must fit, and gives the id of what was taken. */
    taken: async (charges: readonly BucketCharge[], id = newId(), note = 'note') => {
      expect(await take([charges], id, note)).toMatchObject({ kind: 'taken', plan: 0 });
      return id;
    },
    release: async (id: string, charges: readonly BucketCharge[]) => store.release(id, charges, now()),
    settle: async (id: string, ...used: readonly number[]) => store.settle(id, used, now()),
    renew: async (id: string, ttlMs: number) => store.renew(id, ttlMs, now()),
    look: async (id: string) => store.look(id, now()),
    force: async (...charges: readonly BucketCharge[]) => store.charge(charges, now()),
    /** Lets time pass until a window has just begun. */
    toNextWindow: async (windows: Windows) => {
      const { epochMs } = now();
      await opened.advance(Math.ceil(windows.at(epochMs).endMs - epochMs));
    },
  };
}

export function expectExceeded(taken: StoreTaken): readonly (readonly BucketState[])[] {
  if (taken.kind !== 'exceeded') throw new Error(`it was ${taken.kind}, not exceeded`);
  return taken.states;
}

export function expectTaken(taken: StoreTaken): readonly BucketState[] {
  if (taken.kind !== 'taken') throw new Error(`it was ${taken.kind}, not taken`);
  return taken.states;
}
