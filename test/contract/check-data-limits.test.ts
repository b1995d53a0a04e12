import { describe, expect, it } from 'vitest';
import { readCatalog } from '../../src/cli/check-data/catalog.ts';
import { lintBursts, lintOverrides } from '../../src/cli/check-data/limits.ts';

const calls = {
  key: ['principal'],
  unit: 'requests',
  kind: 'rate',
  per_seconds: 1,
  scope: 'tenant',
  cost: 'request',
  size: { by_tier: { free: 10 } },
};
const tokens = { ...calls, key: ['principal', 'model'], unit: 'tokens', cost: 'estimated_tokens', size: 100 };
const money = { ...calls, unit: 'nano_usd', cost: 'estimated_price', size: 100 };
const chat = {
  name: 'chat',
  path: '/chat',
  methods: ['POST'],
  operation: 'chat',
  tenant: 'token',
  model: 'body',
  body: 'json',
  limits: ['calls', 'tokens', 'money'],
};
const CATALOG = {
  routes: [chat],
  limits: { calls, tokens, money },
  overrides: { tokens: [{ for: { model: 'bird' }, until: '2100-01-01T00:00:00Z', size: 5 }] },
  prices: { bird: { input: 1, cached: 1, output: 1 } },
  tiers: { free: { max_bytes: 1 } },
  tenants: { blue: { tiers: ['free'], weight: 2 } },
  models: { bird: { grants: {}, upstreams: { blue: 'blue-bird' }, max_output_tokens: 10 } },
};
const bird = CATALOG.models.bird;
const plain = { name: 'plain', path: '/plain', methods: ['POST'], body: 'none' };
const preflight = { name: 'p', path: '/p', methods: ['OPTIONS'], kind: 'preflight', body: 'none' };
const service = {
  spiffe_ids: ['spiffe://td/web'],
  limits: ['calls'],
  calls: [{ routes: ['chat'], methods: ['POST'], models: 'any', operations: 'any', max_bytes: 1 }],
};

function faultsOf(changed: object): readonly string[] {
  return readCatalog({ ...CATALOG, ...changed }).faults.map(({ path, message }) => `${path} ${message}`);
}

describe('the limits of a catalog and all that they go by', () => {
  it('have no faults where they fit together', () => {
    expect(faultsOf({})).toEqual([]);
    expect(faultsOf({ services: { web: service } })).toEqual([]);
  });

  it.each<[string, object, RegExp]>([
    [
      'a tier without a size',
      { tiers: { ...CATALOG.tiers, gold: { max_bytes: 1 } } },
      /calls\.size\.by_tier names nothing for the tier `gold`/,
    ],
    [
      'a size of an unknown tier',
      { limits: { ...CATALOG.limits, calls: { ...calls, size: { by_tier: { free: 1, gold: 1 } } } } },
      /calls\.size\.by_tier\.gold is for the unknown tier/,
    ],
    ['a model without a price', { prices: {} }, /prices\.bird is missing: `money`/],
    [
      'a price of an unknown model',
      { prices: { ...CATALOG.prices, cat: CATALOG.prices.bird } },
      /prices\.cat is for a model/,
    ],
    [
      'no cap at all',
      { models: { bird: { ...bird, max_output_tokens: undefined } } },
      /models\.bird has no `max_output_tokens`.*`tokens` refuses/,
    ],
    [
      'a limit by model on a route without one',
      { routes: [{ ...plain, limits: ['tokens'] }] },
      /routes\.plain\.limits .*`model`/,
    ],
    [
      'an estimate of a body that nobody reads',
      { routes: [{ ...plain, limits: ['tokens'] }] },
      /estimated of the body/,
    ],
    [
      'a preflight that nothing charges',
      { routes: [{ ...preflight, limits: ['calls'] }] },
      /by which the anonymous are not charged/,
    ],
    [
      'an override of an unknown tenant',
      { overrides: { calls: [{ for: { tenant: 'red' }, until: '2100-01-01T00:00:00Z', size: 5 }] } },
      /calls\[0\]\.for names the unknown tenant `red`/,
    ],
    [
      'a service without a word on limits',
      { services: { web: { ...service, limits: undefined } } },
      /web\.limits is not a list/,
    ],
    [
      'a service of an unknown limit',
      { services: { web: { ...service, limits: ['gone'] } } },
      /web\.limits names the limit `gone`/,
    ],
    [
      'a service by a key that it does not have',
      { services: { web: service }, limits: { ...CATALOG.limits, calls: { ...calls, key: ['tenant'] } } },
      /calls\.service_key is missing/,
    ],
    [
      'a fault that activation knows too',
      { limits: { ...CATALOG.limits, calls: { ...calls, size: 0 } } },
      /limits\.calls can make no charge/,
    ],
  ])('with %s are at fault', (_fault, changed, expected) => {
    expect(faultsOf(changed).filter((fault) => expected.test(fault))).toHaveLength(1);
  });

  it.each<[string, object, readonly string[]]>([
    ['none', {}, []],
    ['one as large', { burst: 100, size: 100 }, []],
    ['one that is smaller', { burst: 99, size: 100 }, ['catalog.limits.calls.burst burst_below_size']],
    ['one that is smaller for a tier', { burst: 9 }, ['catalog.limits.calls.burst burst_below_size']],
    [
      'one by tier that is smaller',
      { burst: { by_tier: { free: 9 } } },
      ['catalog.limits.calls.burst burst_below_size'],
    ],
    ['one by tier as large', { burst: { by_tier: { free: 10 } } }, []],
    ['one of no end', { burst: 1, size: 'unlimited' }, []],
  ])('warn of bursts below their size: %s', (_what, changed, expected) => {
    const warnings = lintBursts({ calls: { ...calls, ...changed } });
    expect(warnings.map(({ path, warning }) => `${path} ${warning}`)).toEqual(expected);
  });

  it('warn of overrides that are over', () => {
    const at = (nowMs: number) => lintOverrides(CATALOG.overrides, nowMs).map(({ path, warning }) => [path, warning]);
    expect(at(Date.UTC(2099, 11, 31))).toEqual([]);
    expect(at(Date.UTC(2100, 0, 1))).toEqual([['catalog.overrides.tokens[0]', 'expired_override']]);
  });
});
