import { LRUCache } from 'lru-cache';
import type { Instant, PolicyShare } from '../decision/ports.ts';
import type { Principal } from '../decision/principal.ts';

export interface TenantShareParts {
  /** Part of one core, 0 to 1. */
  readonly share: number;
  readonly maxTenants?: number;
}

/** What a step takes, about: 10 ns. */
const STEPS_PER_SECOND = 100_000_000;
/** Cheaper evaluations take less than the request around them, and are not counted. */
const COUNTED_STEPS = 256;
const MAX_TENANTS = 10_000;
const ANONYMOUS = '';

/**
 * Counts the steps of each tenant's evaluations in a bucket of one second of its share. Whoever has none left waits until
 * it fills again; he may end in debt by the one evaluation that emptied it. Of more tenants than are held, the one that
 * was evaluated for least recently is forgotten.
 */
export function createTenantShare({ share, maxTenants = MAX_TENANTS }: TenantShareParts): PolicyShare {
  const perSecond = share * STEPS_PER_SECOND;
  const buckets = new LRUCache<string, Bucket>({ max: maxTenants });

  function fill(bucket: Bucket, at: Instant): void {
    const elapsedMs = Math.max(0, at.monotonicMs - bucket.atMs);
    bucket.steps = Math.min(perSecond, bucket.steps + (elapsedMs * perSecond) / 1000);
    bucket.atMs = Math.max(bucket.atMs, at.monotonicMs);
  }

  return {
    admits: (principal, at) => {
      if (buckets.size === 0) return true;
      const bucket = buckets.peek(keyOf(principal));
      if (bucket === undefined) return true;
      fill(bucket, at);
      return bucket.steps > 0;
    },
    spend: (principal, steps, at) => {
      if (steps < COUNTED_STEPS) return;
      const key = keyOf(principal);
      let bucket = buckets.get(key);
      if (bucket === undefined) {
        bucket = { steps: perSecond, atMs: at.monotonicMs };
        buckets.set(key, bucket);
      } else fill(bucket, at);
      bucket.steps -= steps;
    },
  };
}

interface Bucket {
  steps: number;
  atMs: number;
}

/** Those without a tenant are counted one by one; the anonymous are one. */
function keyOf(principal: Principal | undefined): string {
  if (principal === undefined) return ANONYMOUS;
  return principal.tenant ?? `\n${principal.issuer ?? ''}\n${principal.subject ?? ''}`;
}
