import { describe, expect, test } from 'vitest';
import { CHARGE_KEYS, parseChargeTerms } from '../../../src/decision/charge-terms.ts';
import { parsePlans, principalKey } from '../../../src/decision/charges.ts';
import { RequestFault } from '../../../src/decision/errors.ts';
import type { Principal } from '../../../src/decision/principal.ts';
import { inspected, tenantA } from '../../support/core.ts';

const rate = {
  name: 'calls',
  key: ['tenant'],
  unit: 'requests',
  kind: 'rate',
  limit: 10,
  per_seconds: 60,
  cost: 1,
  scope: 'tenant',
};
const { per_seconds: _, ...timeless } = rate;
const window = { ...timeless, kind: 'window', calendar: 'month', zone: 'Europe/Berlin' };
const concurrency = { ...timeless, kind: 'concurrency', reserve: { ttl_seconds: 30 } };
const tokens = { ...rate, unit: 'tokens', cost: 100 };
const money = { ...rate, unit: 'nano_usd', cost: 100 };
const PRICES = { input: 3_000_000_000, output: 15_000_000_000 };

/** The message of the fault, `undefined` where there is none. */
function faultOf(charge: unknown): string | undefined {
  try {
    parseChargeTerms(charge);
    return undefined;
  } catch (error) {
    if (!(error instanceof RequestFault) || error.code !== 'invalid_charges') throw error;
    return error.message;
  }
}

describe('a charge is read', () => {
  test('with all that it leaves out at the strict side', () => {
    expect(parseChargeTerms(rate)).toEqual({
      name: 'calls',
      dimensions: ['tenant'],
      unit: 'requests',
      kind: 'rate',
      limit: 10,
      burst: 10,
      cost: 1,
      periodSeconds: 60,
      mode: 'enforce',
      onFailure: 'deny',
      charge: 'admitted',
      scope: 'tenant',
    });
  });

  test.each([
    ['a burst below the limit', { ...rate, burst: 3 }, { burst: 3, limit: 10 }],
    ['a burst above it', { ...rate, burst: 30 }, { burst: 30, limit: 10 }],
    ['a window of seconds', { ...rate, kind: 'window' }, { kind: 'window', periodSeconds: 60, burst: 10 }],
    ['a calendar in a zone', window, { calendar: 'month', zone: 'Europe/Berlin', burst: 10 }],
    ['a calendar in UTC', { ...window, calendar: 'day', zone: 'UTC' }, { calendar: 'day', zone: 'UTC' }],
    ['a concurrency limit', concurrency, { kind: 'concurrency', burst: 10, reserve: { ttlSeconds: 30 } }],
    ['a cost of nothing', { ...rate, cost: 0 }, { cost: 0 }],
    ['no dimension at all', { ...rate, key: [] }, { dimensions: [] }],
    [
      'every dimension',
      {
        ...rate,
        key: ['principal', 'tenant', 'key_id', 'peer', 'address', 'model', 'route', 'operation', 'method', 'country'],
      },
      { dimensions: { length: 10 } },
    ],
    [
      'a tier and a claim',
      { ...rate, key: ['tier', 'claim:department'] },
      { dimensions: ['tier', 'claim:department'] },
    ],
    [
      'what may be said of its failure',
      { ...rate, mode: 'shadow', on_failure: 'local_share', charge: 'always', scope: 'shared' },
      { mode: 'shadow', onFailure: 'local_share', charge: 'always', scope: 'shared' },
    ],
  ])('%s', (_what, charge, wanted) => {
    expect(parseChargeTerms(charge)).toMatchObject(wanted);
  });

  test.each(['requests', 'tokens', 'bytes', 'nano_usd'])('in %s', (unit) => {
    expect(parseChargeTerms({ ...rate, unit }).unit).toBe(unit);
  });

  test('once where it is frozen, and anew where it could still change', () => {
    const frozen = Object.freeze({ ...rate });
    expect(parseChargeTerms(frozen)).toBe(parseChargeTerms(frozen));
    const open = { ...rate };
    expect(parseChargeTerms(open).limit).toBe(10);
    open.limit = 11;
    expect(parseChargeTerms(open).limit).toBe(11);
  });

  test('a frozen one that is malformed stays malformed', () => {
    const frozen = Object.freeze({ ...rate, unit: 'calls' });
    expect(faultOf(frozen)).toBeDefined();
    expect(faultOf(frozen)).toBeDefined();
  });

  test('a frozen one with other values is another', () => {
    const read = [10, 11].map((limit) => parseChargeTerms(Object.freeze({ ...rate, limit })).limit);
    expect(read).toEqual([10, 11]);
  });
});

describe('a reserve', () => {
  const reserved = (reserve: object) => parseChargeTerms({ ...tokens, reserve }).reserve;

  test('is charged when it is not settled, and may be learned, unless it says otherwise', () => {
    expect(reserved({ ttl_seconds: 600 })).toEqual({ ttlSeconds: 600, onExpiry: 'charge', atLeast: 0, learned: true });
    expect(reserved({ ttl_seconds: 600, on_expiry: 'release', learned: false })).toMatchObject({
      onExpiry: 'release',
      learned: false,
    });
  });

  test.each([
    [0, 0],
    [40, 40],
    [100, 100],
    [101, 100],
    [Number.MAX_SAFE_INTEGER, 100],
  ])('at least %d is %d of a cost of 100', (at_least, atLeast) => {
    expect(reserved({ ttl_seconds: 1, at_least })).toMatchObject({ atLeast });
  });
});

describe('what a token costs', () => {
  test.each([
    ['tokens, each once', tokens, { input: 1, cached: 1, output: 1, per: 1 }],
    [
      'tokens by weight',
      { ...tokens, weights: { input: 1, cached: 0, output: 4 } },
      { input: 1, cached: 0, output: 4, per: 1 },
    ],
    [
      'cached tokens as any input',
      { ...tokens, weights: { input: 2, output: 4 } },
      { input: 2, cached: 2, output: 4, per: 1 },
    ],
    ['the heaviest tokens', { ...tokens, weights: { input: 1000, output: 1000 } }, { input: 1000, per: 1 }],
    ['money', { ...money, prices: PRICES }, { ...PRICES, cached: PRICES.input, per: 1_000_000 }],
    ['the most money', { ...money, prices: { input: 1e15, output: 1e15 } }, { output: 1e15, per: 1_000_000 }],
    ['money that is never settled', money, undefined],
    ['requests', rate, undefined],
    ['bytes', { ...rate, unit: 'bytes' }, undefined],
  ])('%s', (_what, charge, wanted) => {
    const { meter } = parseChargeTerms(charge);
    if (wanted === undefined) expect(meter).toBeUndefined();
    else expect(meter).toMatchObject(wanted);
  });
});

/** 2^53 - 1 over a period of a second, in parts of a millisecond. */
const LARGEST_BURST = Math.floor(Number.MAX_SAFE_INTEGER / 1000);

describe('a rate holds its arithmetic', () => {
  test.each([
    ['at the edge', { limit: LARGEST_BURST, per_seconds: 1 }, true],
    ['one above it', { limit: LARGEST_BURST + 1, per_seconds: 1 }, false],
    ['by its burst', { limit: 1, burst: LARGEST_BURST + 1, per_seconds: 1 }, false],
    ['by its burst alone: the limit may be larger', { limit: LARGEST_BURST + 1, burst: 1, per_seconds: 1 }, true],
    ['by its period', { limit: LARGEST_BURST, per_seconds: 2 }, false],
  ])('%s', (_what, terms, holds) => {
    expect(faultOf({ ...rate, ...terms }) === undefined).toBe(holds);
  });

  test('a window may be as large as a number is exact', () => {
    expect(faultOf({ ...window, limit: Number.MAX_SAFE_INTEGER })).toBeUndefined();
    expect(faultOf({ ...window, limit: Number.MAX_SAFE_INTEGER + 1 })).toBeDefined();
  });
});

describe('a charge is refused', () => {
  test.each<[string, unknown, string]>([
    ['that is a text', 'calls', 'not an object'],
    ['that is a list', [], 'not an object'],
    ['with a key that nobody knows', { ...rate, costs: 1 }, '`costs`'],
    ['in calls', { ...rate, unit: 'calls' }, '`unit`'],
    ['in US dollars', { ...rate, unit: 'usd' }, '`unit`'],
    ['without a unit', { ...rate, unit: undefined }, '`unit`'],
    ['without a scope', { ...rate, scope: undefined }, '`scope`'],
    ['of a kind that nobody knows', { ...rate, kind: 'bucket' }, '`kind`'],
    ['with a limit of zero', { ...rate, limit: 0 }, '`limit`'],
    ['with half a limit', { ...rate, limit: 0.5 }, '`limit`'],
    ['with a negative cost', { ...rate, cost: -1 }, '`cost`'],
    ['with a cost that is no number', { ...rate, cost: Number.NaN }, '`cost`'],
    ['with a name that is none', { ...rate, name: '' }, '`name`'],
    ['with a name that is long', { ...rate, name: 'n'.repeat(129) }, '`name`'],
    ['with a burst of zero', { ...rate, burst: 0 }, '`burst`'],
    ['with a burst in a window', { ...window, burst: 3 }, '`burst`'],
    ['with a burst of concurrency', { ...concurrency, burst: 3 }, '`burst`'],
    ['with a rate without a period', { ...timeless, kind: 'rate' }, '`per_seconds`'],
    ['with a rate by the calendar', { ...rate, calendar: 'day', zone: 'UTC' }, 'calendar'],
    ['with a period above a year', { ...rate, limit: 1, per_seconds: 366 * 86_400 + 1 }, '`per_seconds`'],
    ['with a calendar and a period', { ...window, per_seconds: 60 }, '`per_seconds`'],
    ['with a calendar that nobody knows', { ...window, calendar: 'year' }, '`calendar`'],
    ['with a calendar without a zone', { ...window, zone: undefined }, '`zone`'],
    ['with a zone that is none', { ...window, zone: 'Mars/Olympus' }, '`zone`'],
    ['with a zone of an offset', { ...window, zone: '+01:00' }, '`zone`'],
    ['with a zone of an abbreviation', { ...window, zone: 'CET' }, '`zone`'],
    ['with a key that is no list', { ...rate, key: 'tenant' }, '`key`'],
    ['with a dimension twice', { ...rate, key: ['tenant', 'route', 'tenant'] }, 'twice'],
    ['with a claim twice', { ...rate, key: ['claim:a', 'claim:a'] }, 'twice'],
    ['with a dimension that nobody knows', { ...rate, key: ['team'] }, '`team`'],
    ['with a dimension of the prototype', { ...rate, key: ['constructor'] }, '`constructor`'],
    ['with a dimension that is no text', { ...rate, key: [1] }, 'no dimension'],
    ['with a claim whose name is long', { ...rate, key: [`claim:${'c'.repeat(128)}`] }, 'no dimension'],
    ['with concurrency that nothing ends', { ...timeless, kind: 'concurrency' }, '`reserve`'],
    ['with concurrency in tokens', { ...concurrency, unit: 'tokens' }, '`requests`'],
    ['with concurrency that costs two', { ...concurrency, cost: 2 }, 'a cost of 1'],
    ['with concurrency that costs nothing', { ...concurrency, cost: 0 }, 'a cost of 1'],
    ['with concurrency over a period', { ...concurrency, per_seconds: 1 }, '`per_seconds`'],
    ['with concurrency by the calendar', { ...concurrency, calendar: 'day', zone: 'UTC' }, 'calendar'],
    ['with a reserve that is none', { ...rate, reserve: true }, '`reserve`'],
    ['with a reserve without an end', { ...rate, reserve: {} }, '`reserve.ttl_seconds`'],
    ['with a reserve of more than a day', { ...rate, reserve: { ttl_seconds: 86_401 } }, '`reserve.ttl_seconds`'],
    [
      'with a reserve of another end',
      { ...rate, reserve: { ttl_seconds: 1, on_expiry: 'keep' } },
      '`reserve.on_expiry`',
    ],
    [
      'with a reserve of less than nothing',
      { ...rate, reserve: { ttl_seconds: 1, at_least: -1 } },
      '`reserve.at_least`',
    ],
    ['with a reserve that is learned a bit', { ...rate, reserve: { ttl_seconds: 1, learned: 1 } }, '`reserve.learned`'],
    ['with a reserve of an unknown key', { ...rate, reserve: { ttl_seconds: 1, ttl: 1 } }, '`ttl`'],
    ['with weights of requests', { ...rate, weights: { input: 1, output: 1 } }, '`weights`'],
    ['with weights of money', { ...money, weights: { input: 1, output: 1 } }, '`weights`'],
    ['with a weight too heavy', { ...tokens, weights: { input: 1001, output: 1 } }, '`weights.input`'],
    [
      'with a weight of less than nothing',
      { ...tokens, weights: { input: 1, cached: -1, output: 1 } },
      '`weights.cached`',
    ],
    ['with a weight missing', { ...tokens, weights: { input: 1 } }, '`weights.output`'],
    ['with a weight that nobody knows', { ...tokens, weights: { input: 1, output: 1, audio: 1 } }, '`audio`'],
    ['with weights that are a number', { ...tokens, weights: 2 }, '`weights`'],
    ['with prices of tokens', { ...tokens, prices: PRICES }, '`prices`'],
    ['with a price too high', { ...money, prices: { ...PRICES, output: 1e15 + 1 } }, '`prices.output`'],
    ['with money held that nothing settles', { ...money, reserve: { ttl_seconds: 1 } }, '`prices`'],
  ])('%s', (_what, charge, named) => {
    expect(faultOf(charge)).toContain(named);
  });

  test('for any key but those that are read', () => {
    const all = Object.fromEntries([...CHARGE_KEYS].map((key) => [key, null]));
    expect(faultOf(all)).not.toContain('unknown key');
    expect(faultOf({ ...all, mood: null })).toContain('the unknown key `mood`');
  });
});

describe('the key of a bucket', () => {
  const facts = { method: 'POST', inspected: inspected(), principal: tenantA, peer: null };

  test('holds the verified values in the order of the dimensions', () => {
    const key = ['tenant', 'model', 'method', 'address', 'tier', 'claim:department', 'principal'];
    expect(parsePlans([{ ...rate, key }], facts)[0]?.[0]?.key).toEqual([
      'tenant-a',
      'llama-3-8b',
      'POST',
      '192.0.2.1',
      'premium',
      'research',
      principalKey(tenantA),
    ]);
  });

  test('is each request’s own where the terms are shared', () => {
    const shared = Object.freeze({ ...rate });
    const [one, other] = ['tenant-a', 'tenant-b'].map(
      (tenant) => parsePlans([shared], { ...facts, principal: { ...tenantA, tenant } })[0]?.[0],
    );
    expect(one?.terms).toBe(other?.terms);
    expect([one?.key, other?.key]).toEqual([['tenant-a'], ['tenant-b']]);
  });
});

describe('the text that stands for a principal', () => {
  const { subject: _subject, ...nameless } = tenantA;

  test('differs between any two who are not one, and those whose names run together', () => {
    const principals: readonly Principal[] = [
      tenantA,
      { ...tenantA, kind: 'api_key' },
      { ...tenantA, kind: 'mtls' },
      { ...tenantA, tenant: 'tenant-b' },
      { ...tenantA, issuer: 'https://other.test' },
      { ...tenantA, subject: 'bob' },
      { ...tenantA, tenant: 'tenant-a1:', issuer: 'x', subject: 'y' },
      { ...tenantA, tenant: 'tenant-a', issuer: '1:x', subject: 'y' },
      { ...tenantA, tenant: '', issuer: 'tenant-a' },
      { ...nameless, keyId: 'alice' },
      { ...nameless, keyId: 'alice', kind: 'api_key' },
      { ...nameless, keyId: 'alice', tenant: 'tenant-b' },
      { ...nameless, keyId: 'bob' },
    ];
    const texts = principals.map(principalKey);
    expect(texts).not.toContain(undefined);
    expect(new Set(texts).size).toBe(principals.length);
  });

  test('is the same each time, also where one is called like the key of another', () => {
    const both: readonly Principal[] = [
      tenantA,
      { ...nameless, keyId: tenantA.subject ?? '' },
      { ...tenantA, subject: '' },
      nameless,
    ];
    const texts = both.map(principalKey);
    for (const principal of [...both].reverse()) expect(principalKey(principal)).toBe(texts[both.indexOf(principal)]);
    expect(new Set(texts).size).toBe(both.length);
  });

  test('is one for all keys of a subject', () => {
    const keys = ['one', 'two'].map((keyId) => principalKey({ ...tenantA, keyId }));
    expect(keys).toEqual([principalKey(tenantA), principalKey(tenantA)]);
  });

  test('is one for all of a tenant and issuer who have no name', () => {
    const others = [{ ...nameless, tenant: 'tenant-b' }, { ...nameless, issuer: 'https://other.test' }, tenantA];
    expect(new Set([nameless, ...others].map(principalKey)).size).toBe(4);
    expect(principalKey(nameless)).toBe(principalKey({ ...nameless, roles: ['other'] }));
    const facts = { method: 'POST', inspected: inspected(), principal: nameless, peer: null };
    const [plan] = parsePlans([{ ...rate, key: ['principal'] }], facts);
    expect(plan?.[0]?.key).toEqual([principalKey(nameless)]);
  });
});
