import { describe, expect, test } from 'vitest';
import { numberOf, RegoNumber } from '../../../../src/policy/values/number.ts';
import { RegoObject } from '../../../../src/policy/values/object.ts';
import { RegoSet } from '../../../../src/policy/values/set.ts';
import { parseRegoText, toRegoText } from '../../../../src/policy/values/text.ts';

describe('Rego text', () => {
  test.each([
    'null',
    'true',
    '"a\\"\\n\\u0000😀"',
    '1.500',
    '12345678901234567890',
    '[]',
    '[1,[2]]',
    'set()',
    '{1}',
    '{1,{2}}',
    '{}',
    '{"a":1}',
    '{1:{"x"},[2]:"y"}',
  ])('is read and written back: %s', (text) => {
    expect(toRegoText(parseRegoText(text))).toBe(text);
  });

  test('is read with the spaces that the engine puts in', () => {
    expect(parseRegoText('{ "a" : [1, 2], "b": {2, 1.0, 1} }')).toEqual({
      a: [1, 2],
      b: RegoSet.of([2, numberOf('1.0')]),
    });
  });

  test.each([
    '',
    '[1',
    '{1',
    '{"a":',
    '"a',
    '[1,]',
    '{1,}',
    'nul',
    'set(',
    '[1 2]',
    '1 2',
    '{"a":1,2}',
    '['.repeat(5_000),
  ])('is refused when malformed: %.20s', (text) => {
    expect(() => parseRegoText(text)).toThrow(SyntaxError);
  });

  test('keeps numbers that a double would not print alike', () => {
    for (const text of ['-0', '1.0', '1e3', '9007199254740992', '0.1000']) {
      expect(parseRegoText(text)).toBeInstanceOf(RegoNumber);
      expect(toRegoText(parseRegoText(text))).toBe(text);
    }
    for (const text of ['0', '-1', '0.1', '9007199254740991']) expect(parseRegoText(text)).toBe(Number(text));
  });

  test('has objects by what their keys are', () => {
    expect(parseRegoText('{"__proto__": 1}')).not.toBeInstanceOf(RegoObject);
    expect(Object.keys(parseRegoText('{"__proto__": 1}') as object)).toEqual(['__proto__']);
    expect(parseRegoText('{"a": 1, 1: 2}')).toBeInstanceOf(RegoObject);
  });

  test('loses no text to surrogates', () => {
    expect(toRegoText('a\ud800')).toBe('"a\ufffd"');
  });
});
