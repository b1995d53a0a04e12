import { describe, expect, it } from 'vitest';
import { type DescriptorTable, matchDescriptor, mergeDescriptors } from '../../../src/quota/descriptors/descriptors.ts';
import { compileDescriptors } from '../../../src/quota/descriptors/descriptors-data.ts';

const minute = (limit: number): object => ({ kind: 'window', unit: 'requests', limit, per_seconds: 60 });

const DATA = {
  edge: {
    descriptors: [
      { key: 'tenant', limits: minute(10) },
      { key: 'tenant', value: 'gold', limits: minute(1000), name: 'gold' },
      { key: 'tenant', value: 'test-*', limits: minute(5) },
      { key: 'tenant', value: 'test-eu-*', limits: minute(6) },
      { key: 'tenant_gold', limits: minute(7) },
      { key: 'path', value: '/files*', share_threshold: true, limits: minute(8) },
      { key: 'white' },
      { key: 'free', unlimited: true },
      {
        key: 'api',
        limits: minute(3),
        descriptors: [
          { key: 'method', value: 'POST', descriptors: [{ key: 'user', limits: minute(2) }] },
          { key: 'rate', limits: { kind: 'rate', unit: 'tokens', limit: 50, per_seconds: 10, burst: 70 } },
          { key: 'day', limits: { kind: 'window', unit: 'requests', limit: 9, calendar: 'day', zone: 'UTC' } },
        ],
      },
    ],
  },
};

function compile(data: unknown): { readonly table: DescriptorTable; readonly faults: readonly string[] } {
  const faults: string[] = [];
  const table = compileDescriptors(data, (where, message) => faults.push(`${where}: ${message}`));
  return { table, faults };
}

function match(texts: readonly string[], domain = 'edge', table = compile(DATA).table): unknown {
  const entries = [];
  for (let at = 0; at < texts.length; at += 2) entries.push({ key: texts[at] ?? '', value: texts[at + 1] ?? '' });
  const found = matchDescriptor(table, domain, entries);
  if (found === undefined) return undefined;
  const { rule, key } = found;
  return [rule.kind === 'limit' ? rule.terms.limit : rule.kind, ...key];
}

describe('a descriptor', () => {
  it.each([
    ['by its literal value', ['tenant', 'gold'], [1000]],
    ['by the first prefix that fits, which counts each value', ['tenant', 'test-eu-1'], [5, 'test-eu-1']],
    ['by the text of a prefix as by that prefix', ['tenant', 'test-eu-*'], [6, 'test-eu-*']],
    ['by its key for every other value', ['tenant', 'silver'], [10, 'silver']],
    ['by its key for the empty value', ['tenant', ''], [10, '']],
    ['by a prefix that all its values share', ['path', '/files/a'], [8]],
    ['by all of its entries', ['api', 'v1', 'method', 'POST', 'user', 'u1'], [2, 'v1', 'u1']],
    ['by a rule above others', ['api', 'v1'], [3, 'v1']],
    ['to no limit', ['free', 'x'], ['unlimited', 'x']],
  ])('is matched %s', (_how, texts, expected) => {
    expect(match(texts)).toEqual(expected);
  });

  it.each([
    ['a key that is not there', ['other', 'x']],
    ['a rule that says nothing', ['white', 'x']],
    ['fewer entries than the rule has', ['api', 'v1', 'method', 'POST']],
    ['more entries than the rule has', ['tenant', 'gold', 'more', 'x']],
    ['another order', ['method', 'POST', 'api', 'v1']],
    ['another case', ['Tenant', 'gold']],
    ['another literal value', ['api', 'v1', 'method', 'GET', 'user', 'u1']],
    ['the name of a prototype', ['__proto__', 'constructor']],
  ])('is not matched by %s', (_how, texts) => {
    expect(match(texts)).toBeUndefined();
  });

  it('is not matched in another domain', () => {
    expect(match(['tenant', 'gold'], 'other')).toBeUndefined();
    expect(match(['tenant', 'gold'], 'constructor')).toBeUndefined();
  });

  it('never reaches the rule of a key that its key and value together spell', () => {
    expect(match(['tenant', 'gold'])).toEqual([1000]);
    expect(match(['tenant_gold', 'x'])).toEqual([7, 'x']);
  });
});

describe('rules', () => {
  it('are called by their path, a digest where that is long', () => {
    const deep = (levels: number): object =>
      levels === 0
        ? { key: 'last', limits: minute(1) }
        : { key: `level-${levels}-of-a-long-path`, value: 'some value', descriptors: [deep(levels - 1)] };
    const { table, faults } = compile({ d: { descriptors: [deep(6), { key: 'k', value: 'v', limits: minute(1) }] } });
    expect(faults).toEqual([]);
    const texts = [6, 5, 4, 3, 2, 1].flatMap((level) => [`level-${level}-of-a-long-path`, 'some value']);
    const entries = (all: readonly string[]): { key: string; value: string }[] =>
      all.flatMap((key, at) => (at % 2 === 0 ? [{ key, value: all[at + 1] ?? '' }] : []));
    const long = matchDescriptor(table, 'd', entries([...texts, 'last', 'x']))?.rule;
    expect(long?.kind === 'limit' && long.terms.name).toMatch(/^sha256:[0-9a-f]{64}$/);
    const short = matchDescriptor(table, 'd', [{ key: 'k', value: 'v' }])?.rule;
    expect(short?.kind === 'limit' && short.terms.name).toBe('["d",["k","v"]]');
  });

  it('name as many dimensions as values are counted apart', () => {
    const rule = matchDescriptor(compile(DATA).table, 'edge', [
      { key: 'api', value: 'v1' },
      { key: 'method', value: 'POST' },
      { key: 'user', value: 'u' },
    ])?.rule;
    expect(rule?.kind === 'limit' && rule.terms.dimensions).toHaveLength(2);
  });

  it('of windows count what they refuse, and those of rates do not, unless they say so', () => {
    const counts = (extra: object, limits: object): unknown => {
      const { table } = compile({ d: { descriptors: [{ key: 'k', limits, ...extra }] } });
      const rule = matchDescriptor(table, 'd', [{ key: 'k', value: '' }])?.rule;
      return rule?.kind === 'limit' && rule.countsOverLimit;
    };
    const rate = { kind: 'rate', unit: 'requests', limit: 1, per_seconds: 1 };
    expect([counts({}, minute(1)), counts({}, rate)]).toEqual([true, false]);
    expect([counts({ count_over_limit: false }, minute(1)), counts({ count_over_limit: true }, rate)]).toEqual([
      false,
      true,
    ]);
  });

  it('of one table go before those of another', () => {
    const first = compile({ d: { descriptors: [{ key: 'k', limits: minute(1) }] } }).table;
    const second = compile({
      d: { descriptors: [{ key: 'k', limits: minute(2) }] },
      e: { descriptors: [{ key: 'k', limits: minute(3) }] },
    }).table;
    const both = mergeDescriptors(first, second);
    expect([match(['k', 'x'], 'd', both), match(['k', 'x'], 'e', both)]).toEqual([
      [1, 'x'],
      [3, 'x'],
    ]);
  });
});

describe('data of a bundle', () => {
  it('may have no rules', () => {
    expect(compile(undefined)).toEqual({ table: { domains: new Map() }, faults: [] });
  });

  const d = (descriptor: unknown): unknown => ({ d: { descriptors: [descriptor] } });
  const limits = (over: object): unknown => d({ key: 'k', limits: { ...minute(1), ...over } });

  it.each([
    ['a list', [], 'catalog.ratelimit'],
    ['a domain that is no object', { d: 1 }, 'catalog.ratelimit.d'],
    ['a domain without a name', { '': { descriptors: [] } }, 'catalog.ratelimit.'],
    ['an unknown key of a domain', { d: { descriptors: [], x: 1 } }, 'unknown key `x`'],
    ['no list of descriptors', { d: {} }, 'catalog.ratelimit.d.descriptors'],
    ['a descriptor that is no object', d('k'), 'catalog.ratelimit.d.descriptors[0]'],
    ['a descriptor without key', d({}), '.key'],
    ['an unknown key', d({ key: 'k', rate_limit: {} }), 'unknown key `rate_limit`'],
    ['a value that is no text', d({ key: 'k', value: 7 }), '.value'],
    ['an empty value', d({ key: 'k', value: '' }), '.value'],
    ['a flag that is none', d({ key: 'k', shadow: 'yes' }), '.shadow'],
    ['a key with a wildcard', d({ key: 'k*' }), 'only a value can be a prefix'],
    ['a shared value that is no prefix', d({ key: 'k', value: 'v', share_threshold: true }), 'share_threshold'],
    ['limits that are none', d({ key: 'k', limits: 5 }), '.limits'],
    ['an unknown key of a limit', limits({ cost: 2 }), 'unknown key `cost`'],
    ['an unknown kind', limits({ kind: 'sliding' }), '`kind` is none of'],
    ['an unknown unit', limits({ unit: 'hits' }), '`unit` is none of'],
    ['a limit of zero', limits({ limit: 0 }), '`limit` is zero'],
    ['a negative limit', limits({ limit: -1 }), '`limit` is not an integer'],
    [
      'a concurrency limit',
      d({ key: 'k', limits: { kind: 'concurrency', unit: 'requests', limit: 1 } }),
      'concurrency',
    ],
    ['a limit that is none too', d({ key: 'k', unlimited: true, limits: minute(1) }), '`unlimited`'],
    ['replaces that are no names', d({ key: 'k', replaces: [1] }), '.replaces'],
    ['the same descriptor twice', { d: { descriptors: [{ key: 'k' }, { key: 'k' }] } }, 'stands here twice'],
  ])('is refused for %s', (_what, data, fault) => {
    const { faults } = compile(data);
    expect(faults.join('\n')).toContain(fault);
  });

  it('is refused when it is too deep', () => {
    let descriptor: object = { key: 'k' };
    for (let level = 0; level < 20; level++) descriptor = { key: 'k', descriptors: [descriptor] };
    expect(compile(d(descriptor)).faults.join('\n')).toContain('more than 16 levels deep');
  });
});
