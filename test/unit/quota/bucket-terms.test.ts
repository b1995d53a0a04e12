import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { parseChargeTerms } from '../../../src/decision/charge-terms.ts';
import type { BucketTerms } from '../../../src/quota/bucket.ts';
import { createChargeShapes, toPlanned } from '../../../src/quota/bucket-terms.ts';
import { createQuotaMetrics } from '../../../src/telemetry/quota-metrics.ts';
import { caseCount, createRandom, seedOf } from '../../support/seed.ts';

const shapes = createChargeShapes(createQuotaMetrics(new Registry(), 10));

function bucket(parts: { readonly [member: string]: unknown }, key: readonly string[]): BucketTerms {
  const terms = parseChargeTerms({
    name: 'rps',
    key: ['tenant'],
    unit: 'requests',
    kind: 'rate',
    limit: 10,
    cost: 1,
    scope: 'tenant',
    ...('calendar' in parts ? {} : { per_seconds: 1 }),
    ...parts,
  });
  return toPlanned(shapes(terms), key, terms.cost).terms;
}

describe('the identity of a bucket', () => {
  const plain = bucket({}, ['acme']);

  test.each<[string, { readonly [member: string]: unknown }]>([
    ['limit', { limit: 20 }],
    ['burst', { burst: 3 }],
    ['cost', { cost: 5 }],
    ['mode', { mode: 'shadow' }],
    ['failure', { on_failure: 'allow' }],
    ['reserve', { reserve: { ttl_seconds: 5 } }],
  ])('says nothing of its %s', (_, parts) => {
    expect(bucket(parts, ['acme']).id).toBe(plain.id);
  });

  test.each<[string, { readonly [member: string]: unknown }, string]>([
    ['name', { name: 'rps2' }, 'acme'],
    ['unit', { unit: 'bytes' }, 'acme'],
    ['kind', { kind: 'window' }, 'acme'],
    ['period', { per_seconds: 2 }, 'acme'],
    ['dimension', { key: ['principal'] }, 'acme'],
    ['key', {}, 'acme '],
  ])('is another one with another %s', (_, parts, key) => {
    expect(bucket(parts, [key]).id).not.toBe(plain.id);
  });

  test('is another one in another calendar or zone', () => {
    const ids = [
      ['day', 'UTC'],
      ['month', 'UTC'],
      ['day', 'Europe/Berlin'],
    ].map(([calendar, zone]) => bucket({ kind: 'window', calendar, zone }, ['acme']).id);
    expect(new Set(ids).size).toBe(3);
  });

  test('is no other’s, whatever delimiters, twins and lengths the values have', () => {
    const random = createRandom(seedOf('bucket identities'));
    const pieces = [
      '1',
      ':',
      '#',
      '\0',
      '}',
      '{',
      'a',
      'é',
      'e\u0301',
      '\ud800',
      '\udc00',
      '\ufffd',
      'x'.repeat(260),
      '12:',
    ];
    const seen = new Map<string, string>();
    for (let round = 0; round < caseCount(20_000); round += 1) {
      const text = (): string => Array.from({ length: random.below(4) }, () => random.pick(pieces)).join('');
      const key = [text(), text()];
      const { id } = bucket({ key: ['tenant', 'principal'] }, key);
      const wanted = JSON.stringify(key);
      expect(seen.get(id) ?? wanted).toBe(wanted);
      seen.set(id, wanted);
    }
  });

  test('stays short for a value of 10 MB', () => {
    const [one, other] = ['a', 'b'].map((end) => bucket({}, ['x'.repeat(10_000_000) + end]).id);
    expect(one?.length).toBeLessThan(200);
    expect(one).not.toBe(other);
  });

  test('is told without its key, for a store that has no room for another', () => {
    expect(bucket({}, ['acme']).family).toBe(bucket({ limit: 7 }, ['other']).family);
    expect(bucket({}, ['acme']).family).not.toBe(bucket({ per_seconds: 7 }, ['acme']).family);
  });

  test('needs one value for each dimension', () => {
    expect(() => bucket({}, ['acme', 'alice'])).toThrow(TypeError);
  });
});

describe('the region of a bucket', () => {
  test.each<[readonly string[], BucketTerms['region']]>([
    [[], 'callers'],
    [['tenant'], 'callers'],
    [['address', 'principal'], 'callers'],
    [['claim:sub'], 'callers'],
    [['key_id'], 'callers'],
    [['peer'], 'callers'],
    [['tier'], 'callers'],
    [['route'], 'callers'],
    [['route', 'model', 'operation'], 'callers'],
    [['address'], 'outsiders'],
    [['country'], 'outsiders'],
    [['method'], 'outsiders'],
    [['route', 'method'], 'outsiders'],
    [['route', 'address'], 'outsiders'],
  ])('of %j is that of %s', (dimensions, region) => {
    expect(
      bucket(
        { key: dimensions },
        dimensions.map(() => 'x'),
      ).region,
    ).toBe(region);
  });
});
