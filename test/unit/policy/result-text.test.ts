import { describe, expect, test } from 'vitest';
import { createResultReader } from '../../../src/policy/result-text.ts';

describe('a result', () => {
  test.each<[string, string, unknown]>([
    ['undefined', 'set()', undefined],
    ['null', '{{"result": null}}', null],
    ['false', '{{"result": false}}', false],
    ['JSON', '{{"result": {"a": [1, "x"]}}}', { a: [1, 'x'] }],
    ['sets, in order', '{{"result": {"s": {"b", "a"}, "e": set()}}}', { s: ['a', 'b'], e: [] }],
    ['keys that are no texts', '{{"result": {1: "x", [1, "a"]: {"y"}}}}', { 1: 'x', '[1,"a"]': ['y'] }],
    [
      'sets within keys',
      '{{"result": {{1, 2}: 3, {"b": [1, {2}], 1: 1.50}: 4}}}',
      { '[1,2]': 3, '{"1":1.50,"b":[1,[2]]}': 4 },
    ],
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
