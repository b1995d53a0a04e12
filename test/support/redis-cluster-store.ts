import { randomBytes } from 'node:crypto';
import type { BucketCharge, BucketTerms } from '../../src/quota/bucket.ts';
import { StoreFault, type StoreTaken } from '../../src/quota/bucket-store.ts';
import { createRedisClusterStore } from '../../src/quota/redis/redis-cluster-store.ts';
import type { RedisStoreEvent } from '../../src/quota/redis/redis-event.ts';
import type { SharedBucketStore } from '../../src/quota/redis/redis-state.ts';
import { createReservationId, tenantTag } from '../../src/quota/reservation-id.ts';
import { startSystemTimer, systemClock } from './system-ports.ts';

export interface ClusterStoreWish {
  readonly urls: readonly string[];
  readonly deadlineMs?: number;
  readonly prefix?: string;
  readonly coldSeconds?: number;
}

/** A started cluster store of a test with its events, and takes in short. */
export interface OpenedClusterStore {
  readonly store: SharedBucketStore;
  readonly events: RedisStoreEvent[];
  newId(): string;
  take(charges: readonly BucketCharge[], id?: string): Promise<StoreTaken | StoreFault>;
  /** `[remaining, held]`. */
  left(...terms: readonly BucketTerms[]): Promise<readonly (readonly [number, number])[]>;
}

export const TENANT = 'acme';

export async function openClusterStore(wish: ClusterStoreWish): Promise<OpenedClusterStore> {
  const { urls, deadlineMs = 1000, prefix = 'test:', coldSeconds = 0 } = wish;
  const events: RedisStoreEvent[] = [];
  const store = createRedisClusterStore({
    config: {
      store: {
        kind: 'redis',
        cluster_urls: urls,
        max_buckets: 1024,
        max_outsider_buckets: 1024,
        max_reservations: 1024,
        key_prefix: prefix,
        cold_start_seconds: coldSeconds,
      },
      deadline_ms: deadlineMs,
      settle_horizon_seconds: 900,
    },
    clock: systemClock,
    startTimer: startSystemTimer,
    random: randomBytes,
    report: (event) => events.push(event),
  });
  await store.start();
  const newId = (): string => createReservationId(Date.now(), randomBytes, TENANT);
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
    left: async (...terms) =>
      (await store.peek(terms, systemClock.now())).map(({ remaining, held }) => [remaining, held] as const),
  };
}

const YEAR_MS = 365 * 86_400_000;

/** A rate that gives nothing back while a test runs: of the tenant, or in a part that `part` names. */
export function clusterRate(id: string, limit: number, part?: number): BucketTerms {
  const tag = part === undefined ? tenantTag(TENANT) : part.toString(16).padStart(2, '0').padEnd(16, '0');
  const scope = part === undefined ? 'tenant' : 'shared';
  return { id, kind: 'rate', limit, burst: limit, periodMs: YEAR_MS, region: 'callers', scope, tag };
}
