import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Clock, StartTimer } from '../decision/ports.ts';
import { OTHER } from '../telemetry/label-values.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { QuotaMetrics } from '../telemetry/quota-metrics.ts';
import { type BucketStore, StoreFault } from './bucket-store.ts';
import type { QuotaConfig } from './config.ts';
import { createLedger, type Ledger } from './ledger/ledger.ts';
import { createLimiter, type Limiter } from './limiter.ts';
import { createMemoryStore } from './memory/memory-single.ts';
import { createRedisClusterStore } from './redis/redis-cluster-store.ts';
import { createEpochFile } from './redis/redis-epoch-file.ts';
import type { SharedBucketStore } from './redis/redis-state.ts';
import { createRedisStore } from './redis/redis-store.ts';
import { createSettlement, type Settlement } from './settlement/settlement.ts';
import type { SettlementReport } from './settlement/settlement-answer.ts';
import type { TenantBucket } from './tenant-buckets.ts';

export interface QuotasOptions {
  readonly config: QuotaConfig;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly metrics: QuotaMetrics;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'limited'>;
}

/** Everything that counts: what takes, what settles, and the store and ledger behind them. */
export interface Quotas {
  readonly limiter: Limiter;
  readonly settlement: Settlement;
  /** How the limits of a tenant stand that this process took from lately. */
  quotaOf(tenant: string): Promise<QuotaAnswer>;
  /** Which limits metrics and log may call by their names; all others are one. */
  nameLimits(names: ReadonlySet<string>): void;
  /** Resolves also where a Redis does not answer yet; throws where a folder cannot be had, and leaves nothing open. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export type QuotaAnswer =
  | { readonly status: 200; readonly body: { readonly tenant: string; readonly limits: readonly TenantBucket[] } }
  | { readonly status: 503; readonly reason: string; readonly detail: string };

export function createQuotas(options: QuotasOptions): Quotas {
  const { config, clock, startTimer, metrics, logger } = options;
  const { store, replicas } = openStore(options);
  const ledger = openLedger(options);
  let names: ReadonlySet<string> = new Set();
  const told = (name: string): string => (names.has(name) ? name : OTHER);
  const limiter: Limiter = createLimiter({
    store,
    ...(replicas === undefined ? {} : { replicas }),
    config,
    clock,
    startTimer,
    randomBytes,
    metrics: { ...metrics, limit: (name, unit) => metrics.limit(told(name), unit) },
    reservations: {
      opened: (id, expiresMs, onExpiry) => settlement.opened(id, expiresMs, onExpiry),
      closed: (id) => settlement.closed(id),
    },
    report: (event) => {
      if (event.kind === 'charged_back') logger.info(event, 'what was admitted without the quota store is charged');
      else if (event.kind === 'failed') logger.limited('quota_failed', 'warn', event, 'the quota store failed');
      else {
        const entry = { ...event, limits: [...new Set(event.limits.map(told))] };
        logger.limited('quota_unverified', 'warn', entry, 'a request was admitted without the quota store');
      }
    },
  });
  const settlement: Settlement = createSettlement({
    store,
    ...(ledger === undefined ? {} : { ledger }),
    learned: (...use) => limiter.learned(...use),
    dropCaches: () => limiter.dropCaches(),
    clock,
    startTimer,
    config,
    report: (event) => {
      metrics.settled(event.kind === 'answered' ? event.outcome : event.kind);
      logSettlement(logger, event);
    },
  });

  /** How to stop what was started: a ledger that another process holds must not be written to on the way out. */
  const stops: (() => Promise<void>)[] = [];

  async function stop(): Promise<void> {
    const stopped: PromiseSettledResult<void>[] = [];
    // One after the other, and each of them whatever became of the one before.
    for (const part of stops.splice(0).reverse()) stopped.push(...(await Promise.allSettled([part()])));
    const failed = stopped.find((part) => part.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  return {
    limiter,
    settlement,
    nameLimits: (known) => {
      names = known;
    },
    quotaOf: async (tenant) => {
      try {
        return { status: 200, body: { tenant, limits: await limiter.peekTenant(tenant) } };
      } catch (error) {
        if (!(error instanceof StoreFault)) throw error;
        return { status: 503, reason: `store_${error.reason}`, detail: 'the quota store does not answer' };
      }
    },
    start: async () => {
      try {
        stops.push(() => store.stop());
        await store.start();
        if (ledger !== undefined) {
          await ledger.start();
          stops.push(() => ledger.stop());
        }
        stops.push(() => settlement.stop());
        await settlement.start();
        limiter.start();
        stops.push(() => limiter.stop());
      } catch (error) {
        // The lock of a folder would keep the process from ending.
        await stop();
        throw error;
      }
    },
    stop,
  };
}

interface OpenedStore {
  readonly store: BucketStore;
  /** Of a store that replicas share. */
  readonly replicas?: SharedBucketStore['replicas'];
}

function openStore({ config, clock, startTimer, logger }: QuotasOptions): OpenedStore {
  if (config.store.kind === 'memory') {
    const store = createMemoryStore({
      config,
      clock,
      startTimer,
      report: (event) => {
        if (event.kind === 'not_kept') logger.warn(event, 'windows cannot be kept, so nothing is taken from them');
        else logger.info(event, event.kind === 'kept' ? 'windows are kept again' : 'windows were restored');
      },
    });
    return { store };
  }
  const clustered = config.store.cluster_urls !== undefined;
  const store = (clustered ? createRedisClusterStore : createRedisStore)({
    config,
    clock,
    startTimer,
    random: randomBytes,
    report: (event) => {
      if (event.kind === 'connected') logger.info(event, 'the quota store is connected');
      else logger.limited(`quota_store_${event.kind}`, 'warn', event, 'the quota store');
    },
    ...(config.data_dir === undefined
      ? {}
      : { epochMemory: createEpochFile(config.data_dir, clustered ? 'redis-cluster-epochs' : 'redis-epoch') }),
  });
  return { store, replicas: () => store.replicas() };
}

function openLedger({ config, clock, startTimer, logger }: QuotasOptions): Ledger | undefined {
  if (config.data_dir === undefined) return undefined;
  return createLedger({
    folder: join(config.data_dir, 'ledger'),
    horizonSeconds: config.settle_horizon_seconds,
    clock,
    startTimer,
    randomId: randomUUID,
    report: (event) => logger.limited(`ledger_${event.kind}`, 'warn', event, 'the usage ledger'),
  });
}

/** What went well is counted elsewhere. */
function logSettlement(logger: QuotasOptions['logger'], event: SettlementReport): void {
  if (event.kind === 'answered' || event.kind === 'expired') return;
  logger.limited(`settlement_${event.kind}`, 'warn', event, 'settling of usage');
}
