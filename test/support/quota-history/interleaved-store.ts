import type { Instant } from '../../../src/decision/ports.ts';
import {
  admit,
  advance,
  emptyBucket,
  fits,
  type Moment,
  release,
  settle,
  type Taken,
  toState,
} from '../../../src/quota/arithmetic.ts';
import type { Bucket, BucketCharge, BucketState, BucketTerms } from '../../../src/quota/bucket.ts';
import type { BucketStore, StoreTaken } from '../../../src/quota/bucket-store.ts';
import type { Random } from '../seed.ts';

/**
 * What is wrong with a store whose steps others come between. `check-then-count`: what was seen to fit is charged
 * later. `refund-twice`: whether a reservation is open is asked before it is given back. `stale-drain`: how much drained
 * is computed before it is subtracted, so that two takes drain the same time.
 */
export type StoreFlaw = 'none' | 'check-then-count' | 'refund-twice' | 'stale-drain';

/** A store that waits between reading and writing. Without a flaw it reads again after the wait. */
export function createInterleavedStore(flaw: StoreFlaw, pause: () => Promise<void>): BucketStore {
  const buckets = new Map<string, Bucket>();
  const reservations = new Map<string, { open: boolean; readonly taken: readonly (readonly [BucketTerms, Taken])[] }>();

  const open = (terms: BucketTerms, at: Instant): Bucket => {
    const known = buckets.get(terms.id);
    const bucket =
      known === undefined ? emptyBucket(terms, momentOf(terms, at)) : { ...known, holds: [...known.holds] };
    advance(bucket, terms, momentOf(terms, at));
    return bucket;
  };
  const planThatFits = (plans: readonly (readonly BucketCharge[])[], at: Instant): number =>
    plans.findIndex((charges) =>
      charges.every(({ terms, cost, enforced }) => !enforced || fits(open(terms, at), terms, cost)),
    );
  const refusedStates = (
    plans: readonly (readonly BucketCharge[])[],
    at: Instant,
  ): readonly (readonly BucketState[])[] =>
    plans.map((charges) =>
      charges.map(({ terms, cost }) => toState(open(terms, at), terms, momentOf(terms, at), cost)),
    );
  /** As if what drained until now were subtracted from whatever the level is. */
  const drainAgain = (terms: BucketTerms, seen: Bucket | undefined, at: Instant): void => {
    const bucket = buckets.get(terms.id);
    if (bucket === undefined || seen === undefined || terms.kind !== 'rate') return;
    const twiceMs = Math.max(0, Math.min(bucket.atMs, momentOf(terms, at).nowMs) - seen.atMs);
    buckets.set(terms.id, { ...bucket, level: Math.max(0, bucket.level - twiceMs * bucket.drain) });
  };
  const close = async (
    id: string,
    at: Instant,
    change: (bucket: Bucket, terms: BucketTerms, taken: Taken, nth: number) => void,
  ): Promise<boolean> => {
    const reservation = reservations.get(id);
    const seenOpen = reservation?.open === true;
    await pause();
    if (reservation === undefined || !(flaw === 'refund-twice' ? seenOpen : reservation.open)) return false;
    reservation.open = false;
    reservation.taken.forEach(([terms, taken], nth) => {
      const bucket = open(terms, at);
      const { version } = bucket;
      change(bucket, terms, taken, nth);
      if (bucket.version !== version) buckets.set(terms.id, bucket);
    });
    return true;
  };

  return {
    take: async ({ id, plans }, at): Promise<StoreTaken> => {
      const seenPlan = planThatFits(plans, at);
      const seenStates = refusedStates(plans, at);
      const seenBuckets = new Map(plans.flat().map(({ terms }) => [terms, buckets.get(terms.id)]));
      await pause();
      const known = reservations.get(id);
      if (known !== undefined) return { kind: known.open ? 'duplicate' : 'released' };
      if (flaw === 'stale-drain') for (const [terms, bucket] of seenBuckets) drainAgain(terms, bucket, at);
      const plan = flaw === 'check-then-count' ? seenPlan : planThatFits(plans, at);
      const charges = plans[plan];
      if (charges === undefined) {
        return { kind: 'exceeded', states: flaw === 'check-then-count' ? seenStates : refusedStates(plans, at) };
      }
      const states: BucketState[] = [];
      const taken: (readonly [BucketTerms, Taken])[] = [];
      for (const charge of charges) {
        const { terms, cost, refundable, hold } = charge;
        const bucket = open(terms, at);
        const fitted = fits(bucket, terms, cost) || (charge.enforced && flaw === 'check-then-count');
        if (fitted) {
          admit(bucket, charge, id, momentOf(terms, at).nowMs);
          buckets.set(terms.id, bucket);
          const whole = { id, amount: cost, startMs: terms.kind === 'window' ? bucket.atMs : 0, refundable };
          taken.push([terms, hold === undefined ? whole : { ...whole, onExpiry: hold.onExpiry }]);
        }
        states.push(toState(bucket, terms, momentOf(terms, at), cost, fitted));
      }
      reservations.set(id, { open: true, taken });
      return { kind: 'taken', plan, states };
    },
    release: async (id, _charges, at) => {
      await close(id, at, release);
    },
    look: () => undefined,
    settle: async (id, used, at) => {
      if (!reservations.has(id)) return 'unknown';
      let nth = -1;
      const isFirst = await close(id, at, (bucket, terms, taken) => {
        if (taken.onExpiry === undefined) return;
        nth += 1;
        settle(bucket, terms, taken, used[nth] ?? 0);
      });
      return isFirst ? 'settled' : 'already';
    },
    renew: () => 'unknown',
    charge: async (charges, at) => {
      await pause();
      for (const charge of charges) {
        const bucket = open(charge.terms, at);
        admit(bucket, charge, '', momentOf(charge.terms, at).nowMs);
        buckets.set(charge.terms.id, bucket);
      }
    },
    peek: (terms, at) => terms.map((one) => toState(open(one, at), one, momentOf(one, at), 0)),
    start: async () => {},
    stop: async () => {},
  };
}

/** A store that keeps its callers waiting before it looks at the request and before it hands the answer over. */
export function delayed(store: BucketStore, pause: () => Promise<void>): BucketStore {
  const around = async <T>(ask: () => T | Promise<T>): Promise<T> => {
    await pause();
    const answer = await ask();
    await pause();
    return answer;
  };
  return {
    take: (request, at) => around(() => store.take(request, at)),
    release: (id, charges, at) => around(() => store.release(id, charges, at)),
    look: (id, at) => around(() => store.look(id, at)),
    settle: (id, used, at) => around(() => store.settle(id, used, at)),
    renew: (id, ttlMs, at) => around(() => store.renew(id, ttlMs, at)),
    charge: (charges, at) => around(() => store.charge(charges, at)),
    peek: (terms, at) => around(() => store.peek(terms, at)),
    start: () => store.start(),
    stop: () => store.stop(),
  };
}

/** Lets those who wait go on one at a time, in an order that only the seed decides, on a clock of its own. */
export interface Interleaving {
  readonly pause: () => Promise<void>;
  readonly now: () => Instant;
  readonly nowUs: () => number;
  /** Ends when all clients have. */
  readonly run: (clients: readonly Promise<void>[]) => Promise<void>;
}

export function createInterleaving(random: Random): Interleaving {
  const waiting: (() => void)[] = [];
  let us = 0;
  const startMs = Date.UTC(2026, 10, 2, 12);
  return {
    pause: () => new Promise((resolve) => waiting.push(resolve)),
    now: () => ({ epochMs: startMs + Math.floor(us / 1000), monotonicMs: 1000 + Math.floor(us / 1000) }),
    nowUs: () => {
      us += 1;
      return us;
    },
    run: async (clients) => {
      let running = true;
      const ended = Promise.all(clients).finally(() => {
        running = false;
      });
      ended.catch(() => undefined);
      while (running) {
        await new Promise(setImmediate);
        us += random.chance(0.5) ? 1 : random.below(3000);
        const [next] = waiting.splice(random.below(waiting.length), 1);
        next?.();
      }
      await ended;
    },
  };
}

/** Windows go by the calendar, all else by the clock that does not jump. */
function momentOf({ windows }: BucketTerms, { epochMs, monotonicMs }: Instant): Moment {
  if (windows === undefined) return { nowMs: Math.floor(monotonicMs), startMs: 0, endMs: 0 };
  const nowMs = Math.floor(epochMs);
  return { nowMs, ...windows.at(nowMs) };
}
