import { type LimitState, NEVER, type QuotaState } from '../decision/charges.ts';
import type { BucketState } from './bucket.ts';
import type { ChargeShape, PlannedPlan } from './bucket-terms.ts';

/** `input.quota` of a plan that was taken, with what is counted of it. `states` are in the order of the charges. */
export function takenState(plan: number, charges: PlannedPlan, states: readonly BucketState[]): QuotaState {
  const limits = noLimits();
  countTaken(charges, states);
  for (let at = 0; at < charges.length; at += 1) {
    const shape = charges[at]?.shape;
    const state = states[at];
    if (shape === undefined || state === undefined || shape.internal) continue;
    limits[shape.terms.name] = limitState(shape, state);
  }
  return { plan, taken: true, limits };
}

/** Counts a plan that was taken; `states` are in the order of the charges. */
export function countTaken(charges: PlannedPlan, states: readonly BucketState[]): void {
  for (let at = 0; at < charges.length; at += 1) {
    const charge = charges[at];
    const state = states[at];
    if (charge === undefined || state === undefined) continue;
    const { counts } = charge.shape;
    if (state.fits) counts.taken += charge.cost;
    else counts.shadow += 1;
    countLevel(charge.shape, state);
  }
}

/** `input.quota` where no plan fitted: of each name what the first plan that has it says. */
export function exceededState(
  plans: readonly PlannedPlan[],
  states: readonly (readonly BucketState[])[],
): { readonly state: QuotaState; readonly retryMs?: number } {
  const limits = noLimits();
  let retryMs = NEVER;
  for (let plan = 0; plan < plans.length; plan += 1) {
    const charges = plans[plan] ?? [];
    let waitMs = 0;
    for (let at = 0; at < charges.length; at += 1) {
      const charge = charges[at];
      const state = states[plan]?.[at];
      // INVARIANT: a charge of which the store says nothing did not fit.
      if (charge === undefined || state === undefined) {
        waitMs = NEVER;
        continue;
      }
      const { shape } = charge;
      if (!state.fits) {
        if (shape.enforced) {
          shape.counts.enforced += 1;
          if (state.waitMs > waitMs) waitMs = state.waitMs;
        } else {
          shape.counts.shadow += 1;
        }
      }
      countLevel(shape, state);
      if (!shape.internal && limits[shape.terms.name] === undefined) {
        limits[shape.terms.name] = limitState(shape, state);
      }
    }
    if (waitMs < retryMs) retryMs = waitMs;
  }
  const state = { taken: false, limits };
  return retryMs === NEVER ? { state } : { state, retryMs };
}

/** `input.quota` where nobody could be asked: nothing is known to be left. */
export function unknownState(plans: readonly PlannedPlan[]): QuotaState {
  const limits = noLimits();
  for (const charges of plans) {
    for (const { shape } of charges) {
      if (!shape.internal) limits[shape.terms.name] ??= unverified(shape, 0, shape.enforced);
    }
  }
  return { taken: false, limits };
}

/** `input.quota` of a plan that was admitted without the store; `remaining` of each charge, in order. */
export function unverifiedState(plan: number, charges: PlannedPlan, remaining: readonly number[]): QuotaState {
  const limits = noLimits();
  for (const [at, { shape }] of charges.entries()) {
    if (!shape.internal) limits[shape.terms.name] = unverified(shape, remaining[at] ?? 0, false);
  }
  return { plan, taken: true, limits };
}

/** What is told of one bucket. */
export function limitState({ terms, enforced }: ChargeShape, state: BucketState): LimitState {
  return {
    kind: terms.kind,
    unit: terms.unit,
    limit: state.limit,
    remaining: state.remaining,
    held: state.held,
    wait_ms: state.waitMs,
    reset_ms: state.resetMs,
    exceeded: !state.fits,
    shadow: !enforced,
    verified: true,
  };
}

type Limits = { [name: string]: LimitState };

/**
 * Without a prototype, but for one that is empty: a limit may have any name. Of objects without any V8 makes hash tables,
 * which cost more than all else that is said of a take.
 */
function noLimits(): Limits {
  return new LimitsByName();
}

const LimitsByName = function LimitsByName() {} as unknown as new () => Limits;
LimitsByName.prototype = Object.freeze(Object.create(null));

function countLevel({ counts, terms }: ChargeShape, { remaining, held }: BucketState): void {
  const ratio = remaining / terms.burst;
  if (ratio < counts.lowestRatio) counts.lowestRatio = ratio;
  if (held > counts.mostHeld) counts.mostHeld = held;
}

function unverified({ terms, enforced }: ChargeShape, remaining: number, exceeded: boolean): LimitState {
  return {
    kind: terms.kind,
    unit: terms.unit,
    limit: terms.limit,
    remaining,
    held: 0,
    wait_ms: 0,
    reset_ms: 0,
    exceeded,
    shadow: !enforced,
    verified: false,
  };
}
