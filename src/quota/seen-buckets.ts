import { LRUCache } from 'lru-cache';
import type { PlannedPlan } from './bucket-terms.ts';

/** Which buckets of a tenant this process was asked for lately. */
export interface SeenBuckets {
  note(tenant: string, charges: PlannedPlan): void;
  /** Each bucket once, but those of very long keys; empty for a tenant that was not seen lately. */
  of(tenant: string): PlannedPlan;
}

/** Keeps the last charges of each tenant, and sorts them only when it is asked. In bounded memory. */
export function createSeenBuckets(): SeenBuckets {
  const tenants = new LRUCache<string, Seen>({ max: MAX_TENANTS });
  return {
    note: (tenant, charges) => {
      // The anonymous have no tenant.
      if (tenant === '') return;
      let seen = tenants.get(tenant);
      if (seen === undefined) {
        seen = { charges: [], next: 0 };
        tenants.set(tenant, seen);
      }
      for (const charge of charges) {
        if (lengthOf(charge.key) > MAX_KEY) continue;
        seen.charges[seen.next] = charge;
        seen.next = (seen.next + 1) % MAX_CHARGES;
      }
    },
    of: (tenant) => {
      const { charges = [] } = tenants.peek(tenant) ?? {};
      // What is counted across tenants is no tenant's.
      const own = charges.filter(({ terms, shape }) => terms.scope === 'tenant' && !shape.internal);
      return [...new Map(own.map((charge) => [charge.terms.id, charge])).values()];
    },
  };
}

interface Seen {
  readonly charges: PlannedPlan[number][];
  next: number;
}

const MAX_TENANTS = 512;
const MAX_CHARGES = 64;
/** In characters, all values of a key together: callers choose some of them, and they are kept as they are. */
const MAX_KEY = 1024;

function lengthOf(key: readonly string[]): number {
  let length = 0;
  for (const value of key) length += value.length;
  return length;
}
