import type { Take, TakeResult } from '../decision/charges.ts';
import type { Clock, Instant, Quota } from '../decision/ports.ts';
import type { DescriptorLimit, DescriptorTable } from './descriptors.ts';
import {
  type BucketUse,
  type DescriptorRequest,
  type PlannedTake,
  planRequest,
  type RequestPlan,
} from './descriptors-plan.ts';
import type { Adjustment } from './limiter.ts';

export interface DescriptorLimitsPorts {
  /** The rules in force, the same object until they change; `undefined` before there are any. */
  readonly table: () => DescriptorTable | undefined;
  readonly quota: Quota;
  /** Counts whether it fits or not. */
  readonly adjust: (adjustments: readonly Adjustment[], at: Instant) => void | Promise<void>;
  readonly clock: Clock;
  /** Told where hits were to be counted by force and could not. */
  readonly onFault: (error: unknown) => void;
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
  const { quota, clock } = ports;
  let plans = new WeakMap<DescriptorRequest, RequestPlan>();
  let planned: DescriptorTable | undefined;

  function planOf(table: DescriptorTable, request: DescriptorRequest): RequestPlan {
    if (table !== planned) {
      plans = new WeakMap();
      planned = table;
    }
    const before = plans.get(request);
    if (before !== undefined) return before;
    const plan = planRequest(table, request);
    plans.set(request, plan);
    return plan;
  }

  return (request) => {
    const table = ports.table();
    if (table === undefined) return { kind: 'undecided', cause: 'there are no rules yet' };
    const plan = planOf(table, request);
    const [take, ...more] = plan.takes;
    const at = clock.now();
    if (take === undefined) return conclude(plan, [], false);
    if (more.length > 0 || plan.givenBack.length > 0) return limitInSteps(ports, plan, at);
    const result = quota.take(take.request, at);
    return result instanceof Promise
      ? result.then((taken) => afterTake(ports, plan, taken, at))
      : afterTake(ports, plan, result, at);
  };
}

function afterTake(
  ports: DescriptorLimitsPorts,
  plan: RequestPlan,
  result: TakeResult,
  at: Instant,
): DescriptorAnswer | Promise<DescriptorAnswer> {
  switch (result.kind) {
    case 'taken':
      return conclude(plan, [result], false);
    case 'unavailable':
      return { kind: 'undecided', cause: result.cause };
    case 'exceeded': {
      const counted = countRefused(ports, plan, [result], at);
      const answer = conclude(plan, [result], true);
      return counted === undefined ? answer : counted.then(() => answer);
    }
  }
}

/** Gives back first, and then takes what cannot be one step, one after the other; all of it or nothing. */
async function limitInSteps(ports: DescriptorLimitsPorts, plan: RequestPlan, at: Instant): Promise<DescriptorAnswer> {
  if (plan.givenBack.length > 0) await ports.adjust(plan.givenBack, at);
  const results: TakeResult[] = [];
  const takes: Take[] = [];
  for (const { request } of plan.takes) {
    const result = await ports.quota.take(request, at);
    results.push(result);
    if (result.kind === 'taken') {
      if (result.take !== undefined) takes.push(result.take);
      continue;
    }
    for (const take of takes) take.release();
    if (result.kind === 'unavailable') return { kind: 'undecided', cause: result.cause };
    await countRefused(ports, plan, results, at);
    return conclude(plan, results, true);
  }
  return conclude(plan, results, false);
}

/**
 * Counts the hits of a refused request where the rules say so. A window of which nothing is left is let be: however
 * much more is counted, it refuses until it ends, and then forgets.
 */
function countRefused(
  { adjust, onFault }: DescriptorLimitsPorts,
  { takes }: RequestPlan,
  results: readonly TakeResult[],
  at: Instant,
): Promise<void> | undefined {
  const adjustments: Adjustment[] = [];
  for (const [index, take] of takes.entries()) {
    const result = results[index];
    for (const [place, use] of take.uses.entries()) {
      const charge = take.request.plans[0]?.[place];
      if (charge === undefined || !use.rule.countsOverLimit || use.hits === 0) continue;
      const left = result?.kind === 'exceeded' ? result.state.limits[use.rule.terms.name]?.remaining : undefined;
      if (left !== 0 || use.rule.terms.kind !== 'window') adjustments.push({ charge, hits: use.hits });
    }
  }
  return adjustments.length === 0 ? undefined : adjustOrReport(adjust, adjustments, at, onFault);
}

async function adjustOrReport(
  adjust: DescriptorLimitsPorts['adjust'],
  adjustments: readonly Adjustment[],
  at: Instant,
  onFault: (error: unknown) => void,
): Promise<void> {
  try {
    await adjust(adjustments, at);
  } catch (error) {
    onFault(error);
  }
}

function conclude(plan: RequestPlan, results: readonly TakeResult[], refused: boolean): DescriptorAnswer {
  let overLimit = refused;
  const statuses: DescriptorStatus[] = [];
  for (let index = 0; index < plan.uses.length; index += 1) {
    const use = plan.uses[index];
    if (use === undefined) {
      statuses.push(UNLIMITED);
    } else if (use.kind === 'bucket') {
      statuses.push(toStatus(use, resultOf(plan.takes, results, use), refused));
    } else if (use.kind === 'unlimited') {
      statuses.push(WITHOUT_END);
    } else {
      const over = !use.shadow && plan.asks[index] !== false;
      overLimit ||= over;
      statuses.push({ overLimit: over, limit: use.current, remaining: 0, resetMs: 0 });
    }
  }
  return { kind: 'decided', overLimit, statuses };
}

/** `undefined` where nothing was asked of the bucket: a step before its own was refused. */
function resultOf(
  takes: readonly PlannedTake[],
  results: readonly TakeResult[],
  use: BucketUse,
): TakeResult | undefined {
  if (takes.length === 1) return results[0];
  return results[takes.findIndex(({ uses }) => uses.includes(use))];
}

function toStatus(use: BucketUse, result: TakeResult | undefined, refused: boolean): DescriptorStatus {
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
