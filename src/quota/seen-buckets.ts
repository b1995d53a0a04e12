import { LRUCache } from 'lru-cache';
import type { PlannedPlan } from './bucket-terms.ts';

/** Which buckets of a tenant this process was asked for lately. */
export interface SeenBuckets {
  note(tenant: string, charges: PlannedPlan): void;
  /** Each bucket once, but those of very long keys; empty for a tenant that was not seen lately. */
  of(tenant: string): PlannedPlan;
}

/** Keeps some hundred buckets of each tenant, those first seen go first. In bounded memory. */
export function createSeenBuckets(): SeenBuckets {
  const tenants = new LRUCache<string, Map<string, PlannedPlan[number]>>({ max: MAX_TENANTS });
  let last: { readonly tenant: string; readonly seen: Map<string, PlannedPlan[number]> } | undefined;

  function seenOf(tenant: string): Map<string, PlannedPlan[number]> {
    // The last one asked for is the one that was used last.
    if (last?.tenant === tenant) return last.seen;
    let seen = tenants.get(tenant);
    if (seen === undefined) {
      seen = new Map();
      tenants.set(tenant, seen);
    }
    last = { tenant, seen };
    return seen;
  }

  return {
    note: (tenant, charges) => {
      // The anonymous have no tenant.
      if (tenant === '') return;
      const seen = seenOf(tenant);
      for (const charge of charges) {
        const { terms, shape, key } = charge;
        // What is counted across tenants is no tenant's.
        if (terms.scope !== 'tenant' || shape.internal) continue;
        if (seen.get(terms.id) === charge || lengthOf(key) > MAX_KEY) continue;
        seen.set(terms.id, charge);
        if (seen.size > MAX_BUCKETS) seen.delete(seen.keys().next().value ?? '');
      }
    },
    of: (tenant) => [...(tenants.peek(tenant)?.values() ?? [])],
  };
}

const MAX_TENANTS = 512;
const MAX_BUCKETS = 256;
/** In characters, all values of a key together: callers choose some of them, and they are kept as they are. */
const MAX_KEY = 1024;

function lengthOf(key: readonly string[]): number {
  let length = 0;
  for (const value of key) length += value.length;
  return length;
}
