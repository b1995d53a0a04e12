import { randomBytes } from 'node:crypto';
import type { BucketCharge, BucketTerms } from '../../src/quota/bucket.ts';
import { StoreFault, type StoreTaken } from '../../src/quota/bucket-store.ts';
import type { QuotaStoreConfig } from '../../src/quota/config.ts';
import type { RedisStoreEvent } from '../../src/quota/redis/redis-event.ts';
import type { EpochMemory, SharedBucketStore } from '../../src/quota/redis/redis-state.ts';
import { createRedisStore } from '../../src/quota/redis/redis-store.ts';
import { createReservationId } from '../../src/quota/reservation-id.ts';
import { startSystemTimer, systemClock } from './system-ports.ts';

/** A started Redis store of a test with its events, and takes in short. */
export interface OpenedRedisStore {
  readonly store: SharedBucketStore;
  readonly events: RedisStoreEvent[];
  /** Takes one plan; a fault is its reason. */
  take(charges: readonly BucketCharge[], id?: string): Promise<StoreTaken | StoreFault>;
  newId(): string;
  remaining(terms: BucketTerms): Promise<number | undefined>;
}

export interface RedisStoreWish extends Partial<QuotaStoreConfig> {
  readonly url: string;
  readonly deadlineMs?: number;
  readonly epochMemory?: EpochMemory;
}

export async function openRedisStore({
  deadlineMs = 1000,
  epochMemory,
  ...wish
}: RedisStoreWish): Promise<OpenedRedisStore> {
  const events: RedisStoreEvent[] = [];
  const store = createRedisStore({
    config: {
      store: {
        kind: 'redis',
        max_buckets: 1024,
        max_outsider_buckets: 1024,
        max_reservations: 1024,
        key_prefix: 'test:',
        cold_start_seconds: 0,
        ...wish,
      },
      deadline_ms: deadlineMs,
      settle_horizon_seconds: 900,
    },
    clock: systemClock,
    startTimer: startSystemTimer,
    random: randomBytes,
    report: (event) => events.push(event),
    ...(epochMemory === undefined ? {} : { epochMemory }),
  });
  await store.start();
  const newId = (): string => createReservationId(Date.now(), randomBytes, 'acme');
  return {
    store,
    events,
    newId,
    take: async (charges, id = newId()) => {
      try {
        return await store.take({ id, plans: [charges], note: 'note' }, systemClock.now());
      } catch (error) {
        if (error instanceof StoreFault) return error;
        throw error;
      }
    },
    remaining: async (terms) => (await store.peek([terms], systemClock.now()))[0]?.remaining,
  };
}

/** Drains so slowly that nothing comes back while a test runs. */
export function slowRate(id: string, limit: number): BucketTerms {
  return { id, kind: 'rate', limit, burst: limit, periodMs: 86_400_000, region: 'callers', scope: 'tenant' };
}

export function plainCharge(terms: BucketTerms, cost = 1): BucketCharge {
  return { terms, cost, enforced: true, refundable: true };
}

export function holdCharge(terms: BucketTerms, cost = 1, ttlMs = 60_000): BucketCharge {
  return { terms, cost, enforced: true, refundable: true, hold: { ttlMs, onExpiry: 'charge' } };
}
