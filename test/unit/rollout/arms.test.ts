import { describe, expect, test } from 'vitest';
import { createShare } from '../../../src/rollout/arms.ts';
import { tenantA } from '../../support/core.ts';
import { caseCount, createRandom, seedOf } from '../../support/seed.ts';
import { DIGEST, principalOf } from './rollout-kit.ts';

const share = createShare('a secret salt', DIGEST);

describe('the arm of a caller', () => {
  test('is the same for all of a tenant, whatever else they are', () => {
    const random = createRandom(seedOf('rollout arms'));
    for (let count = 0; count < caseCount(2_000); count++) {
      const tenant = random.below(1_000_000);
      const one = share(principalOf(tenant));
      const other = share({
        ...principalOf(tenant, `subject-${random.next()}`),
        issuer: `https://issuer-${random.below(9)}.test`,
        roles: ['admin'],
        claims: { canary: true },
        kind: random.pick(['jwt', 'api_key', 'mtls'] as const),
      });
      expect(other).toBe(one);
    }
  });

  test.each([1, 10, 50, 90])('is the candidate’s for %d in a hundred, within a point', (percent) => {
    const tenants = 50_000;
    let included = 0;
    for (let tenant = 0; tenant < tenants; tenant++) if (share(principalOf(tenant)) < percent) included += 1;
    expect(Math.abs((included / tenants) * 100 - percent)).toBeLessThan(1);
  });

  test('lies in [0, 100), so that more percent never loses anybody and 100 has all', () => {
    for (let tenant = 0; tenant < 20_000; tenant++) {
      const value = share(principalOf(tenant));
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThan(100);
    }
  });

  test('is another under another salt and for another candidate', () => {
    const others = [createShare('another salt', DIGEST), createShare('a secret salt', 'd'.repeat(64))];
    for (const other of others) {
      let both = 0;
      for (let tenant = 0; tenant < 10_000; tenant++) {
        if (share(principalOf(tenant)) < 10 && other(principalOf(tenant)) < 10) both += 1;
      }
      // A tenth of a tenth, were they independent.
      expect(both).toBeGreaterThan(50);
      expect(both).toBeLessThan(160);
    }
  });

  test('without a tenant goes by issuer and subject together', () => {
    const { tenant: _, ...nobodys } = tenantA;
    const one = share({ ...nobodys });
    expect(share({ ...nobodys })).toBe(one);
    expect(share({ ...nobodys, subject: 'bob' })).not.toBe(one);
    expect(share({ ...nobodys, issuer: 'https://other.test' })).not.toBe(one);
  });
});
