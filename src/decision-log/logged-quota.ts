import type { Outcome } from '../decision/ports.ts';
import type { EventCopy } from './event-copy.ts';
import { LoggedLimits, writeLimit } from './logged-limits.ts';

type IsConstant = (text: string) => boolean;

/**
 * Members of the section `quota`. Names of limits are made by policy: logged where they are its constants or named by the
 * route's data.
 */
export function quotaMembers(
  { quota, inspected }: Outcome,
  copy: EventCopy,
  isConstant: IsConstant,
): { readonly [member: string]: unknown } | undefined {
  if (quota === undefined) return undefined;
  const required = requiredLimits(inspected);
  const limits = new LoggedLimits();
  let seen = 0;
  for (const name in quota.limits) {
    const state = quota.limits[name];
    if (state === undefined || !Object.hasOwn(quota.limits, name)) continue;
    seen += 1;
    if (seen > MAX_LIMITS) break;
    if (required?.includes(name) === true || isConstant(name)) limits.add(name, state);
    else copy.erase('/input/quota/limits');
  }
  return { plan: quota.plan, taken: quota.taken, limits };
}

/** The same where all of it is kept, as JSON. */
export function writeQuota({ quota, inspected }: Outcome, copy: EventCopy, isConstant: IsConstant): string | undefined {
  if (quota === undefined) return undefined;
  const required = requiredLimits(inspected);
  let limits = '';
  let seen = 0;
  for (const name in quota.limits) {
    const state = quota.limits[name];
    if (state === undefined || !Object.hasOwn(quota.limits, name)) continue;
    seen += 1;
    if (seen > MAX_LIMITS) break;
    if (required?.includes(name) === true || isConstant(name)) limits += writeLimit(name, state, limits === '');
    else copy.erase('/input/quota/limits');
  }
  const taken = quota.taken ? '"taken":true' : '"taken":false';
  const head = quota.plan === undefined ? `{${taken}` : `{"plan":${quota.plan},${taken}`;
  return limits === '' ? `${head}}` : `${head},"limits":{${limits}}}`;
}

const MAX_LIMITS = 16;

function requiredLimits(inspected: Outcome['inspected']): readonly string[] | undefined {
  return inspected?.kind === 'inspected' ? inspected.route?.requiredLimits : undefined;
}
