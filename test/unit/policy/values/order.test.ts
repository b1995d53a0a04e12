import { describe, expect, test } from 'vitest';
import { numberOf } from '../../../../src/policy/values/number.ts';
import { compare, equal } from '../../../../src/policy/values/order.ts';
import { parseRegoText, toRegoText } from '../../../../src/policy/values/text.ts';

describe('the order of Rego values', () => {
  test('is null, booleans, numbers, texts by code point, arrays, objects, sets', () => {
    const ordered = [
      'null',
      'false',
      'true',
      '-1e400',
      '-1',
      '0',
      '0.1',
      '12345678901234567890',
      '12345678901234567891',
      '1e30',
      '""',
      '"a"',
      '"\uffee"',
      '"😀"',
      '[]',
      '[1]',
      '[1,1]',
      '[2]',
      '{}',
      '{"a":1}',
      '{"a":1,"b":1}',
      '{"a":2}',
      'set()',
      '{1}',
      '{2}',
    ].map(parseRegoText);
    const shuffled = [...ordered].reverse().sort(compare);
    expect(shuffled.map(toRegoText)).toEqual(ordered.map(toRegoText));
  });

  test('is the one by which values are equal', () => {
    const texts = [
      '1',
      '1.0',
      '"1"',
      '[1]',
      '[1.0]',
      '{"a":1}',
      '{"a":1e0}',
      '{1}',
      '{1.0}',
      '{{"a":{1}}}',
      'null',
      '0',
      '-0',
    ];
    for (const left of texts.map(parseRegoText)) {
      for (const right of texts.map(parseRegoText)) expect(equal(left, right)).toBe(compare(left, right) === 0);
    }
  });

  test('takes numbers of one value as equal', () => {
    expect(compare(numberOf('1.0'), numberOf('1'))).toBe(0);
    expect(compare(numberOf('1e2'), numberOf('100'))).toBe(0);
    expect(compare(numberOf('-0'), numberOf('0'))).toBe(0);
  });
});
