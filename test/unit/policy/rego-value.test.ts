import { describe, expect, test } from 'vitest';
import { compareRego } from '../../../src/policy/rego-order.ts';
import {
  parseJsonText,
  parseRegoText,
  RegoNumber,
  RegoObject,
  RegoSet,
  toRegoText,
} from '../../../src/policy/rego-value.ts';
import { createResultReader } from '../../../src/policy/result-text.ts';

describe('Rego text', () => {
  test.each([
    'null',
    'true',
    '"a\\"\\n\\u0000😀"',
    '1.500',
    '-0',
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
    expect(parseRegoText('{ "a" : [1, 2], "b": {1, 2} }')).toEqual(
      new RegoObject([
        ['a', [new RegoNumber('1'), new RegoNumber('2')]],
        ['b', new RegoSet([new RegoNumber('1'), new RegoNumber('2')])],
      ]),
    );
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

  test('of JSON is one whole document', () => {
    expect(parseJsonText('{"a":1}')).toBeInstanceOf(RegoObject);
    for (const text of ['', '{', '{1}', 'set()', '1 1', '01', '{"a":1}x']) expect(parseJsonText(text)).toBeUndefined();
  });

  test('loses no text to surrogates', () => {
    expect(toRegoText('a\ud800')).toBe('"a\ufffd"');
  });
});

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
    const shuffled = [...ordered].reverse().sort(compareRego);
    expect(shuffled.map(toRegoText)).toEqual(ordered.map(toRegoText));
  });

  test('takes numbers of one value as equal', () => {
    expect(compareRego(new RegoNumber('1.0'), new RegoNumber('1'))).toBe(0);
    expect(compareRego(new RegoNumber('1e2'), new RegoNumber('100'))).toBe(0);
    expect(compareRego(new RegoNumber('-0'), new RegoNumber('0'))).toBe(0);
  });
});

describe('a result', () => {
  test.each<[string, string, unknown]>([
    ['undefined', 'set()', undefined],
    ['null', '{{"result": null}}', null],
    ['false', '{{"result": false}}', false],
    ['JSON', '{{"result": {"a": [1, "x"]}}}', { a: [1, 'x'] }],
    ['sets, in order', '{{"result": {"s": {"b", "a"}, "e": set()}}}', { s: ['a', 'b'], e: [] }],
    ['keys that are no texts', '{{"result": {1: "x", [1, "a"]: {"y"}}}}', { 1: 'x', '[1,"a"]': ['y'] }],
    ['large integers', '{{"result": [12345678901234567890, 1]}}', [12_345_678_901_234_567_890n, 1]],
    ['large integers in sets', '{{"result": {12345678901234567890}}}', [12_345_678_901_234_567_890n]],
    ['digits within texts', '{{"result": "12345678901234567890"}}', '12345678901234567890'],
  ])('is read: %s', (_name, text, value) => {
    const read = createResultReader();
    expect(read(text)).toEqual(value);
    expect(read(text)).toEqual(value);
  });

  test('keeps `__proto__` an ordinary key', () => {
    for (const text of ['{{"result": {"__proto__": 1}}}', '{{"result": {"__proto__": {2}}}}']) {
      const value = createResultReader()(text) as object;
      expect(Object.keys(value)).toEqual(['__proto__']);
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    }
  });

  test.each(['', '{}', '{{}}', '{{"other": 1}}', '{{"result": 1}, {"result": 2}}', '{1}', '{{"result": '])(
    'is refused when it is none: %s',
    (text) => {
      expect(() => createResultReader()(text)).toThrow();
    },
  );
});
