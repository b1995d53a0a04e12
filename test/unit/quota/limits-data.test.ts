import { describe, expect, it } from 'vitest';
import { checkLimitsData } from '../../../src/quota/limits-data.ts';

const calls = {
  key: ['principal', 'method'],
  unit: 'requests',
  kind: 'rate',
  per_seconds: 1,
  scope: 'tenant',
  cost: 'request',
  size: { by_tier: { free: 10, gold: 'unlimited' } },
};
const tokens = {
  key: ['tenant', 'model'],
  unit: 'tokens',
  kind: 'window',
  calendar: 'month',
  zone: 'Europe/Berlin',
  scope: 'tenant',
  cost: 'estimated_tokens',
  reserve: { ttl_seconds: 60, on_expiry: 'charge' },
  weights: { input: 1, output: 3 },
  size: { by_model: { bird: 1000 } },
};
const money = { ...tokens, weights: undefined, unit: 'nano_usd', cost: 'estimated_price', size: 1_000_000 };
const shared = {
  ...calls,
  key: ['route', 'method'],
  scope: 'shared',
  size: 100,
  fair: { guaranteed_percent: 50 },
};
const override = { for: { tenant: 'blue', model: 'bird' }, until: '2027-01-31T00:00:00Z', size: 5 };

const CATALOG = {
  routes: [{ name: 'chat', limits: ['shared'] }],
  limits: { calls, tokens, money: JSON.parse(JSON.stringify(money)), shared },
  overrides: { tokens: [override] },
  prices: { bird: { input: 1, cached: 0, output: 2 } },
  tiers: { free: { max_output_tokens: 100 } },
  tenants: { blue: {}, green: { weight: 2 } },
  total_weight: 3,
  models: { bird: { fallback: 'fish', max_output_tokens: 10 }, fish: {} },
};

function faultsOf(changed: object): readonly string[] {
  return checkLimitsData({ ...CATALOG, ...changed }).map(({ path, message }) => `${path} ${message}`);
}

const withLimit = (limit: object): object => ({ limits: { ...CATALOG.limits, tokens: limit } });
const withOverride = (change: object): object => ({ overrides: { tokens: [{ ...override, ...change }] } });

describe('the limits of a catalog', () => {
  it('of the right form have no faults', () => {
    expect(faultsOf({})).toEqual([]);
  });

  it.each([undefined, null, [], {}, { limits: {} }])('are none in %j', (catalog) =>
    expect(checkLimitsData(catalog)).toEqual([]),
  );

  it.each<[string, object, RegExp]>([
    ['a limit that is no object', { limits: { calls: 5, shared } }, /^catalog\.limits\.calls is not an object$/],
    ['the old key of a size', withLimit({ ...tokens, limit: 5 }), /^catalog\.limits\.tokens\.limit .*write `size`$/],
    ['an unknown key', withLimit({ ...tokens, per_second: 5 }), /tokens\.per_second is not a key/],
    ['prices of its own', withLimit({ ...tokens, prices: {} }), /tokens\.prices .*`catalog\.prices`$/],
    ['an unknown cost', withLimit({ ...tokens, cost: 'tokens' }), /tokens\.cost is neither/],
    ['a negative cost', withLimit({ ...tokens, cost: -1 }), /tokens\.cost is neither/],
    ['a cost in another unit', withLimit({ ...tokens, cost: 'request' }), /tokens\.cost is counted in `requests`/],
    ['no size', withLimit({ ...tokens, size: undefined }), /tokens has no `size`$/],
    ['a size of zero', withLimit({ ...tokens, size: 0 }), /tokens can make no charge: .*size/],
    [
      'a negative size of one tier',
      withLimit({ ...tokens, size: { by_tier: { free: 1, gold: -1 } } }),
      /size\.by_tier\.gold can/,
    ],
    ['a size above 2^53', withLimit({ ...tokens, size: 2 ** 53 }), /can make no charge/],
    ['sizes by nothing', withLimit({ ...tokens, size: { by_route: {} } }), /tokens\.size is neither/],
    ['sizes of no tier', withLimit({ ...calls, size: { by_tier: {} } }), /tokens\.size\.by_tier is empty/],
    ['bursts of no model', withLimit({ ...calls, burst: { by_model: {} } }), /tokens\.burst\.by_model is empty/],
    [
      'a burst of one tier alone',
      withLimit({ ...calls, size: 1, burst: { by_tier: { a: 1, b: 0 } } }),
      /by_tier\.b can/,
    ],
    [
      'sizes of models that meet in one bucket',
      withLimit({ ...calls, size: { by_model: { bird: 1000, fish: 10 } } }),
      /tokens\.key does not keep .*`size\.by_model` apart: add `model`/,
    ],
    [
      'bursts of models that meet in one bucket',
      withLimit({ ...calls, burst: { by_model: { bird: 1000, fish: 10 } } }),
      /tokens\.key does not keep .*`burst\.by_model` apart/,
    ],
    [
      'sizes of models that meet in one bucket of a service',
      withLimit({ ...calls, key: ['model'], service_key: ['peer'], size: { by_model: { bird: 1000, fish: 10 } } }),
      /tokens\.service_key does not keep/,
    ],
    [
      'sizes of tiers that meet in one bucket',
      withLimit({ ...calls, key: ['tenant', 'method'] }),
      /tokens\.key does not keep .*`size\.by_tier` apart: add `tier`/,
    ],
    ['a cost of nothing', withLimit({ ...calls, cost: 0 }), /tokens\.cost is 0/],
    ['weights of nothing', withLimit({ ...tokens, weights: { input: 0, cached: 0, output: 0 } }), /weights are all 0/],
    [
      'windows as long as months that may pass uncounted',
      withLimit({ ...calls, kind: 'window', per_seconds: 28 * 86_400, on_failure: 'allow' }),
      /on_failure .*windows as long/,
    ],
    ['an unknown unit', withLimit({ ...tokens, unit: 'words', cost: 1 }), /can make no charge: .*unit/],
    ['an unknown kind', withLimit({ ...tokens, kind: 'bucket' }), /can make no charge: .*kind/],
    ['an unknown dimension', withLimit({ ...tokens, key: ['tenants'] }), /can make no charge: .*dimension/],
    ['an unknown zone', withLimit({ ...tokens, zone: 'Mars/Base' }), /can make no charge: .*zone/],
    ['a reserve without ttl', withLimit({ ...tokens, reserve: {} }), /can make no charge: .*ttl_seconds/],
    [
      'a rate out of range',
      withLimit({ ...calls, per_seconds: 3_000_000, size: 10_000_000 }),
      /can make no charge: .*2\^53/,
    ],
    [
      'money that may pass uncounted',
      { limits: { shared, m: { ...CATALOG.limits.money, on_failure: 'allow' } } },
      /m\.on_failure .*money/,
    ],
    ['months that may pass uncounted', withLimit({ ...tokens, on_failure: 'allow' }), /on_failure .*months/],
    [
      'concurrency that may pass uncounted',
      withLimit({
        ...calls,
        kind: 'concurrency',
        per_seconds: undefined,
        reserve: { ttl_seconds: 1 },
        on_failure: 'allow',
      }),
      /on_failure .*concurrency/,
    ],
    [
      'a local share of a window',
      withLimit({ ...calls, kind: 'window', on_failure: 'local_share' }),
      /on_failure .*`rate` only/,
    ],
    [
      'the address beside a caller',
      withLimit({ ...calls, key: ['address', 'principal'] }),
      /tokens\.key .*two limits$/,
    ],
    [
      'a key that no service has',
      withLimit({ ...calls, service_key: ['tenant'] }),
      /tokens\.service_key is not a list/,
    ],
    ['a share of nothing', withLimit({ ...shared, fair: { guaranteed_percent: 0 } }), /tokens\.fair is not/],
    ['a share of all', withLimit({ ...shared, fair: { guaranteed_percent: 100 } }), /tokens\.fair is not/],
    ['shares of what is not shared', withLimit({ ...shared, scope: 'tenant' }), /scope `shared`/],
    ['shares of a size by tier', withLimit({ ...shared, size: { by_tier: { free: 2 } } }), /a number as `size`/],
    ['shares of one tenant', withLimit({ ...shared, key: ['tenant', 'route'] }), /tokens\.key has `tenant`/],
    ['a weight of zero', { tenants: { blue: { weight: 0 } }, total_weight: 0 }, /tenants\.blue\.weight is not/],
    ['no sum of the weights', { total_weight: undefined }, /total_weight is not 3/],
    [
      'shares too large to count',
      { limits: { ...CATALOG.limits, shared: { ...shared, size: 2 ** 46 } } },
      /too large to be shared/,
    ],
    ['an override of an unknown limit', { overrides: { gone: [override] } }, /overrides\.gone is for a limit/],
    ['overrides that are no list', { overrides: { tokens: override } }, /overrides\.tokens is not a list/],
    ['an override for nobody', withOverride({ for: {} }), /\[0\]\.for names nobody/],
    ['an override for an unknown dimension', withOverride({ for: { planet: 'x' } }), /for\.planet is none of/],
    ['an override for what is not kept apart', withOverride({ for: { method: 'GET' } }), /add `method` to its `key`/],
    ['an override for a subject of any issuer', withOverride({ for: { subject: 'ann' } }), /name the `issuer` too/],
    ['an override without an end', withOverride({ until: undefined }), /until is not a time/],
    ['an override to the end of time', withOverride({ until: '2999-01-01T00:00:00Z' }), /before the year 2262/],
    ['an override of an unknown key', withOverride({ limit: 5 }), /\[0\]\.limit is not a key/],
    ['an override of no size', withOverride({ size: undefined }), /\[0\] has no `size`/],
    ['an override of size zero', withOverride({ size: 0 }), /\[0\] can make no charge/],
    [
      'a price that is no integer',
      { prices: { bird: { input: 0.5, cached: 0, output: 2 } } },
      /prices\.bird\.input is not/,
    ],
    ['a price that is missing', { prices: { bird: { input: 1, output: 2 } } }, /prices\.bird\.cached is not/],
    ['a cap of zero', { tiers: { free: { max_output_tokens: 0 } } }, /free\.max_output_tokens is not/],
    ['a fallback to an unknown model', { models: { bird: { fallback: 'cat' } } }, /bird\.fallback names a model that/],
    ['a fallback to itself', { models: { bird: { fallback: 'bird' } } }, /comes back to `bird`/],
    [
      'a circle of fallbacks',
      { models: { bird: { fallback: 'fish' }, fish: { fallback: 'bird' } } },
      /comes back to `bird`/,
    ],
    [
      'a long chain of fallbacks',
      { models: { a: { fallback: 'b' }, b: { fallback: 'c' }, c: { fallback: 'd' }, d: { fallback: 'e' }, e: {} } },
      /a\.fallback is a chain of more than 3/,
    ],
  ])('with %s are at fault', (_fault, changed, expected) => {
    expect(faultsOf(changed).filter((fault) => expected.test(fault))).not.toEqual([]);
  });

  it.each([
    ['sizes by model and the model', { key: ['model'], size: { by_model: { bird: 10, fish: 20 } } }],
    ['sizes by tier and the key', { key: ['key_id'] }],
    ['sizes by tier and the tier', { key: ['tenant', 'tier'] }],
    ['sizes by tier of services, which have one', { key: ['principal'], service_key: ['peer'] }],
    ['one size of all tiers', { key: ['tenant'], size: { by_tier: { free: 10, gold: 10 } } }],
    ['a cost that is told afterwards', { unit: 'tokens', cost: 0, reserve: { ttl_seconds: 60 } }],
    ['a cost of nothing in shadow', { cost: 0, mode: 'shadow' }],
    ['weights of output alone', { unit: 'tokens', cost: 1, weights: { input: 0, output: 1 } }],
    ['a window of 27 days', { kind: 'window', per_seconds: 27 * 86_400, on_failure: 'allow' }],
  ])('may have %s', (_what, changed) => {
    expect(faultsOf({ limits: { ...CATALOG.limits, calls: { ...calls, ...changed } } })).toEqual([]);
  });

  it('are looked through in time that grows as they do', () => {
    const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, at) => [`tier ${at}`, at + 1]));
    const startMs = performance.now();
    expect(
      faultsOf({
        limits: { ...CATALOG.limits, calls: { ...calls, size: { by_tier: many }, burst: { by_tier: many } } },
      }),
    ).toEqual([]);
    // As many comparisons as there are pairs took twelve seconds.
    expect(performance.now() - startMs).toBeLessThan(6000);
  });

  it('tell one fault of all sizes once', () => {
    expect(
      faultsOf({
        ...withLimit({ ...tokens, unit: 'words', cost: 1, size: { by_model: { a: 1, b: 2 } } }),
        overrides: {},
      }),
    ).toHaveLength(1);
  });
});
