import type { ChargeTerms, Dimension } from './charge-terms.ts';
import type { Charge, ChargePlan } from './charges.ts';
import { ownText } from './own-text.ts';
import type { Principal } from './principal.ts';

/** The terms of plans, before the values of their keys are known. */
export type TermLists = readonly (readonly ChargeTerms[])[];

/** The value that a dimension has for these terms now; `undefined` where it has none. */
export type ValueOf<Of> = (terms: ChargeTerms, dimension: Dimension, of: Of) => string | undefined;

/** Plans that lately came of this very result for the same caller, if all values of their keys are as they were. */
export function findPlansOf<Of>(
  principal: Principal | undefined,
  result: unknown,
  read: ValueOf<Of>,
  of: Of,
): readonly ChargePlan[] | undefined {
  if (principal === undefined || result === undefined) return undefined;
  for (const entry of KNOWN.get(principal) ?? NONE) {
    if (entry.result === result && isVariedAs(entry, read, of)) return entry.plans;
  }
  return undefined;
}

/**
 * Plans that lately came of the same terms for the same caller, if all values of their keys are as they were. Much is made
 * once of plans that requests share, which are frozen; so is a result that requests share.
 */
export function findPlans<Of>(
  principal: Principal | undefined,
  result: unknown,
  lists: TermLists,
  read: ValueOf<Of>,
  of: Of,
): readonly ChargePlan[] | undefined {
  if (principal === undefined) return undefined;
  for (const entry of KNOWN.get(principal) ?? NONE) {
    if (!isOf(entry, lists) || !isVariedAs(entry, read, of)) continue;
    if (isFrozenThrough(result)) entry.result = result;
    return entry.plans;
  }
  return undefined;
}

const NONE: readonly Entry[] = [];

/**
 * Keeps plans for a caller who stands for all his requests: one whose object is frozen, and so gone with what was
 * verified. Answers the plans that stand for them from here on.
 */
export function keepPlans(principal: Principal | undefined, plans: readonly ChargePlan[]): readonly ChargePlan[] {
  if (principal === undefined || !isKept(plans) || !Object.isFrozen(principal)) return plans;
  const copy = Object.freeze(plans.map((plan) => Object.freeze(plan.map(own))));
  KNOWN.set(principal, [toEntry(copy), ...(KNOWN.get(principal) ?? NONE).slice(0, MAX_PLANS_EACH - 1)]);
  return copy;
}

interface Entry {
  readonly plans: readonly ChargePlan[];
  /** Values that differ between requests of one caller. */
  readonly varied: readonly Varied[];
  /** The frozen result that they came of last. */
  result: unknown;
}

interface Varied {
  readonly terms: ChargeTerms;
  readonly dimension: Dimension;
  readonly value: string | undefined;
}

function toEntry(plans: readonly ChargePlan[]): Entry {
  const varied = plans.flatMap((plan) =>
    plan.flatMap(({ terms, key }) =>
      terms.dimensions.flatMap((dimension, at) =>
        isPrincipals(dimension) ? [] : [{ terms, dimension, value: key[at] }],
      ),
    ),
  );
  return { plans, varied, result: undefined };
}

/** Whether the value says something of the principal and of nothing else. */
function isPrincipals(dimension: Dimension): boolean {
  return PRINCIPALS.has(dimension) || dimension.startsWith('claim:');
}

const PRINCIPALS: ReadonlySet<Dimension> = new Set<Dimension>(['principal', 'tenant', 'key_id', 'tier']);

const KNOWN = new WeakMap<Principal, readonly Entry[]>();
const MAX_PLANS_EACH = 4;
/** What a caller can be made to fill memory with, in charges and in characters of their keys. */
const MAX_CHARGES = 16;
const MAX_KEY = 256;

function isKept(plans: readonly ChargePlan[]): boolean {
  let charges = 0;
  for (const plan of plans) {
    charges += plan.length;
    for (const { key } of plan) for (const value of key) if (value.length > MAX_KEY) return false;
  }
  return charges > 0 && charges <= MAX_CHARGES;
}

function isOf({ plans }: Entry, lists: TermLists): boolean {
  if (plans.length !== lists.length) return false;
  for (let nth = 0; nth < plans.length; nth += 1) {
    const plan = plans[nth];
    const terms = lists[nth];
    if (plan === undefined || terms === undefined || plan.length !== terms.length) return false;
    for (let at = 0; at < plan.length; at += 1) if (plan[at]?.terms !== terms[at]) return false;
  }
  return true;
}

/** What can still be changed in one of its parts may say something else when it is seen again. */
function isFrozenThrough(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return Object.isFrozen(value) && Object.values(value).every(isFrozenThrough);
}

function isVariedAs<Of>({ varied }: Entry, read: ValueOf<Of>, of: Of): boolean {
  for (const { terms, dimension, value } of varied) if (read(terms, dimension, of) !== value) return false;
  return true;
}

function own({ terms, key }: Charge): Charge {
  return { terms, key: key.map(ownText) };
}
