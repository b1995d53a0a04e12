import { describe, expect, test } from 'vitest';
import { type ChargeFacts, type ChargePlan, missingLimits, parsePlans } from '../../../src/decision/charges.ts';
import type { Principal } from '../../../src/decision/principal.ts';
import { inspected, tenantA } from '../../support/core.ts';

const CHARGE = {
  name: 'known-plans',
  key: ['principal', 'method'],
  unit: 'requests',
  kind: 'rate',
  limit: 10,
  per_seconds: 1,
  cost: 1,
  scope: 'tenant',
};
const PEER = { spiffeId: 'spiffe://a/one', trustDomain: 'a', dnsSans: [], fingerprintSha256: 'aa' };

/** As the authenticator hands out whoever was verified: one object for all requests of a token. */
function verified(parts: Partial<Principal> = {}): Principal {
  return Object.freeze({ ...tenantA, keyId: 'k-1', tier: 'premium', ...parts });
}

function route(model: string) {
  return { name: `route-${model}`, model, operation: 'infer', params: {}, requiredLimits: [] };
}

function facts(principal: Principal | undefined, parts: Partial<ChargeFacts> = {}): ChargeFacts {
  const seen = inspected({ route: route('a'), network: { client_ip: '203.0.113.7', country: 'DE' } });
  return { method: 'POST', inspected: seen, principal, peer: PEER, ...parts };
}

const plansOf = (given: ChargeFacts, ...charges: readonly object[]): readonly ChargePlan[] =>
  parsePlans(structuredClone(charges), given);

describe('plans of one verified caller', () => {
  test('are the same ones, and frozen, when the same is charged again', () => {
    const caller = verified();
    const first = plansOf(facts(caller), CHARGE);
    expect(plansOf(facts(caller), CHARGE)).toBe(first);
    expect(first).toEqual([
      [{ terms: expect.objectContaining({ name: 'known-plans' }), key: [expect.any(String), 'POST'] }],
    ]);
    expect([Object.isFrozen(first), Object.isFrozen(first[0])]).toEqual([true, true]);
  });

  test.each<[string, string, Partial<ChargeFacts>, string]>([
    ['method', 'method', { method: 'GET' }, 'GET'],
    ['route', 'route', { inspected: inspected({ route: route('b') }) }, 'route-b'],
    ['model', 'model', { inspected: inspected({ route: route('b') }) }, 'b'],
    ['address', 'address', { inspected: inspected({ network: { client_ip: '203.0.113.8' } }) }, '203.0.113.8'],
    ['country', 'country', { inspected: inspected({ network: { country: 'FR' } }) }, 'FR'],
    ['peer', 'peer', { peer: { ...PEER, spiffeId: 'spiffe://a/two' } }, 'spiffe://a/two'],
  ])('have another key with another %s', (_, dimension, parts, value) => {
    const caller = verified();
    const charge = { ...CHARGE, name: `by-${dimension}`, key: [dimension] };
    const before = plansOf(facts(caller), charge);
    expect(before[0]?.[0]?.key).not.toEqual([value]);
    expect(plansOf(facts(caller, parts), charge)[0]?.[0]?.key).toEqual([value]);
    expect(plansOf(facts(caller), charge)).toBe(before);
  });

  test('are refused when a dimension is no longer verified', () => {
    const caller = verified();
    const charge = { ...CHARGE, name: 'by-peer-only', key: ['peer'] };
    plansOf(facts(caller), charge);
    expect(() => plansOf(facts(caller, { peer: null }), charge)).toThrow('has not verified the dimension');
  });

  test.each<[string, readonly object[]]>([
    ['another cost', [{ ...CHARGE, cost: 2 }]],
    ['another limit', [{ ...CHARGE, limit: 11 }]],
    ['one more charge', [CHARGE, { ...CHARGE, name: 'known-plans-2' }]],
    ['no charge', []],
  ])('are others with %s', (_, charges) => {
    const caller = verified();
    const before = plansOf(facts(caller), CHARGE);
    const other = plansOf(facts(caller), ...charges);
    expect(other).not.toEqual(before);
    expect(other[0]).toHaveLength(charges.length);
  });

  test('are others where they are tried in another order', () => {
    const caller = verified();
    const [one, two] = [
      { ...CHARGE, name: 'first' },
      { ...CHARGE, name: 'second' },
    ];
    const before = parsePlans({ plans: [[one], [two]] }, facts(caller));
    const after = parsePlans({ plans: [[two], [one]] }, facts(caller));
    expect(before.map((plan) => plan[0]?.terms.name)).toEqual(['first', 'second']);
    expect(after.map((plan) => plan[0]?.terms.name)).toEqual(['second', 'first']);
  });

  test('are nobody else’s, however alike he is', () => {
    const charge = { ...CHARGE, name: 'all-of-him', key: ['principal', 'tenant', 'key_id', 'tier'] };
    const plans = [verified(), verified(), verified({ subject: 'other' }), verified({ tenant: 'tenant-b' })].map(
      (caller) => plansOf(facts(caller), charge),
    );
    expect(new Set(plans).size).toBe(4);
    expect(new Set(plans.map((each) => each[0]?.[0]?.key.join())).size).toBe(3);
  });

  test.each<[string, Principal | undefined, object]>([
    ['the anonymous', undefined, { ...CHARGE, name: 'anonymous', key: ['method'] }],
    ['a caller whose object may change', { ...verified() }, CHARGE],
  ])('are not kept of %s', (_, caller, charge) => {
    const first = plansOf(facts(caller), charge);
    expect(plansOf(facts(caller), charge)).not.toBe(first);
    expect(Object.isFrozen(first)).toBe(false);
  });

  test('are not kept with a long key, and no more than four at once', () => {
    const caller = verified();
    const long = facts(caller, { method: 'M'.repeat(257) });
    expect(plansOf(long, CHARGE)).not.toBe(plansOf(long, CHARGE));
    const each = ['A', 'B', 'C', 'D', 'E'].map((method) => facts(caller, { method }));
    const first = each.map((given) => plansOf(given, CHARGE));
    expect(each.slice(1).map((given) => plansOf(given, CHARGE))).toEqual(first.slice(1));
    expect(each.slice(1).every((given, at) => plansOf(given, CHARGE) === first[at + 1])).toBe(true);
    expect(plansOf(facts(caller, { method: 'A' }), CHARGE)).not.toBe(first[0]);
  });

  test('lack what another route requires', () => {
    const plans = plansOf(facts(verified()), CHARGE);
    expect(missingLimits(plans, ['known-plans'])).toEqual([]);
    expect(missingLimits(plans, ['known-plans', 'other'])).toEqual(['other']);
    expect(missingLimits(plans, ['known-plans'])).toEqual([]);
  });
});
