import { afterEach, describe, expect, test } from 'vitest';
import { numberOf } from '../../../../src/policy/values/number.ts';
import { objectOf } from '../../../../src/policy/values/object.ts';
import { compare, equal } from '../../../../src/policy/values/order.ts';
import { RegoSet } from '../../../../src/policy/values/set.ts';
import type { Value } from '../../../../src/policy/values/value.ts';
import { canonicalText } from '../../../../src/policy/values/value-map.ts';
import { countWorkBy } from '../../../../src/policy/values/work.ts';

afterEach(() => countWorkBy(undefined));

/** `[v, v]` of `[v, v]` of … : small in memory, and 2^depth parts when it is walked. */
function doubled(depth: number): Value {
  let value: Value = 'leaf';
  for (let level = 0; level < depth; level++) value = [value, value];
  return value;
}

function withinSteps(most: number): void {
  let left = most;
  countWorkBy((steps) => {
    left -= steps;
    if (left < 0) throw new Error('too much');
  });
}

const long = (end: string): string => 'a'.repeat(1_000_000) + end;
const digits = (end: string): Value => numberOf('7'.repeat(100_000) + end);
const many = (): Value => objectOf(Array.from({ length: 200_000 }, (_, at) => [`k${at}`, at]));

describe('is counted, and ended by whoever counts', () => {
  test.each<[string, () => unknown]>([
    ['comparing values whose parts are shared', () => compare([doubled(60), 1], [doubled(60), 2])],
    ['whether such values are equal', () => equal(doubled(60), doubled(60))],
    ['a key of such a value', () => canonicalText(doubled(60))],
    ['a set of such values', () => RegoSet.of([doubled(60)])],
    ['ordering long texts', () => compare(long('a'), long('b'))],
    ['ordering long numbers', () => compare(digits('1'), digits('2'))],
    ['ordering large objects', () => compare(many(), many())],
    ['whether large objects are equal', () => equal(many(), many())],
    ['the order of a large set', () => RegoSet.of(Array.from({ length: 100_000 }, (_, at) => at)).sorted()],
  ])('%s', (_, work) => {
    withinSteps(20_000);
    expect(work).toThrow('too much');
  });

  test('but for what is small', () => {
    withinSteps(100);
    expect(compare('a', 'b')).toBeLessThan(0);
    expect(equal({ a: [1, 'x'] }, { a: [1, 'x'] })).toBe(true);
    expect(RegoSet.of([1, 'a', null]).sorted()).toEqual([null, 1, 'a']);
  });
});

test('is counted by nobody outside of an evaluation', () => {
  expect(compare(long('a'), long('b'))).toBeLessThan(0);
});
