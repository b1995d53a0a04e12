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

/** As the policy engine hands out what it remembers: one object, frozen in all its parts. */
function shared(...charges: readonly object[]): readonly object[] {
  return freeze(structuredClone(charges));
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(freeze);
  return Object.freeze(value);
}

/** Counts what is looked at of a result, of which nothing changes. */
function watched(result: readonly object[]) {
  const looked = { times: 0 };
  const proxy = new Proxy(result, {
    get: (target, name) => {
      looked.times += 1;
      return Reflect.get(target, name);
    },
  });
  return { proxy, looked };
}

describe('plans of one result that requests share', () => {
  test('are found without a look at it, once they came of it for this caller', () => {
    const caller = verified();
    const { proxy, looked } = watched(shared({ ...CHARGE, name: 'shared' }));
    const plans = [0, 1, 2].map(() => parsePlans(proxy, facts(caller)));
    const before = looked.times;
    expect(before).toBeGreaterThan(0);
    expect(parsePlans(proxy, facts(caller))).toBe(plans[0]);
    expect(looked.times).toBe(before);
    parsePlans(proxy, facts(verified()));
    expect(looked.times).toBeGreaterThan(before);
  });

  test.each<[string, Partial<ChargeFacts>, string]>([
    ['method', { method: 'GET' }, 'GET'],
    ['route', { inspected: inspected({ route: route('b') }) }, 'route-b'],
    ['model', { inspected: inspected({ route: route('b') }) }, 'b'],
    ['operation', { inspected: inspected({ route: { ...route('a'), operation: 'chat' } }) }, 'chat'],
    ['address', { inspected: inspected({ network: { client_ip: '203.0.113.8' } }) }, '203.0.113.8'],
    ['country', { inspected: inspected({ network: { country: 'FR' } }) }, 'FR'],
    ['peer', { peer: { ...PEER, spiffeId: 'spiffe://a/two' } }, 'spiffe://a/two'],
  ])('have another key with another %s, and none where it is not verified', (dimension, parts, value) => {
    const caller = verified();
    const result = shared({ ...CHARGE, name: `shared-by-${dimension}`, key: [dimension] });
    const before = [0, 1, 2].map(() => parsePlans(result, facts(caller)))[2];
    const without = facts(caller, { inspected: inspected({ route: null, network: {} }), peer: null });
    for (let round = 0; round < 3; round += 1) {
      expect(parsePlans(result, facts(caller, parts))[0]?.[0]?.key).toEqual([value]);
      expect(parsePlans(result, facts(caller))).toEqual(before);
      // Every request has a method.
      if (dimension !== 'method') expect(() => parsePlans(result, without)).toThrow('has not verified the dimension');
    }
  });

  test('are each caller’s own, also where two are given one result', () => {
    const result = shared({ ...CHARGE, name: 'shared-by-callers', key: ['principal', 'tenant', 'key_id', 'tier'] });
    const callers = [verified(), verified({ subject: 'other' }), verified({ tenant: 'tenant-b' }), { ...verified() }];
    const rounds = [0, 1, 2].map(() => callers.map((caller) => parsePlans(result, facts(caller))));
    expect(rounds[2]).toEqual(rounds[0]);
    expect(new Set(rounds[2]).size).toBe(4);
    expect(() => parsePlans(result, facts(undefined))).toThrow('has not verified the dimension');
  });

  test('are those of each of several results that take turns', () => {
    const caller = verified();
    const results = [1, 2, 3].map((cost) => shared({ ...CHARGE, name: 'shared-in-turns', cost }));
    for (let round = 0; round < 4; round += 1) {
      for (const [at, result] of results.entries()) {
        expect(parsePlans(result, facts(caller))[0]?.[0]?.terms.cost).toBe(at + 1);
      }
    }
  });

  test.each<[string, (result: readonly object[]) => readonly object[]]>([
    ['nothing of it is frozen', (result) => result],
    ['it alone is frozen', (result) => Object.freeze(result)],
    [
      'its charges are frozen and their keys are not',
      (result) => Object.freeze(result.map((one) => Object.freeze(one))),
    ],
  ])('are read again where %s', (_, share) => {
    const caller = verified();
    const { proxy, looked } = watched(share(structuredClone([{ ...CHARGE, name: 'half-frozen' }])));
    for (let nth = 0; nth < 4; nth += 1) {
      const before = looked.times;
      parsePlans(proxy, facts(caller));
      expect(looked.times).toBeGreaterThan(before);
    }
  });

  test('are what a result says that was changed in one of its parts', () => {
    const caller = verified();
    const charge = structuredClone({ ...CHARGE, name: 'changed' });
    const result = Object.freeze([charge]);
    for (let nth = 0; nth < 4; nth += 1) parsePlans(result, facts(caller));
    charge.cost = 5;
    expect(parsePlans(result, facts(caller))[0]?.[0]?.terms.cost).toBe(5);
  });

  test.each([undefined, null, 0, 'a', [[]], {}])('are none of %j', (result) => {
    const caller = verified();
    parsePlans(shared({ ...CHARGE, name: 'beside-no-result' }), facts(caller));
    expect(() => parsePlans(result, facts(caller))).toThrow(expect.objectContaining({ code: 'invalid_charges' }));
  });
});
