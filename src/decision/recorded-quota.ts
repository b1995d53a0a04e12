import {
  type Charge,
  type ChargePlan,
  type LimitState,
  NEVER,
  type QuotaState,
  type TakeRequest,
  type TakeResult,
} from './charges.ts';
import type { Outcome, Quota } from './ports.ts';

/**
 * Answers takes from what one decision recorded of its limits: the same plans get the same answer, others are judged on
 * what was left of the limits they share. A limit that was not asked then counts as untouched.
 */
export function recordedQuota(recorded: Pick<Outcome, 'quota' | 'plans' | 'decision' | 'observed' | 'cause'>): Quota {
  const { quota, plans = [] } = recorded;
  return {
    take: (request) => {
      if (quota === undefined) return judge(request, NOTHING_RECORDED, []);
      const same = samePlans(plans, request.plans);
      const code = (recorded.observed ?? recorded.decision) as { readonly code?: string };
      if (code.code === 'quota_unavailable' || code.code === 'overloaded') {
        return { kind: 'unavailable', state: quota, cause: recorded.cause ?? 'as recorded' };
      }
      if (!same) return judge(request, quota, plans);
      if (quota.taken) return { kind: 'taken', take: undefined, state: quota };
      return exceededAs(quota, code.code === 'cost_exceeds_limit');
    },
  };
}

const NOTHING_RECORDED: QuotaState = { taken: false, limits: {} };

function exceededAs(state: QuotaState, never: boolean): TakeResult {
  if (never) return { kind: 'exceeded', state };
  const waits = Object.values(state.limits).map(({ wait_ms }) => wait_ms);
  return { kind: 'exceeded', state, retryMs: Math.max(0, ...waits) };
}

function judge({ plans }: TakeRequest, quota: QuotaState, before: readonly ChargePlan[]): TakeResult {
  const taken = quota.plan === undefined ? [] : (before[quota.plan] ?? []);
  let first: QuotaState | undefined;
  for (const [number, plan] of plans.entries()) {
    const limits = plan.map((charge) => [charge.terms.name, toState(charge, quota, taken)] as const);
    const fits = limits.every(([, { exceeded, shadow }]) => shadow || !exceeded);
    const state = { taken: fits, limits: Object.fromEntries(limits), ...(fits ? { plan: number } : {}) };
    if (fits) return { kind: 'taken', take: undefined, state };
    first ??= state;
  }
  const state = first ?? NOTHING_RECORDED;
  return exceededAs(
    state,
    Object.values(state.limits).some(({ wait_ms }) => wait_ms === NEVER),
  );
}

/** What the limit would have said to this charge: what was left, and what the first decision itself had taken. */
function toState({ terms }: Charge, quota: QuotaState, taken: ChargePlan): LimitState {
  const { name, kind, unit, limit, burst, cost, mode } = terms;
  const known = Object.hasOwn(quota.limits, name) ? quota.limits[name] : undefined;
  const own = taken.find((charge) => charge.terms.name === name)?.terms.cost ?? 0;
  const available = known === undefined ? burst : Math.min(burst, known.remaining + own);
  const exceeded = cost > available;
  return {
    kind,
    unit,
    limit,
    remaining: exceeded ? available : available - cost,
    held: known?.held ?? 0,
    wait_ms: cost > burst ? NEVER : exceeded ? (known?.wait_ms ?? 0) : 0,
    reset_ms: known?.reset_ms ?? 0,
    exceeded,
    shadow: mode === 'shadow',
    verified: known?.verified ?? false,
  };
}

function samePlans(a: readonly ChargePlan[], b: readonly ChargePlan[]): boolean {
  return a.length === b.length && JSON.stringify(a) === JSON.stringify(b);
}
