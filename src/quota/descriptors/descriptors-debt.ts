import type { LimitState, QuotaState, TakeRequest, TakeResult } from '../../decision/charges.ts';
import type { Instant } from '../../decision/ports.ts';
import type { Adjustment } from '../limiter.ts';
import type { BucketUse, RequestPlan } from './descriptors-plan.ts';

export interface DebtPorts {
  readonly quota: { take(request: TakeRequest, at: Instant): TakeResult | Promise<TakeResult> };
  readonly adjust: (adjustments: readonly Adjustment[], at: Instant) => void | Promise<void>;
  /** Told where something was to be counted by force and could not. */
  readonly onFault: (error: unknown) => void;
}

/** How the buckets of one take of a refused request stand. */
export interface Standing {
  readonly limits: QuotaState['limits'];
  /** Whether its hits were taken before it said so, and are given back. */
  readonly givenBack: boolean;
}

/** How those stand that were not asked when an earlier take was refused, where hits may become a debt. */
export async function lookAtRest(
  { quota, onFault }: DebtPorts,
  { takes }: RequestPlan,
  from: number,
  at: Instant,
): Promise<readonly (Standing | undefined)[]> {
  const looked: (Standing | undefined)[] = [];
  for (const { request, uses } of takes.slice(from)) {
    const owes = uses.some(({ rule, hits }) => rule.countsOverLimit && rule.terms.kind === 'rate' && hits > 0);
    try {
      const result = owes ? await quota.take(toLook(request), at) : undefined;
      looked.push(result && { limits: result.state.limits, givenBack: false });
    } catch (error) {
      onFault(error);
      looked.push(undefined);
    }
  }
  return looked;
}

function toLook(request: TakeRequest): TakeRequest {
  const plans = request.plans.map((plan) =>
    plan.map(({ terms, key }) => ({ terms: { ...terms, cost: 0, mode: 'shadow' as const }, key })),
  );
  return { ...request, plans };
}

/** Counts the hits of a refused request where the rules say so; `standings` are those of its takes. Never throws. */
export function countRefused(
  { adjust, onFault }: DebtPorts,
  { takes }: RequestPlan,
  standings: readonly (Standing | undefined)[],
  at: Instant,
): Promise<void> | undefined {
  const adjustments: Adjustment[] = [];
  for (const [index, take] of takes.entries()) {
    const standing = standings[index];
    for (const [place, use] of take.uses.entries()) {
      const charge = take.request.plans[0]?.[place];
      if (charge === undefined || !use.rule.countsOverLimit || use.hits === 0) continue;
      const hits = forcedHits(use, standing?.limits[use.rule.terms.name], standing?.givenBack === true);
      if (hits > 0) adjustments.push({ charge, hits });
    }
  }
  return adjustments.length === 0 ? undefined : adjustOrReport(adjust, adjustments, at, onFault);
}

/**
 * A window of which nothing is left is let be: however much more is counted, it refuses until it ends, and then forgets.
 * A rate owes at the most a burst or a period's refill, whichever is more: callers may have a say in how many hits there
 * are, and a debt without end would shut them out for good.
 */
function forcedHits({ rule: { terms }, hits }: BucketUse, state: LimitState | undefined, givenBack: boolean): number {
  const { kind, limit, burst, periodSeconds = 1 } = terms;
  if (kind === 'window') return state?.remaining === 0 && !givenBack ? 0 : hits;
  // How much is owed already nobody knows.
  if (state === undefined || !state.verified) return 0;
  const used = (state.reset_ms * limit) / (periodSeconds * 1000) - (givenBack ? hits : 0);
  return Math.max(0, Math.min(hits, Math.floor(burst + Math.max(burst, limit) - used)));
}

async function adjustOrReport(
  adjust: DebtPorts['adjust'],
  adjustments: readonly Adjustment[],
  at: Instant,
  onFault: (error: unknown) => void,
): Promise<void> {
  try {
    await adjust(adjustments, at);
  } catch (error) {
    onFault(error);
  }
}
