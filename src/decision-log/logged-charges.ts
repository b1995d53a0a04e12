import type { ChargeTerms } from '../decision/charge-terms.ts';
import { ownText } from '../decision/own-text.ts';
import type { Outcome } from '../decision/ports.ts';
import { quoteSafe } from '../telemetry/json-line.ts';
import { type AllowList, allowed } from './allow-list.ts';
import { requiredLimits } from './logged-quota.ts';

/** `charges` of an event: what the plans asked for, in their order, and which of them was taken. */
export interface LoggedCharges {
  readonly plan?: number;
  readonly plans: readonly (readonly LoggedCharge[])[];
}

/** Without the key: whose limit it is. */
export interface LoggedCharge {
  readonly name: string;
  readonly unit: string;
  readonly kind: string;
  readonly limit: number;
  readonly cost: number;
}

/** Whether the allow-list keeps limits; what is charged says nothing that they do not. */
export function keepsLimits(list: AllowList): boolean {
  const quota = list.get('quota');
  return quota !== undefined && allowed(quota, 'limits') !== undefined;
}

/** The member with its comma; empty where it would be long, or where a name may not be logged. */
export function writeCharges(outcome: Outcome, isConstant: IsConstant): string {
  const { plans = [], quota, inspected } = outcome;
  const required = requiredLimits(inspected);
  const json = plansJson(plans, required, isConstant);
  if (json === '') return '';
  const taken = quota?.taken === true && quota.plan !== undefined ? `"plan":${quota.plan},` : '';
  return `,"charges":{${taken}"plans":[${json}]}`;
}

type IsConstant = (text: string) => boolean;
type Plans = NonNullable<Outcome['plans']>;

/** Of plans that requests share, which are frozen: what was written of them last. */
const KNOWN = new WeakMap<Plans, Known>();

interface Known {
  readonly required: readonly string[] | undefined;
  readonly isConstant: IsConstant;
  readonly json: string;
}

function plansJson(plans: Plans, required: readonly string[] | undefined, isConstant: IsConstant): string {
  const known = KNOWN.get(plans);
  if (known !== undefined && known.required === required && known.isConstant === isConstant) return known.json;
  const json = writePlans(plans, required, isConstant);
  if (Object.isFrozen(plans)) KNOWN.set(plans, { required, isConstant, json: ownText(json) });
  return json;
}

function writePlans(plans: Plans, required: readonly string[] | undefined, isConstant: IsConstant): string {
  let json = '';
  for (const plan of plans) {
    let charges = '';
    for (const { terms } of plan) {
      if (required?.includes(terms.name) !== true && !isConstant(terms.name)) return '';
      charges += (charges === '' ? '' : ',') + writeTerms(terms);
    }
    json += `${json === '' ? '' : ','}[${charges}]`;
    if (json.length > MAX_LENGTH) return '';
  }
  return json;
}

const MAX_LENGTH = 2048;

/** Terms are shared between requests. */
const WRITTEN = new WeakMap<ChargeTerms, string>();

function writeTerms(terms: ChargeTerms): string {
  const known = WRITTEN.get(terms);
  if (known !== undefined) return known;
  const { name, unit, kind, limit, cost } = terms;
  const written = `{"name":${quoteSafe(name)},"unit":"${unit}","kind":"${kind}","limit":${limit},"cost":${cost}}`;
  WRITTEN.set(terms, written);
  return written;
}
