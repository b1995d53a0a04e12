import type { LimitState } from '../decision/charges.ts';
import type { Outcome } from '../decision/ports.ts';
import type { EventCopy } from './event-copy.ts';
import { LoggedLimits, writeLimit } from './logged-limits.ts';

type IsConstant = (text: string) => boolean;

/** Members of the section `quota`. */
export function quotaMembers(
  outcome: Outcome,
  copy: EventCopy,
  isConstant: IsConstant,
): { readonly [member: string]: unknown } | undefined {
  const { quota } = outcome;
  if (quota === undefined) return undefined;
  const limits = new LoggedLimits();
  addLimits(limits, outcome, copy, isConstant);
  return { plan: quota.plan, taken: quota.taken, limits };
}

/** The same where all of it is kept, as JSON. */
export function writeQuota(outcome: Outcome, copy: EventCopy, isConstant: IsConstant): string | undefined {
  const { quota } = outcome;
  if (quota === undefined) return undefined;
  const { json } = addLimits(new WrittenLimits(), outcome, copy, isConstant);
  const taken = quota.taken ? '"taken":true' : '"taken":false';
  const head = quota.plan === undefined ? `{${taken}` : `{"plan":${quota.plan},${taken}`;
  return json === '' ? `${head}}` : `${head},"limits":{${json}}}`;
}

/** The names of limits that the route's data demand, which may be logged. */
export function requiredLimits(inspected: Outcome['inspected']): readonly string[] | undefined {
  return inspected?.kind === 'inspected' ? inspected.route?.requiredLimits : undefined;
}

interface Limits {
  add(name: string, state: LimitState): void;
}

class WrittenLimits implements Limits {
  json = '';

  add(name: string, state: LimitState): void {
    this.json += writeLimit(name, state, this.json === '');
  }
}

/** Names of limits are made by policy: logged where they are its constants or named by the route's data. */
function addLimits<To extends Limits>(
  to: To,
  { quota, inspected }: Outcome,
  copy: EventCopy,
  isConstant: IsConstant,
): To {
  const limits = quota?.limits ?? NO_LIMITS;
  const required = requiredLimits(inspected);
  let seen = 0;
  for (const name in limits) {
    const state = limits[name];
    if (state === undefined || !Object.hasOwn(limits, name)) continue;
    seen += 1;
    if (seen > MAX_LIMITS) break;
    if (required?.includes(name) === true || isConstant(name)) to.add(name, state);
    else copy.erase('/input/quota/limits');
  }
  return to;
}

const MAX_LIMITS = 16;
const NO_LIMITS: NonNullable<Outcome['quota']>['limits'] = {};
