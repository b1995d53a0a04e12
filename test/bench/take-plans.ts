import type { BucketCharge } from '../../src/quota/bucket.ts';

const KEYS = 500;

/** Plans of two charges, as a Check with two limits has; each on buckets of its own that nothing exhausts. */
export function twoChargePlans(owner: string): readonly (readonly (readonly BucketCharge[])[])[] {
  return Array.from({ length: KEYS }, (_, key) => [
    ['client-rps', 'tenant-rps'].map((name) => toCharge(name, `${owner}-${key}`)),
  ]);
}

function toCharge(name: string, key: string): BucketCharge {
  const family = `${name.length}:${name}8:requests4:rate1:1`;
  return {
    terms: {
      id: `${family}6:tenant${key.length}:${key}`,
      family,
      kind: 'rate',
      limit: 1_000_000_000,
      burst: 1_000_000_000,
      periodMs: 1000,
      region: 'callers',
      scope: 'tenant',
    },
    cost: 1,
    enforced: true,
    refundable: true,
  };
}
