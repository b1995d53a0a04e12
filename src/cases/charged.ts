import type { Charge, ChargePlan } from '../decision/charges.ts';
import type { Outcome } from '../decision/ports.ts';

/** The plan that was taken, or the first where none was; `undefined` where nothing was to be taken. */
export function countedPlan({ plans, quota }: Pick<Outcome, 'plans' | 'quota'>): ChargePlan | undefined {
  return plans?.[quota?.plan ?? 0];
}

/** A charge in the words that policies use. */
export function chargeTermsOf({ terms }: Charge): { readonly [term: string]: unknown } {
  const { name: _name, dimensions, periodSeconds, onFailure, reserve, meter: _meter, ...rest } = terms;
  return {
    ...rest,
    key: dimensions,
    ...(periodSeconds === undefined ? {} : { per_seconds: periodSeconds }),
    on_failure: onFailure,
    ...(reserve === undefined
      ? {}
      : { reserve: { ttl_seconds: reserve.ttlSeconds, on_expiry: reserve.onExpiry, at_least: reserve.atLeast } }),
  };
}
