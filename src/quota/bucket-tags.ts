import { LRUCache } from 'lru-cache';
import type { ChargeShape, TagsOf } from './bucket-terms.ts';
import { tenantTag } from './reservation-id.ts';

/**
 * Where buckets are in a store that is spread over machines: those of one tenant together, beside its reservations, and
 * all others where their own identity says. A bucket whose key does not say whose it is belongs to no tenant, whatever
 * its scope: it would be counted once for each. INVARIANT: one identity has one tag.
 */
export function createBucketTags(): (tenant: string) => TagsOf {
  const tags = new LRUCache<string, string>({ max: MAX_TENANTS });

  function tagOf(tenant: string): string {
    const known = tags.get(tenant);
    if (known !== undefined) return known;
    const tag = tenantTag(tenant);
    if (tenant.length <= MAX_LENGTH) tags.set(tenant, tag);
    return tag;
  }

  return (tenant) =>
    ({ terms, internal }, key, id) => {
      const { scope, dimensions } = terms;
      if (scope === 'shared') return tenantTag(id);
      const at = dimensions.indexOf('tenant');
      if (at >= 0) return tagOf(key[at] ?? '');
      return internal || isOneTenants(terms) ? tagOf(tenant) : tenantTag(id);
    };
}

/** A principal's key names its tenant, and a credential is one tenant's. */
function isOneTenants({ dimensions }: ChargeShape['terms']): boolean {
  return dimensions.includes('principal') || dimensions.includes('key_id');
}

const MAX_TENANTS = 4096;
const MAX_LENGTH = 256;
