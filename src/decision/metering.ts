import { addressKey } from './address-key.ts';
import {
  type ChargePlan,
  missingLimits,
  parsePlans,
  principalKey,
  type QuotaState,
  type TakeRequest,
  type TakeResult,
} from './charges.ts';
import { type Deny, deny } from './decision.ts';
import { RequestFault } from './errors.ts';
import type { Inspected, NamedDecision } from './ports.ts';
import { type QuotaNotice, toQuotaNotice } from './quota-headers.ts';
import { missingStates, unaskedState, withEveryLimit } from './quota-state.ts';
import { accepted, identified, type Trace } from './trace.ts';

/**
 * What is to be taken, of what `limits` said; `undefined` for a decision that has no `limits`. Forgetting denies: every
 * limit that the route requires must be in every plan.
 */
export function toPlans(
  trace: Trace,
  { name, limits }: NamedDecision,
  result: unknown,
): readonly ChargePlan[] | undefined {
  const { principal, peer } = identified(trace);
  const inspected = accepted(trace);
  const required = requiredLimits(inspected);
  if (limits === undefined) {
    if (required.length === 0) return undefined;
    throw new RequestFault('quota_missing', `the decision \`${name}\` has no \`limits\`, and the route requires some`);
  }
  const { request } = trace;
  const plans = parsePlans(result, { method: 'method' in request ? request.method : '', inspected, principal, peer });
  const missing = missingLimits(plans, required);
  if (missing.length > 0) {
    throw new RequestFault('quota_missing', `\`${limits}\` charges nothing for \`${missing.join('`, `')}\``);
  }
  return plans;
}

/**
 * The answer to plans that take nothing of an anonymous caller: no store is asked, so that neither its time nor its
 * failure tells him which paths there are.
 */
export function takesNothing(trace: Trace, plans: readonly ChargePlan[]): TakeResult | undefined {
  if (identified(trace).principal !== undefined) return undefined;
  const [plan] = plans;
  if (plan === undefined || plan.length === 0) return undefined;
  if (!plan.every(({ terms }) => terms.cost === 0 && terms.reserve === undefined)) return undefined;
  const limits = plan.map(
    ({ terms }) => [terms.name, unaskedState(terms, { exceeded: false, shadow: terms.mode === 'shadow' })] as const,
  );
  return { kind: 'taken', take: undefined, state: { plan: 0, taken: true, limits: Object.fromEntries(limits) } };
}

/** With the holds of the anonymous counted by their network. */
export function toTakeRequest(trace: Trace, plans: readonly ChargePlan[]): TakeRequest {
  const { principal } = identified(trace);
  const { route, network } = accepted(trace);
  return {
    plans,
    holder: principal === undefined ? addressKey(network.client_ip ?? '') : principalKey(principal),
    tenant: principal?.tenant ?? '',
    model: route?.model ?? '',
  };
}

/**
 * What one atomic take of the plans came to: the Deny that stands whatever the decision says, or `undefined` when a
 * plan was taken.
 */
export function judgeTake(trace: Trace, taken: TakeResult, plans: readonly ChargePlan[]): Deny | undefined {
  const required = requiredLimits(accepted(trace));
  trace.quota = withEveryLimit(taken.state, plans, required);
  switch (taken.kind) {
    case 'taken': {
      trace.take = taken.take;
      // INVARIANT: a store that does not say that it took every required limit did not.
      if (trace.quota === taken.state) return undefined;
      const absent = missingStates(taken.state, required);
      trace.cause = `the quota store took nothing for \`${absent.join('`, `')}\``;
      return deny('quota_unavailable');
    }
    case 'exceeded':
      return exceeded(trace, plans, trace.quota, taken.retryMs);
    case 'unavailable':
      trace.cause = taken.cause;
      return deny(taken.overloaded === true ? 'overloaded' : 'quota_unavailable');
    default:
      throw new RequestFault('internal', 'the quota store gave no answer');
  }
}

function exceeded(trace: Trace, plans: readonly ChargePlan[], state: QuotaState, retryMs: number | undefined): Deny {
  trace.cause = retryMs === undefined ? 'no plan fits even into untouched limits' : 'no plan fits what is left';
  const { headers, violated } = toQuotaNotice(plans, state, { retryMs });
  const openAi = accepted(trace).path.startsWith('/v1/');
  return deny(retryMs === undefined ? 'cost_exceeds_limit' : 'quota_exceeded', {
    headers,
    exceeded: { violated, openAi },
  });
}

function requiredLimits({ route }: Inspected): readonly string[] {
  return route === null ? NO_LIMITS : route.requiredLimits;
}

const NO_LIMITS: readonly string[] = [];

/** What an Allow tells of what was taken. */
export function noticeOf({ plans, quota }: Trace, refusal: Deny | undefined): QuotaNotice | undefined {
  if (plans === undefined || quota === undefined || refusal !== undefined) return undefined;
  return toQuotaNotice(plans, quota, undefined);
}
