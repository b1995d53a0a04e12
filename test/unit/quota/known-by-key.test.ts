import { expect, test } from 'vitest';
import { createKnownByKey } from '../../../src/quota/known-by-key.ts';

test('what was made for a key is found by that key alone', () => {
  const known = createKnownByKey<number>(100)();
  const keys = [[], ['a'], ['a', 'b'], ['ab'], ['b', 'a'], ['', 'a'], ['__proto__'], ['constructor', 'a']];
  for (const [at, key] of keys.entries()) known.set(key, at);
  expect(keys.map((key) => known.get(key))).toEqual(keys.map((_, at) => at));
  for (const key of [['b'], ['a', 'b', 'c'], [''], ['toString']]) expect(known.get(key)).toBeUndefined();
});

test('two of one maker share nothing but their bound', () => {
  const make = createKnownByKey<number>(3);
  const [one, other] = [make(), make()];
  one.set(['a'], 1);
  other.set(['a'], 2);
  expect([one.get(['a']), other.get(['a'])]).toEqual([1, 2]);
  one.set(['b'], 3);
  // The fourth: all are forgotten but itself.
  other.set(['b'], 4);
  expect([one.get(['a']), one.get(['b']), other.get(['a']), other.get(['b'])]).toEqual([
    undefined,
    undefined,
    undefined,
    4,
  ]);
});

test('keys that are long altogether are not kept', () => {
  const known = createKnownByKey<number>(100)();
  known.set(['x'.repeat(200), 'y'.repeat(56)], 1);
  known.set(['x'.repeat(200), 'y'.repeat(57)], 2);
  expect(known.get(['x'.repeat(200), 'y'.repeat(56)])).toBe(1);
  expect(known.get(['x'.repeat(200), 'y'.repeat(57)])).toBeUndefined();
});
