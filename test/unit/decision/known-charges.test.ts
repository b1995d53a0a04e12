import { describe, expect, test } from 'vitest';
import { type ChargeTerms, parseChargeTerms } from '../../../src/decision/charge-terms.ts';
import { createKnownCharges } from '../../../src/decision/known-charges.ts';

const CHARGE = {
  name: 'known-charges',
  key: ['principal', 'method'],
  unit: 'tokens',
  kind: 'rate',
  limit: 100,
  per_seconds: 60,
  cost: 10,
  scope: 'tenant',
  reserve: { ttl_seconds: 60, at_least: 5 },
  weights: { input: 1, output: 2 },
};

const again = (changes: object = {}): object => ({ ...structuredClone(CHARGE), ...changes });
const read = (charge: object): ChargeTerms => parseChargeTerms(charge);

describe('charges that come again', () => {
  test('have the same terms', () => {
    const first = read(again());
    expect(read(again())).toBe(first);
    expect(first.dimensions).toEqual(['principal', 'method']);
  });

  test.each<[string, object]>([
    ['another cost', { cost: 11 }],
    ['another limit', { limit: 101 }],
    ['another scope', { scope: 'shared' }],
    ['another dimension', { key: ['principal', 'route'] }],
    ['fewer dimensions', { key: ['principal'] }],
    ['more dimensions', { key: ['principal', 'method', 'route'] }],
    ['another reserve', { reserve: { ttl_seconds: 60, at_least: 6 } }],
    ['a reserve that says more', { reserve: { ttl_seconds: 60, at_least: 5, learned: false } }],
    ['other weights', { weights: { input: 1, output: 3 } }],
    ['one more member', { mode: 'shadow' }],
    ['another name', { name: 'known-charges-2' }],
  ])('have other terms with %s', (_, changes) => {
    const first = read(again());
    const other = read(again(changes));
    expect(other).not.toBe(first);
    expect(other).not.toEqual(first);
    expect(read(again())).toEqual(first);
  });

  test.each<[string, object]>([
    ['a list for an object', { reserve: [60, 5] }],
    ['an object for a list', { key: { 0: 'principal', 1: 'method' } }],
    ['an unknown key', { more: 1 }],
    ['a cost that is no number', { cost: '10' }],
    ['a nested list', { key: [['principal'], 'method'] }],
  ])('are refused as ever with %s', (_, changes) => {
    read(again());
    expect(() => read(again(changes))).toThrow(expect.objectContaining({ code: 'invalid_charges' }));
  });

  test('change nothing of what was read when they change later', () => {
    const charge = { ...structuredClone(CHARGE), name: 'changed-later' };
    const first = read(charge);
    charge.key.push('route');
    charge.reserve.at_least = 7;
    expect(first.dimensions).toEqual(['principal', 'method']);
    expect(read(charge)).not.toBe(first);
    expect(read({ ...structuredClone(CHARGE), name: 'changed-later' })).toBe(first);
  });
});

test('few variants of a name are kept, and those that come often get in', () => {
  let reads = 0;
  const known = createKnownCharges((charge) => {
    reads += 1;
    return { cost: charge['cost'] };
  });
  for (let cost = 0; cost < 1000; cost++) known.add({ name: 'n', cost }, { cost });
  expect(reads).toBeLessThan(150);
  for (let time = 0; time < 8; time++) known.add({ name: 'n', cost: 5000 }, { cost: 5000 });
  expect(known.find({ name: 'n', cost: 5000 })).toEqual({ cost: 5000 });
});

test('forgets all names when there are too many', () => {
  const known = createKnownCharges((charge) => charge['name']);
  for (let name = 0; name <= 512; name++) known.add({ name: `n${name}` }, name);
  expect(known.find({ name: 'n0' })).toBeUndefined();
  expect(known.find({ name: 'n512' })).toBe('n512');
});
