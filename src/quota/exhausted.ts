import { LRUCache } from 'lru-cache';
import type { Clock, Instant } from '../decision/ports.ts';
import { NEVER_MS } from './arithmetic.ts';
import type { BucketCharge, BucketState } from './bucket.ts';
import type { BucketStore, StoreTake, StoreTaken } from './bucket-store.ts';

/** A store that repeats its refusals for as long as they are known to hold. */
export interface ExhaustedCache extends BucketStore {
  readonly takeWith: TakeWith;
  /** Forgets all: something may have been given back, or limits have changed. */
  clear(): void;
}

/**
 * Answers `exceeded` without asking while every plan has an enforced charge on a bucket that was found exhausted, for
 * a cost not below the one that was refused then, and of the same size. It never grants. What the store said holds
 * until the moment of asking plus its wait; 250 ms at the most while something is held, which may be settled anywhere.
 */
export function withExhausted(
  store: BucketStore,
  { clock, onHit }: { readonly clock: Clock; readonly onHit: () => void },
): ExhaustedCache {
  const known = new LRUCache<string, Known>({ max: MAX_KNOWN });
  let generation = 0;

  function forget(charges: readonly BucketCharge[]): void {
    generation += 1;
    for (const { terms } of charges) known.delete(terms.id);
  }

  function remembered({ plans }: StoreTake, nowMs: number): StoreTaken | undefined {
    if (known.size === 0) return undefined;
    for (const plan of plans) {
      if (!plan.some((charge) => charge.enforced && isExhausted(known.get(charge.terms.id), charge, nowMs))) {
        return undefined;
      }
    }
    const states: BucketState[][] = [];
    for (const plan of plans) {
      const line: BucketState[] = [];
      for (const charge of plan) {
        const state = knownState(known.get(charge.terms.id), charge, nowMs);
        if (state === undefined) return undefined;
        line.push(state);
      }
      states.push(line);
    }
    return { kind: 'exceeded', states };
  }

  function remember({ plans }: StoreTake, { states }: StoreTaken & { kind: 'exceeded' }, sentMs: number): void {
    for (const [at, plan] of plans.entries()) {
      for (const [index, { terms, cost }] of plan.entries()) {
        const state = states[at]?.[index];
        if (state === undefined) continue;
        const before = known.peek(terms.id);
        // Of one bucket in two plans the refusal of the smaller cost says most.
        if (before?.sentMs === sentMs && !before.state.fits && (state.fits || before.cost <= cost)) continue;
        const { limit, burst } = terms;
        known.set(terms.id, { sentMs, untilMs: sentMs + knownForMs(state), cost, limit, burst, state });
      }
    }
  }

  const takeWith: TakeWith = (request, at, use, failed) => {
    const sentMs = clock.now().monotonicMs;
    const refusal = remembered(request, sentMs);
    if (refusal !== undefined) {
      onHit();
      return use(refusal);
    }
    const asked = generation;
    const learn = (taken: StoreTaken): ReturnType<typeof use> => {
      // What was given back meanwhile may have made room that this answer does not know of.
      if (taken.kind === 'exceeded' && asked === generation) remember(request, taken, sentMs);
      return use(taken);
    };
    return takeFrom(store, request, at, learn, failed);
  };

  return {
    ...delegated(store),
    takeWith,
    take: (request, at) => takeWith<StoreTaken>(request, at, (taken) => taken, rethrow),
    release: (id, charges, at, receipt) => {
      forget(charges);
      return store.release(id, charges, at, receipt);
    },
    charge: (charges, at) => {
      forget(charges);
      return store.charge(charges, at);
    },
    clear: () => {
      generation += 1;
      known.clear();
    },
  };
}

/** Takes, and answers what `use` or `failed` makes of what comes of it, in the very turn in which that is known. */
export type TakeWith = <T>(
  request: StoreTake,
  at: Instant,
  use: (taken: StoreTaken) => T | Promise<T>,
  failed: (error: unknown) => T | Promise<T>,
) => T | Promise<T>;

/** {@link TakeWith} of a store as it is. */
export function takeFrom<T>(
  store: BucketStore,
  request: StoreTake,
  at: Instant,
  use: (taken: StoreTaken) => T | Promise<T>,
  failed: (error: unknown) => T | Promise<T>,
): T | Promise<T> {
  let answer: StoreTaken | Promise<StoreTaken>;
  try {
    answer = store.take(request, at);
  } catch (error) {
    return failed(error);
  }
  return answer instanceof Promise ? answer.then(use, failed) : use(answer);
}

function rethrow(error: unknown): never {
  throw error;
}

/** The rest of a store as it is. */
export function delegated(store: BucketStore): BucketStore {
  return {
    take: (request, at) => store.take(request, at),
    release: (id, charges, at, receipt) => store.release(id, charges, at, receipt),
    look: (id, at) => store.look(id, at),
    settle: (id, used, at) => store.settle(id, used, at),
    renew: (id, ttlMs, at) => store.renew(id, ttlMs, at),
    charge: (charges, at) => store.charge(charges, at),
    peek: (buckets, at) => store.peek(buckets, at),
    start: () => store.start(),
    stop: () => store.stop(),
  };
}

interface Known {
  readonly sentMs: number;
  readonly untilMs: number;
  readonly cost: number;
  readonly limit: number;
  readonly burst: number;
  readonly state: BucketState;
}

const MAX_KNOWN = 8192;
const MOST_MS = 60_000;
const MOST_MS_WITH_HOLDS = 250;
/** What is told of a bucket that refuses nothing is no older than this. */
const MOST_MS_TOLD = 1000;

function knownForMs({ fits, held, waitMs }: BucketState): number {
  if (fits) return held > 0 ? MOST_MS_WITH_HOLDS : MOST_MS_TOLD;
  return Math.min(waitMs, held > 0 ? MOST_MS_WITH_HOLDS : MOST_MS);
}

function isExhausted(known: Known | undefined, { terms, cost }: BucketCharge, nowMs: number): boolean {
  return isCurrent(known, terms, nowMs) && !known.state.fits && cost >= known.cost;
}

function isCurrent(known: Known | undefined, { limit, burst }: BucketCharge['terms'], nowMs: number): known is Known {
  return known !== undefined && nowMs < known.untilMs && known.limit === limit && known.burst === burst;
}

/** What the store said of a bucket, as it reads now; `undefined` where it did not say it for such a cost. */
function knownState(known: Known | undefined, { terms, cost }: BucketCharge, nowMs: number): BucketState | undefined {
  if (!isCurrent(known, terms, nowMs)) return undefined;
  const { state, sentMs } = known;
  if (state.fits ? cost > known.cost : cost < known.cost) return undefined;
  const elapsedMs = nowMs - sentMs;
  const resetMs = later(state.resetMs, elapsedMs);
  if (state.fits) return { ...state, resetMs };
  // What a rate must drain for the cost above the one that was refused.
  const moreMs = terms.kind === 'rate' ? Math.ceil(((cost - known.cost) * terms.periodMs) / terms.limit) : 0;
  const waitMs = cost > terms.burst ? NEVER_MS : Math.max(1, later(state.waitMs, elapsedMs) + moreMs);
  return { ...state, waitMs, resetMs };
}

function later(ms: number, elapsedMs: number): number {
  return ms === NEVER_MS ? NEVER_MS : Math.max(0, Math.ceil(ms - elapsedMs));
}
