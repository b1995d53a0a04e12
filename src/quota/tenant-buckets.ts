import type { LimitState } from '../decision/charges.ts';
import type { Instant } from '../decision/ports.ts';
import type { BucketStore } from './bucket-store.ts';
import type { PlannedPlan } from './bucket-terms.ts';
import { limitState } from './quota-states.ts';

/** One bucket of a tenant, for operators. */
export interface TenantBucket {
  /** Of the limit. */
  readonly name: string;
  readonly key: readonly { readonly dimension: string; readonly value: string }[];
  readonly state: LimitState;
}

/** Asks how buckets stand; changes nothing. Throws what the store throws. */
export async function peekBuckets(
  store: BucketStore,
  seen: PlannedPlan,
  at: Instant,
): Promise<readonly TenantBucket[]> {
  const states = await store.peek(
    seen.map(({ terms }) => terms),
    at,
  );
  return seen.flatMap(({ shape, key }, index) => {
    const state = states[index];
    if (state === undefined) return [];
    const { name, dimensions } = shape.terms;
    const values = dimensions.map((dimension, place) => ({ dimension, value: key[place] ?? '' }));
    return [{ name, key: values, state: limitState(shape, state) }];
  });
}
