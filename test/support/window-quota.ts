import type { Charge, LimitState, TakeResult } from '../../src/decision/charges.ts';
import type { Instant, Quota } from '../../src/decision/ports.ts';
import { admit, advance, emptyBucket, fits, type Moment, toState } from '../../src/quota/arithmetic.ts';
import type { Bucket, BucketCharge, BucketTerms } from '../../src/quota/bucket.ts';
import type { Adjustment } from '../../src/quota/limiter.ts';

/** Rates and windows of the epoch, counted by the real arithmetic, without store, holds or calendars. */
export interface WindowQuota extends Quota {
  readonly takes: number;
  readonly adjusted: readonly Adjustment[];
  adjust(adjustments: readonly Adjustment[], at: Instant): void;
}

export function createWindowQuota(): WindowQuota {
  const buckets = new Map<string, Bucket>();
  const adjusted: Adjustment[] = [];
  let takes = 0;

  function bucketOf(charge: Charge, at: Instant): Counted {
    const terms = toTerms(charge);
    const moment = momentOf(terms, at);
    const bucket = buckets.get(terms.id) ?? emptyBucket(terms, moment);
    buckets.set(terms.id, bucket);
    advance(bucket, terms, moment);
    return { charge, terms, moment, bucket };
  }

  return {
    get takes() {
      return takes;
    },
    adjusted,
    take({ plans: [plan = []] }, at): TakeResult {
      takes += 1;
      const counted = plan.map((charge) => bucketOf(charge, at));
      const fitted = counted.map(({ bucket, terms, charge }) => fits(bucket, terms, charge.terms.cost));
      const taken = counted.every(({ charge }, index) => charge.terms.mode === 'shadow' || fitted[index] === true);
      const limits: [string, LimitState][] = counted.map(({ charge, bucket, terms, moment }, index) => {
        const fit = fitted[index] === true;
        if (taken && fit) admit(bucket, toBucketCharge(charge, terms), '', moment.nowMs);
        return [charge.terms.name, toLimitState(charge, toState(bucket, terms, moment, charge.terms.cost, fit))];
      });
      const state = { plan: 0, taken, limits: Object.fromEntries(limits) };
      if (!taken) return { kind: 'exceeded', state };
      const release = (): void => {
        for (const { charge, bucket, terms, moment } of counted) {
          admit(bucket, { ...toBucketCharge(charge, terms), cost: -charge.terms.cost }, '', moment.nowMs);
        }
      };
      return { kind: 'taken', take: { reservationId: undefined, release }, state };
    },
    adjust(adjustments, at) {
      adjusted.push(...adjustments);
      for (const { charge, hits } of adjustments) {
        const { bucket, terms, moment } = bucketOf(charge, at);
        admit(bucket, { ...toBucketCharge(charge, terms), cost: hits }, '', moment.nowMs);
      }
    },
  };
}

interface Counted {
  readonly charge: Charge;
  readonly terms: BucketTerms;
  readonly moment: Moment;
  readonly bucket: Bucket;
}

function toTerms({ terms: { name, kind, limit, burst, periodSeconds = 0 }, key }: Charge): BucketTerms {
  const periodMs = periodSeconds * 1000;
  return {
    id: JSON.stringify([name, kind, periodMs, key]),
    kind,
    limit,
    burst,
    periodMs: kind === 'rate' ? periodMs : 1,
    region: 'outsiders',
    scope: 'shared',
    ...(kind === 'window' ? { windows: { at: (epochMs: number) => spanOf(epochMs, periodMs) } } : {}),
  };
}

function spanOf(epochMs: number, periodMs: number): { readonly startMs: number; readonly endMs: number } {
  const startMs = epochMs - (epochMs % periodMs);
  return { startMs, endMs: startMs + periodMs };
}

function momentOf({ windows }: BucketTerms, { epochMs, monotonicMs }: Instant): Moment {
  const span = windows?.at(epochMs);
  return span === undefined ? { nowMs: monotonicMs, startMs: 0, endMs: 0 } : { nowMs: epochMs, ...span };
}

function toBucketCharge({ terms: { cost, mode } }: Charge, terms: BucketTerms): BucketCharge {
  return { terms, cost, enforced: mode === 'enforce', refundable: true };
}

function toLimitState({ terms }: Charge, state: ReturnType<typeof toState>): LimitState {
  const { limit, remaining, held, waitMs, resetMs } = state;
  return {
    kind: terms.kind,
    unit: terms.unit,
    limit,
    remaining,
    held,
    wait_ms: waitMs,
    reset_ms: resetMs,
    exceeded: !state.fits,
    shadow: terms.mode === 'shadow',
    verified: true,
  };
}
