import type { TakeRequest } from '../../decision/charges.ts';
import type { Clock, Instant, Quota } from '../../decision/ports.ts';
import type { BucketState } from '../bucket.ts';
import { type Adjustment, type LimiterResult, type RepeatedResult, type RepeatedTake, usedBy } from '../limiter.ts';
import type { DescriptorLimit, DescriptorTable } from './descriptors.ts';
import { countRefused, lookAtRest } from './descriptors-debt.ts';
import {
  type BucketUse,
  type DescriptorRequest,
  type PlannedTake,
  planRequest,
  type RequestPlan,
} from './descriptors-plan.ts';

export interface DescriptorLimitsPorts {
  /** The rules in force, the same object until they change; `undefined` before there are any. */
  readonly table: () => DescriptorTable | undefined;
  readonly quota: RepeatingQuota;
  /** Counts whether it fits or not. */
  readonly adjust: (adjustments: readonly Adjustment[], at: Instant) => void | Promise<void>;
  readonly clock: Clock;
  /** Told where hits were to be counted by force and could not. */
  readonly onFault: (error: unknown) => void;
}

/** A quota that may plan once what is asked again and again. */
export interface RepeatingQuota extends Quota {
  take(request: TakeRequest, at: Instant): LimiterResult | Promise<LimiterResult>;
  readonly repeated?: (request: TakeRequest) => RepeatedTake;
}

export type DescriptorAnswer =
  | { readonly kind: 'decided'; readonly overLimit: boolean; readonly statuses: readonly DescriptorStatus[] }
  | { readonly kind: 'undecided'; readonly cause: string };

export interface DescriptorStatus {
  readonly overLimit: boolean;
  readonly limit?: DescriptorLimit;
  readonly remaining: number;
  readonly resetMs: number;
}

export type LimitDescriptors = (request: DescriptorRequest) => DescriptorAnswer | Promise<DescriptorAnswer>;

/**
 * Limits by descriptors, on the buckets that policies charge too. All descriptors of a request are taken in one step
 * or none is; the hits of one that is refused are then counted where the rules say so.
 */
export function createDescriptorLimits(ports: DescriptorLimitsPorts): LimitDescriptors {
  const { clock } = ports;
  let known = new WeakMap<DescriptorRequest, Known>();
  let planned: DescriptorTable | undefined;

  function knownOf(table: DescriptorTable, request: DescriptorRequest): Known {
    if (table !== planned) {
      known = new WeakMap();
      planned = table;
    }
    const before = known.get(request);
    if (before !== undefined) return before;
    const plan = planRequest(table, request);
    const made = {
      plan,
      take: onlyTakeOf(ports, plan),
      conclude: (result: RepeatedResult) =>
        result.kind === 'charged' ? concludeCharged(plan, result.states) : afterTake(ports, plan, result, clock.now()),
    };
    known.set(request, made);
    return made;
  }

  return (request) => {
    const table = ports.table();
    if (table === undefined) return { kind: 'undecided', cause: 'there are no rules yet' };
    const known = knownOf(table, request);
    if (known.plan.takes.length === 0) return conclude(known.plan, [], false);
    if (known.take === undefined) return limitInSteps(ports, known.plan, clock.now());
    return known.take(known.conclude);
  };
}

interface Known {
  readonly plan: RequestPlan;
  /** Of a request that is one take and no more. */
  readonly take: RepeatedTake | undefined;
  readonly conclude: (result: RepeatedResult) => DescriptorAnswer | Promise<DescriptorAnswer>;
}

function onlyTakeOf(
  { quota, clock }: DescriptorLimitsPorts,
  { takes, givenBack }: RequestPlan,
): RepeatedTake | undefined {
  const [only, ...more] = takes;
  if (only === undefined || more.length > 0 || givenBack.length > 0) return undefined;
  const { request } = only;
  if (quota.repeated !== undefined) return quota.repeated(request);
  return (use) => usedBy(quota.take(request, clock.now()), use);
}

function afterTake(
  ports: DescriptorLimitsPorts,
  plan: RequestPlan,
  result: LimiterResult,
  at: Instant,
): DescriptorAnswer | Promise<DescriptorAnswer> {
  switch (result.kind) {
    case 'taken':
      return conclude(plan, [result], false);
    case 'unavailable':
      return unanswered(plan, result);
    case 'exceeded': {
      const counted = countRefused(ports, plan, [{ limits: result.state.limits, givenBack: false }], at);
      const answer = conclude(plan, [result], true);
      return counted === undefined ? answer : counted.then(() => answer);
    }
  }
}

/** Gives back first, and then takes what cannot be one step, one after the other; all of it or nothing. */
async function limitInSteps(ports: DescriptorLimitsPorts, plan: RequestPlan, at: Instant): Promise<DescriptorAnswer> {
  if (plan.givenBack.length > 0) await ports.adjust(plan.givenBack, at);
  const results: LimiterResult[] = [];
  for (const { request } of plan.takes) {
    let result: LimiterResult;
    try {
      result = await ports.quota.take(request, at);
    } catch (error) {
      releaseAll(results);
      throw error;
    }
    results.push(result);
    if (result.kind === 'taken') continue;
    releaseAll(results);
    if (result.kind === 'unavailable') return unanswered(plan, result);
    const before = results.map(({ kind, state: { limits } }) => ({ limits, givenBack: kind === 'taken' }));
    await countRefused(ports, plan, [...before, ...(await lookAtRest(ports, plan, results.length, at))], at);
    return conclude(plan, results, true);
  }
  return conclude(plan, results, false);
}

function releaseAll(results: readonly LimiterResult[]): void {
  for (const result of results) if (result.kind === 'taken') result.take?.release();
}

/** A table without room may be of a caller's making: he sends values until it is full. */
function unanswered(plan: RequestPlan, { cause, reason }: LimiterResult & { kind: 'unavailable' }): DescriptorAnswer {
  return reason === 'full' ? conclude(plan, [], true) : { kind: 'undecided', cause };
}

function conclude(plan: RequestPlan, results: readonly LimiterResult[], refused: boolean): DescriptorAnswer {
  let overLimit = refused;
  const statuses: DescriptorStatus[] = [];
  for (let index = 0; index < plan.uses.length; index += 1) {
    const use = plan.uses[index];
    if (use?.kind === 'bucket') {
      statuses.push(toStatus(use, resultOf(plan.takes, results, use), refused));
    } else {
      const status = toUncounted(plan, index);
      overLimit ||= status.overLimit;
      statuses.push(status);
    }
  }
  return { kind: 'decided', overLimit, statuses };
}

/** Of a descriptor that has no bucket. */
function toUncounted({ uses, asks }: RequestPlan, index: number): DescriptorStatus {
  const use = uses[index];
  if (use === undefined || use.kind === 'bucket') return UNLIMITED;
  if (use.kind === 'unlimited') return WITHOUT_END;
  return { overLimit: !use.shadow && asks[index] !== false, limit: use.current, remaining: 0, resetMs: 0 };
}

/** Of one take, of which nothing was refused. */
function concludeCharged(plan: RequestPlan, states: readonly BucketState[]): DescriptorAnswer {
  let overLimit = false;
  const statuses: DescriptorStatus[] = [];
  for (let index = 0; index < plan.uses.length; index += 1) {
    const use = plan.uses[index];
    const status =
      use?.kind === 'bucket' ? toChargedStatus(use, states[plan.places[index] ?? -1]) : toUncounted(plan, index);
    overLimit ||= status.overLimit;
    statuses.push(status);
  }
  return { kind: 'decided', overLimit, statuses };
}

function toChargedStatus({ rule: { current } }: BucketUse, state: BucketState | undefined): DescriptorStatus {
  // INVARIANT: a charge of which the store says nothing did not fit.
  if (state === undefined) return { overLimit: true, limit: current, remaining: 0, resetMs: 0 };
  return { overLimit: false, limit: current, remaining: state.remaining, resetMs: state.resetMs };
}

/** `undefined` where nothing was asked of the bucket: a step before its own was refused. */
function resultOf(
  takes: readonly PlannedTake[],
  results: readonly LimiterResult[],
  use: BucketUse,
): LimiterResult | undefined {
  if (takes.length === 1) return results[0];
  return results[takes.findIndex(({ uses }) => uses.includes(use))];
}

function toStatus(use: BucketUse, result: LimiterResult | undefined, refused: boolean): DescriptorStatus {
  const { current, countsOverLimit, terms } = use.rule;
  const state = result?.state.limits[terms.name];
  if (state === undefined) return { overLimit: refused, limit: current, remaining: 0, resetMs: 0 };
  const { exceeded, shadow, remaining, reset_ms: resetMs } = state;
  const counts = !refused || countsOverLimit;
  // What was taken in an earlier step was given back; what was refused was not taken from what remains.
  const change = (result?.kind === 'taken' ? use.hits : 0) - (counts ? use.hits : 0);
  return {
    overLimit: refused && exceeded && !shadow,
    limit: current,
    remaining: Math.max(0, remaining + change),
    resetMs,
  };
}

const UNLIMITED: DescriptorStatus = { overLimit: false, remaining: 0, resetMs: 0 };
/** The most that the answer's field can say (envoyproxy/ratelimit). */
const WITHOUT_END: DescriptorStatus = { overLimit: false, remaining: 0xffff_ffff, resetMs: 0 };
