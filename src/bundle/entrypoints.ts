import { isObject } from '../decision/json.ts';
import { BundleError } from './errors.ts';

/** The entrypoints that a plan (OPA's intermediate representation) was made for, sorted. */
export function planEntrypoints(plan: unknown): readonly string[] {
  const plans = isObject(plan) && isObject(plan['plans']) ? plan['plans']['plans'] : undefined;
  if (!Array.isArray(plans)) throw new BundleError('bundle_invalid', '`plan.json` has no list of plans');
  if (plans.length > MAX_ENTRYPOINTS) {
    throw new BundleError('bundle_too_large', `\`plan.json\` has more than ${MAX_ENTRYPOINTS} entrypoints`);
  }
  return plans
    .map((one: unknown) => {
      const name = isObject(one) ? one['name'] : undefined;
      if (typeof name !== 'string') throw new BundleError('bundle_invalid', '`plan.json` has a plan without a name');
      return name;
    })
    .sort();
}

const MAX_ENTRYPOINTS = 1_000;
