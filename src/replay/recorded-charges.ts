import type { Charge, ChargePlan, LimitState, QuotaState, TakeRequest, TakeResult } from '../decision/charges.ts';
import { deny } from '../decision/decision.ts';
import type { Quota } from '../decision/ports.ts';
import { recordedQuota } from '../decision/recorded-quota.ts';
import { fieldsOf, type Ignorance } from './known-input.ts';
import type { RecordedDecision } from './recorded-event.ts';

/** One limit of one request: what was, or would be, taken of it. */
export interface ChargedLimit {
  readonly name: string;
  readonly unit: string;
  readonly cost: number;
}

/** What an event tells of limits; `undefined` where a plan was asked for that it does not tell. */
interface LoggedPlans {
  readonly taken: number | undefined;
  readonly plans: readonly (readonly LoggedCharge[])[];
}

interface LoggedCharge extends ChargedLimit {
  readonly kind: string;
  readonly limit: number;
}

/**
 * Answers takes from what an event recorded of its limits. `ignorant` is told where that is too little to know what a
 * take would have come to; the answer is then worth nothing.
 */
export function chargesOf(event: RecordedDecision, ignorant: (ignorance: Ignorance) => void): Quota {
  return { take: (request) => answer(event, request, ignorant) };
}

/** What an Allow was charged; nothing for a Deny, which gives back. */
export function chargedBy(event: RecordedDecision): readonly ChargedLimit[] {
  const logged = loggedPlans(event.charges);
  if (event.answer.kind === 'deny' || logged?.taken === undefined) return [];
  return logged.plans[logged.taken] ?? [];
}

function answer(
  event: RecordedDecision,
  request: TakeRequest,
  ignorant: (ignorance: Ignorance) => void,
): TakeResult | Promise<TakeResult> {
  if (request.plans[0]?.length === 0) return { kind: 'taken', take: undefined, state: NOTHING_WANTED };
  const { code } = event.answer;
  const logged = event.charges === undefined ? undefined : loggedPlans(event.charges);
  const state = recordedState(event);
  if (state === undefined && code !== undefined && BEFORE_TAKING.has(code)) {
    // Nobody was asked: what the limits would have said is not known, and they count as untouched.
    return recordedQuota({ decision: deny(code) }).take(request, NO_MATTER);
  }
  if (state === undefined || logged === undefined) {
    const isTouched = event.touched.some(([, section]) => section === 'quota');
    const path = state === undefined ? 'quota.limits' : 'charges';
    ignorant({ why: isTouched ? 'masked' : 'not_told', path });
    return { kind: 'unavailable', state: NOTHING_WANTED, cause: 'not recorded' };
  }
  const isSame = sameCharges(logged.plans, request.plans, state);
  return recordedQuota({
    quota: state,
    plans: isSame ? request.plans : logged.plans.map((plan) => plan.map(toCharge)),
    decision: deny(code ?? 'policy_denied'),
  }).take(request, NO_MATTER);
}

const NOTHING_WANTED: QuotaState = { plan: 0, taken: true, limits: {} };
const NO_MATTER = { epochMs: 0, monotonicMs: 0 };

/** Codes of decisions whose limits said nothing that could be taken. */
const BEFORE_TAKING: ReadonlySet<string> = new Set(['invalid_charges', 'quota_missing', 'policy_error']);

/** An event tells no key and no burst of a limit: two charges that differ in these alone look the same here. */
function sameCharges(logged: LoggedPlans['plans'], plans: readonly ChargePlan[], { limits }: QuotaState): boolean {
  return (
    logged.length === plans.length &&
    plans.every((plan, number) => {
      const before = logged[number] ?? [];
      return (
        before.length === plan.length &&
        plan.every(({ terms }) => {
          const own = before.find(({ name }) => name === terms.name);
          const shadow = Object.hasOwn(limits, terms.name) ? limits[terms.name]?.shadow : undefined;
          return (
            own?.unit === terms.unit &&
            own.kind === terms.kind &&
            own.limit === terms.limit &&
            own.cost === terms.cost &&
            (shadow === undefined || shadow === (terms.mode === 'shadow'))
          );
        })
      );
    })
  );
}

function toCharge({ name, unit, kind, limit, cost }: LoggedCharge): Charge {
  const terms = { name, unit, kind, limit, cost, burst: limit, dimensions: [], mode: 'enforce', scope: 'tenant' };
  // Of an earlier charge only the name and the cost are looked at; the rest is there to make one.
  return { terms: { ...terms, onFailure: 'deny', charge: 'admitted' } as unknown as Charge['terms'], key: [] };
}

function loggedPlans(value: unknown): LoggedPlans | undefined {
  const charges = fieldsOf(value);
  const plans = charges?.['plans'];
  if (charges === undefined || !Array.isArray(plans)) return undefined;
  const read: LoggedCharge[][] = [];
  for (const plan of plans) {
    if (!Array.isArray(plan)) return undefined;
    const known = plan.flatMap(toLoggedCharge);
    if (known.length !== plan.length) return undefined;
    read.push(known);
  }
  const { plan } = charges;
  return { taken: typeof plan === 'number' ? plan : undefined, plans: read };
}

function toLoggedCharge(value: unknown): readonly LoggedCharge[] {
  const { name, unit, kind, limit, cost } = fieldsOf(value) ?? {};
  if (typeof name !== 'string' || typeof unit !== 'string' || typeof kind !== 'string') return [];
  if (typeof limit !== 'number' || typeof cost !== 'number') return [];
  return [{ name, unit, kind, limit, cost }];
}

/** `undefined` where the event has no whole account of how the limits stood. */
function recordedState(event: RecordedDecision): QuotaState | undefined {
  const quota = fieldsOf(event.input['quota']);
  const { plan, taken, limits = {} } = quota ?? {};
  const states = fieldsOf(limits);
  if (typeof taken !== 'boolean' || states === undefined) return undefined;
  if (event.touched.some(([input, section]) => input === 'input' && (section === undefined || section === 'quota'))) {
    return undefined;
  }
  const entries: [string, LimitState][] = [];
  for (const [name, value] of Object.entries(states)) {
    const state = toState(value);
    if (state === undefined) return undefined;
    entries.push([name, state]);
  }
  return { taken, limits: Object.fromEntries(entries), ...(typeof plan === 'number' ? { plan } : {}) };
}

function toState(value: unknown): LimitState | undefined {
  const fields = fieldsOf(value) ?? {};
  for (const name of ['limit', 'remaining', 'held', 'wait_ms', 'reset_ms']) {
    if (typeof fields[name] !== 'number') return undefined;
  }
  for (const name of ['exceeded', 'shadow', 'verified']) if (typeof fields[name] !== 'boolean') return undefined;
  for (const name of ['kind', 'unit']) if (typeof fields[name] !== 'string') return undefined;
  // Each member was looked at.
  return fields as unknown as LimitState;
}
