import { Registry } from 'prom-client';
import { parseChargeTerms } from '../../../src/decision/charge-terms.ts';
import type { Charge, TakeRequest, TakeResult } from '../../../src/decision/charges.ts';
import type { BucketStore, StoreTake } from '../../../src/quota/bucket-store.ts';
import type { QuotaConfig } from '../../../src/quota/config.ts';
import { createLimiter, type Limiter, type LimiterEvent, type LimiterOptions } from '../../../src/quota/limiter.ts';
import { createQuotaMetrics } from '../../../src/telemetry/quota-metrics.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import { createReferenceBucketStore } from '../../support/reference-bucket-store.ts';
import { createRandom } from '../../support/seed.ts';

export const CONFIG: QuotaConfig = {
  store: {
    kind: 'memory',
    max_buckets: 1024,
    max_outsider_buckets: 1024,
    max_reservations: 64,
    key_prefix: 'sallyport:',
    cold_start_seconds: 60,
  },
  deadline_ms: 50,
  settle_horizon_seconds: 900,
  max_holds_per_principal: 4,
  failure: { local_share: 0.5, replicas: 1, allow: false },
  lease_batch: 0,
  learning: { enabled: true, max_entries: 100 },
  refusals: { limit: 300, per_seconds: 60, max_entries: 100 },
};

export const REDIS: QuotaConfig = { ...CONFIG, store: { ...CONFIG.store, kind: 'redis' } };

/** A charge as a policy names it; a rate of ten requests a second unless it says otherwise. */
export function charge(parts: { readonly [member: string]: unknown } = {}, key: readonly string[] = ['acme']): Charge {
  const dimensions = ['tenant', 'principal'].slice(0, key.length);
  return {
    terms: parseChargeTerms({
      name: 'rps',
      key: dimensions,
      unit: 'requests',
      kind: 'rate',
      limit: 10,
      ...('calendar' in parts || parts['kind'] === 'concurrency' ? {} : { per_seconds: 1 }),
      cost: 1,
      scope: 'tenant',
      ...parts,
    }),
    key,
  };
}

export const tokens = (parts: { readonly [member: string]: unknown } = {}): Charge =>
  charge({ name: 'tpm', unit: 'tokens', limit: 10_000, per_seconds: 60, reserve: { ttl_seconds: 30 }, ...parts });

export function request(...plans: readonly (readonly Charge[])[]): TakeRequest {
  return { plans, holder: 'alice', tenant: 'acme', model: 'llama' };
}

/** The reference store, with a log of what it was asked and a fault that may be set. */
export interface WatchedStore extends BucketStore {
  readonly asked: StoreTake[];
  readonly calls: string[];
  fault: Error | undefined;
  /** Answers with promises, as a store elsewhere does. */
  remote: boolean;
}

export function watchedStore(): WatchedStore {
  const inner = createReferenceBucketStore();
  const asked: StoreTake[] = [];
  const calls: string[] = [];
  // Both forms of an answer are of the type.
  const answer = <T>(name: string, step: () => T | Promise<T>): T | Promise<T> => {
    calls.push(name);
    if (!store.remote) {
      if (store.fault !== undefined) throw store.fault;
      return step();
    }
    return store.fault === undefined ? Promise.resolve().then(step) : Promise.reject(store.fault);
  };
  const store: WatchedStore = {
    asked,
    calls,
    fault: undefined,
    remote: false,
    take: (taken, at) => {
      asked.push(taken);
      return answer('take', () => inner.take(taken, at));
    },
    release: (id, charges, at) => answer('release', () => inner.release(id, charges, at)),
    look: (id, at) => inner.look(id, at),
    settle: (id, used, at) => answer('settle', () => inner.settle(id, used, at)),
    renew: (id, ttlMs, at) => inner.renew(id, ttlMs, at),
    charge: (charges, at) => answer('charge', () => inner.charge(charges, at)),
    peek: (buckets, at) => answer('peek', () => inner.peek(buckets, at)),
    start: () => inner.start(),
    stop: () => inner.stop(),
  };
  return store;
}

export interface Fixture {
  readonly limiter: Limiter;
  readonly store: WatchedStore;
  readonly clock: ManualClock;
  readonly events: LimiterEvent[];
  /** The lines of one metric that are not zero. */
  readonly series: (name: string) => Promise<readonly string[]>;
  readonly take: (...plans: readonly (readonly Charge[])[]) => Promise<TakeResult>;
}

export function limiterWith(config: QuotaConfig = CONFIG, parts: Partial<LimiterOptions> = {}): Fixture {
  const store = watchedStore();
  store.remote = config.store.kind === 'redis';
  const clock = createManualClock();
  const events: LimiterEvent[] = [];
  const registry = new Registry();
  const random = createRandom(1);
  const limiter = createLimiter({
    store,
    config,
    clock,
    startTimer: clock.startTimer,
    randomBytes: (bytes) => Buffer.from(random.bytes(bytes)),
    metrics: createQuotaMetrics(registry, 200),
    report: (event) => events.push(event),
    ...parts,
  });
  // In the period of its start a replica has no share of its own.
  clock.advance(3_600_000);
  return {
    limiter,
    store,
    clock,
    events,
    series: async (name) => {
      const lines = (await registry.metrics()).split('\n');
      return lines.filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `)).filter(isNotZero);
    },
    take: async (...plans) => limiter.take(request(...plans), clock.now()),
  };
}

function isNotZero(line: string): boolean {
  return !line.endsWith(' 0');
}
