import type { Charge, TakeRequest, TakeResult } from '../decision/charges.ts';
import type { Clock, Instant, Quota, StartTimer } from '../decision/ports.ts';
import type { QuotaMetrics } from '../telemetry/quota-metrics.ts';
import type { BucketState } from './bucket.ts';
import {
  type BucketStore,
  StoreFault,
  type StoreFaultReason,
  type StoreTake,
  type StoreTaken,
} from './bucket-store.ts';
import { createChargeBack } from './charge-back.ts';
import type { QuotaConfig } from './config.ts';
import { type TakeWith, takeFrom, withExhausted } from './exhausted.ts';
import { createLearnedUse } from './learned-use.ts';
import { withLeases } from './leases.ts';
import { createTakePlanner, type PlannedTake } from './planned-take.ts';
import { countTaken, exceededState, takenState, unknownState, unverifiedState } from './quota-states.ts';
import { createSeenBuckets } from './seen-buckets.ts';
import { createTakeIds } from './take-ids.ts';
import { createTakes, type ReservationWatch } from './takes.ts';
import { peekBuckets, type TenantBucket } from './tenant-buckets.ts';
import { createUnverifiedSpend, type Replicas } from './unverified-spend.ts';

/** Takes charges from a store, and decides what its failures come to. */
export interface Limiter extends Quota {
  take(request: TakeRequest, at: Instant): LimiterResult | Promise<LimiterResult>;
  /** A take that is asked again and again, the same each time: what can be is planned once. */
  repeated(request: TakeRequest): RepeatedTake;
  /** Counts whether it fits or not; a negative number of hits gives back. Throws what the store throws. */
  adjust(adjustments: readonly Adjustment[], at: Instant): void | Promise<void>;
  /** How the buckets of a tenant stand from which this process took lately. Throws what the store throws. */
  peekTenant(tenant: string): Promise<readonly TenantBucket[]>;
  /** To be called with what a settled reservation used, for each of its charges that is metered. */
  learned(tenant: string, model: string, charge: { readonly name: string }, used: number): void;
  /** Whatever said that a limit is exhausted may be wrong now: after a settle, and after an activation. */
  dropCaches(): void;
  /** The store's own start comes before, and its stop after. */
  start(): void;
  stop(): Promise<void>;
}

/** Takes, and answers what `use` makes of it, which is told in the very turn in which the store answered. */
export type RepeatedTake = <T>(use: (result: RepeatedResult) => T | Promise<T>) => T | Promise<T>;

/**
 * What a repeated take comes to. `charged`: its one plan was taken and holds nothing, and nobody can give it back; the
 * states are in the order of its charges.
 */
export type RepeatedResult = LimiterResult | { readonly kind: 'charged'; readonly states: readonly BucketState[] };

/** `reason`: why the store did not answer, where that is known. */
export type LimiterResult = TakeResult & { readonly reason?: StoreFaultReason };

/** So many units on the bucket of a charge. */
export interface Adjustment {
  readonly charge: Charge;
  readonly hits: number;
}

export interface LimiterOptions {
  readonly store: BucketStore;
  /** Absent where this process is the only replica. */
  readonly replicas?: () => Replicas;
  readonly config: QuotaConfig;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly randomBytes: (bytes: number) => Buffer;
  readonly metrics: QuotaMetrics;
  readonly report: (event: LimiterEvent) => void;
  /** Told of what is held. */
  readonly reservations?: ReservationWatch;
}

/** For the log; may come with every request, so its lines must be limited. */
export type LimiterEvent =
  | { readonly kind: 'unverified'; readonly limits: readonly string[]; readonly reason: StoreFaultReason }
  | { readonly kind: 'failed'; readonly operation: Operation; readonly reason: string; readonly cause: string }
  | { readonly kind: 'charged_back'; readonly buckets: number };

export type Operation = 'take' | 'release' | 'charge';

export function createLimiter(options: LimiterOptions): Limiter {
  const { config, clock, startTimer, metrics, report, replicas = () => ALONE } = options;
  const remote = config.store.kind === 'redis';
  const spread = config.store.cluster_urls !== undefined;
  const ids = createTakeIds(options.randomBytes);
  const leases =
    remote && config.lease_batch > 0
      ? withLeases(options.store, {
          batch: config.lease_batch,
          replicas: () => Math.max(config.failure.replicas, replicas().highestSeen),
          clock,
          newId: () => ids.reservation(clock.now().epochMs, ''),
        })
      : undefined;
  const caches = remote
    ? withExhausted(leases ?? options.store, { clock, onHit: () => metrics.refusedFromCache() })
    : undefined;
  const store = caches ?? options.store;
  const takeWith: TakeWith =
    caches?.takeWith ?? ((request, at, use, failed) => takeFrom(store, request, at, use, failed));
  const learned = createLearnedUse(config.learning);
  const seen = createSeenBuckets();
  const planner = createTakePlanner({
    config,
    metrics,
    learned,
    spread,
    onPlanned: (tenant, charges) => seen.note(tenant, charges),
  });
  const spend = createUnverifiedSpend({ failure: config.failure, replicas, clock });
  const chargeBack = createChargeBack({
    store,
    spend,
    clock,
    startTimer,
    report: (buckets) => report({ kind: 'charged_back', buckets }),
  });
  const takes = createTakes({
    store,
    spend,
    clock,
    reservations: options.reservations,
    onFault: (error) => failed('release', error),
  });

  function failed(operation: Operation, error: unknown): StoreFaultReason | 'error' {
    const reason = error instanceof StoreFault ? error.reason : 'error';
    metrics.storeFailed(operation, reason);
    report({ kind: 'failed', operation, reason, cause: error instanceof Error ? error.message : 'no error' });
    return reason;
  }

  function answered(planned: PlannedTake, id: string, answer: StoreTaken, at: Instant): TakeResult {
    switch (answer.kind) {
      case 'taken': {
        const { plan, states, receipt } = answer;
        const charges = planned.plans[plan];
        if (charges === undefined) return unavailable(planned, 'the quota store took a plan that there is not');
        const held = planned.holding?.[plan] === true;
        const take = charges.length === 0 ? undefined : takes.taken(id, charges, held, at, receipt);
        return { kind: 'taken', take, state: takenState(plan, charges, states) };
      }
      case 'exceeded':
        return { kind: 'exceeded', ...exceededState(planned.plans, answer.states) };
      case 'duplicate':
      case 'released':
        return unavailable(planned, `the quota store knows the id of the take as ${answer.kind}`);
    }
  }

  /** The outcome of a take that the store did not carry out, or of which nobody knows. */
  function withoutStore(planned: PlannedTake, operation: Operation, error: unknown, at: Instant): LimiterResult {
    const reason = failed(operation, error);
    if (reason === 'error') throw error;
    if (reason === 'overloaded') return { ...unavailable(planned, causeOf(error)), overloaded: true };
    for (const [plan, charges] of planned.plans.entries()) {
      const remaining = spend.admit(charges, reason, at);
      if (remaining === undefined) continue;
      const state = unverifiedState(plan, charges, remaining);
      if (charges.length === 0) return { kind: 'taken', take: undefined, state };
      report({ kind: 'unverified', limits: Object.keys(state.limits), reason });
      return { kind: 'taken', take: takes.unverified(charges), state };
    }
    if (operation === 'take' && reason === 'unknown_outcome') metrics.deniedPerhapsCharged();
    return { ...unavailable(planned, causeOf(error)), reason };
  }

  /** INVARIANT: at the moment of the take; the request may be old by now, and time must not go back for buckets. */
  function ask(request: TakeRequest, planned: PlannedTake): LimiterResult | Promise<LimiterResult> {
    const { plans, note, holding, repeated } = planned;
    const at = clock.now();
    const id = remote || holding !== undefined ? ids.reservation(at.epochMs, request.tenant) : ids.plain();
    const asked = { id, plans, note, fresh: true, unrecorded: true, repeated };
    if (caches !== undefined) return askShared(planned, asked, at);
    let answer: StoreTaken | Promise<StoreTaken>;
    try {
      answer = store.take(asked, at);
    } catch (error) {
      return withoutStore(planned, 'take', error, at);
    }
    return answer instanceof Promise ? askShared(planned, asked, at, answer) : answered(planned, id, answer, at);
  }

  /** By itself, for its closures: a store that answers at once needs none. */
  function askShared(
    planned: PlannedTake,
    asked: StoreTake,
    at: Instant,
    answer?: Promise<StoreTaken>,
  ): LimiterResult | Promise<LimiterResult> {
    let waited = answer !== undefined;
    const used = (taken: StoreTaken): LimiterResult => {
      if (waited) metrics.storeAnswered((clock.now().monotonicMs - at.monotonicMs) / 1000);
      return answered(planned, asked.id, taken, at);
    };
    const lost = (error: unknown): LimiterResult => withoutStore(planned, 'take', error, at);
    if (answer !== undefined) return answer.then(used, lost);
    const result = takeWith(asked, at, used, lost);
    waited = true;
    return result;
  }

  /** The same for one plan that holds nothing, without what a caller could give back. */
  function askAgain<T>(
    request: TakeRequest,
    planned: PlannedTake,
    use: (result: RepeatedResult) => T | Promise<T>,
  ): T | Promise<T> {
    const { plans, note } = planned;
    const at = clock.now();
    // Its parts in a store that is spread over machines are reservations; else nobody will ask for it by its id.
    const id = spread ? ids.reservation(at.epochMs, request.tenant) : ids.plain();
    let waited = false;
    const used = (answer: StoreTaken): T | Promise<T> => {
      if (waited) metrics.storeAnswered((clock.now().monotonicMs - at.monotonicMs) / 1000);
      const charges = answer.kind === 'taken' ? plans[answer.plan] : undefined;
      if (answer.kind !== 'taken' || charges === undefined) return use(answered(planned, id, answer, at));
      countTaken(charges, answer.states);
      return use({ kind: 'charged', states: answer.states });
    };
    const asked = { id, plans, note, fresh: true, unrecorded: true, repeated: true };
    const result = takeWith(asked, at, used, (error) => use(withoutStore(planned, 'take', error, at)));
    waited = true;
    return result;
  }

  /** What is owed is charged before anything more is taken. */
  async function afterChargeBack(request: TakeRequest, planned: PlannedTake): Promise<LimiterResult> {
    try {
      await chargeBack.settle();
    } catch (error) {
      return withoutStore(planned, 'charge', error, clock.now());
    }
    return ask(request, planned);
  }

  function takePlanned(request: TakeRequest, planned: PlannedTake): LimiterResult | Promise<LimiterResult> {
    return spend.owes() ? afterChargeBack(request, planned) : ask(request, planned);
  }

  function take(request: TakeRequest): LimiterResult | Promise<LimiterResult> {
    if (request.plans[0]?.length === 0) return { kind: 'taken', take: undefined, state: NOTHING_WANTED };
    return takePlanned(request, planner.plan(request));
  }

  return {
    take,
    repeated: (request) => {
      // What is learned changes what is held, and leases are known by the one plan that they were handed out for.
      const planned = request.plans[0]?.length === 0 || leases !== undefined ? undefined : planner.plan(request);
      if (planned === undefined || planned.holding !== undefined || planned.plans.length !== 1) {
        return (use) => usedBy(take(request), use);
      }
      return (use) => (spend.owes() ? afterChargeBack(request, planned).then(use) : askAgain(request, planned, use));
    },
    adjust: (adjustments, at) => {
      const charges = adjustments
        .filter(({ charge, hits }) => hits !== 0 && charge.terms.kind !== 'concurrency')
        .map(({ charge, hits }) => planner.single(charge, hits));
      return charges.length === 0 ? undefined : store.charge(charges, at);
    },
    peekTenant: (tenant) => peekBuckets(store, seen.of(tenant), clock.now()),
    learned: (tenant, model, { name }, used) => learned.learn(tenant, model, name, used),
    dropCaches: () => caches?.clear(),
    start: () => chargeBack.start(),
    stop: async () => {
      await chargeBack.stop();
      await leases?.returnUnits();
    },
  };
}

/** What `use` makes of a result, in the very turn in which that is known. */
export function usedBy<R, T>(result: R | Promise<R>, use: (result: R) => T | Promise<T>): T | Promise<T> {
  return result instanceof Promise ? result.then(use) : use(result);
}

const ALONE: Replicas = { highestSeen: 1, everSeen: true };
const NOTHING_WANTED = { plan: 0, taken: true, limits: {} } as const;

function unavailable({ plans }: PlannedTake, cause: string): TakeResult & { readonly kind: 'unavailable' } {
  return { kind: 'unavailable', state: unknownState(plans), cause };
}

function causeOf(error: unknown): string {
  return error instanceof Error ? error.message : 'the quota store failed';
}
