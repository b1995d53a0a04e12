import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { parseChargeTerms } from '../../../src/decision/charge-terms.ts';
import type { ChargePlan, TakeResult } from '../../../src/decision/charges.ts';
import { createLimiter, type LimiterEvent } from '../../../src/quota/limiter.ts';
import { createRedisStore } from '../../../src/quota/redis/redis-store.ts';
import { createQuotaMetrics } from '../../../src/telemetry/quota-metrics.ts';
import { createEarlierClock, startSystemTimer, systemClock } from '../system-ports.ts';
import { startValkey, type ValkeyServer } from '../valkey.ts';
import { storeConfig } from './store-config.ts';

/** So many in an hour, and so many at once: what is admitted can be counted for long without the limit's refill. */
export const LIMIT = 36_000;
export const BURST = 300;
export const PERIOD_SECONDS = 3_600;
/** Of the limit; 360 units in each hour. */
export const SHARE = 0.01;
export const SHARED_UNITS: number = LIMIT * SHARE;

/** A limiter before a real server, and callers that never stop asking. */
export interface FailingStore {
  readonly valkey: ValkeyServer;
  readonly counts: Counts;
  /** Asks from so many callers at once until {@link stop}. */
  ask(callers: number): void;
  /** Ends once every caller has had his answer. */
  stop(): Promise<void>;
  /** Waits for so many more answers of a kind. */
  until(kind: keyof Pick<Counts, 'taken' | 'exceeded' | 'unavailable'>, more: number): Promise<void>;
  /** By how much the admissions went over the limit, with what `localUnits` permit beyond it. */
  over(localUnits: number): number;
  metric(name: string): Promise<number>;
  close(): Promise<void>;
}

export interface Counts {
  taken: number;
  exceeded: number;
  unavailable: number;
  overloaded: number;
  /** Of those taken: what no store had verified. */
  unverified: number;
  readonly causes: Map<string, number>;
  readonly admittedAtMs: number[];
}

export async function startFailingStore(
  onFailure: 'deny' | 'local_share',
  coldStartSeconds = 1,
): Promise<FailingStore> {
  const valkey = await startValkey();
  const common = storeConfig(valkey.url, coldStartSeconds);
  const registry = new Registry();
  const store = createRedisStore({
    config: common,
    clock: systemClock,
    startTimer: startSystemTimer,
    random: randomBytes,
    report: () => {},
  });
  await store.start();
  const counts: Counts = {
    taken: 0,
    exceeded: 0,
    unavailable: 0,
    overloaded: 0,
    unverified: 0,
    causes: new Map(),
    admittedAtMs: [],
  };
  const { clock, arrive } = createEarlierClock();
  const limiter = createLimiter({
    store,
    replicas: () => store.replicas(),
    config: {
      ...common,
      max_holds_per_principal: 256,
      failure: { local_share: SHARE, replicas: 1, allow: false },
      lease_batch: 0,
      learning: { enabled: false, max_entries: 1 },
      refusals: { limit: 1, per_seconds: 1, max_entries: 100 },
    },
    clock,
    startTimer: startSystemTimer,
    randomBytes,
    metrics: createQuotaMetrics(registry, 10),
    report: (event: LimiterEvent) => {
      if (event.kind === 'unverified') counts.unverified += 1;
    },
  });
  arrive();
  limiter.start();
  const request = { plans: [planOf(onFailure)], holder: 'alice', tenant: 'tenant-a', model: 'm' };
  const callers: Promise<void>[] = [];
  let asking = true;
  const startedMs = performance.now();

  function count(result: TakeResult): void {
    counts[result.kind] += 1;
    if (result.kind === 'taken') counts.admittedAtMs.push(performance.now());
    if (result.kind !== 'unavailable') return;
    if (result.overloaded === true) counts.overloaded += 1;
    counts.causes.set(result.cause, (counts.causes.get(result.cause) ?? 0) + 1);
  }

  async function caller(): Promise<void> {
    while (asking) {
      count(await limiter.take(request, systemClock.now()));
      await sleep(2);
    }
  }

  return {
    valkey,
    counts,
    ask: (many) => {
      asking = true;
      callers.push(...Array.from({ length: many }, caller));
    },
    stop: async () => {
      asking = false;
      await Promise.all(callers.splice(0));
    },
    until: async (kind, more) => {
      const wanted = counts[kind] + more;
      for (let waitedMs = 0; counts[kind] < wanted; waitedMs += 5) {
        if (waitedMs > 30_000)
          throw new Error(
            `no ${more} more answers \`${kind}\` in 30 s: ${JSON.stringify([counts, [...counts.causes]])}`,
          );
        await sleep(5);
      }
    },
    over: (localUnits) => {
      const seconds = (performance.now() - startedMs) / 1000;
      const permitted = BURST + Math.ceil((LIMIT / PERIOD_SECONDS) * seconds) + localUnits;
      return Math.max(0, counts.taken - permitted);
    },
    metric: async (name) => {
      const found = await registry.getSingleMetric(name)?.get();
      return (found?.values ?? []).reduce((sum, { value }) => sum + value, 0);
    },
    close: async () => {
      asking = false;
      valkey.program().signal('SIGCONT');
      await Promise.all(callers.splice(0));
      await limiter.stop();
      await store.stop();
      await valkey.remove();
    },
  };
}

function planOf(onFailure: 'deny' | 'local_share'): ChargePlan {
  const terms = parseChargeTerms({
    name: 'requests',
    key: ['principal'],
    unit: 'requests',
    kind: 'rate',
    limit: LIMIT,
    burst: BURST,
    per_seconds: PERIOD_SECONDS,
    cost: 1,
    on_failure: onFailure,
    scope: 'tenant',
  });
  return [{ terms, key: ['alice'] }];
}
