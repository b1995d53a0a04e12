import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseStrictJson } from '../../../src/identity/strict-json.ts';

describe('strict JSON', () => {
  test.each([
    '{"a":1,"a":2}',
    '{"":1,"":2}',
    '{"__proto__":1,"__proto__":2}',
    '{"a":{"b":1,"b":1}}',
    '[{"a":[1,{"x":1,"y":[],"x":2}]}]',
    '{"a":"x,\\"a\\":","b":1,"a":2}',
  ])('the same key twice is refused: %s', (text) => {
    expect(() => parseStrictJson(text)).toThrow(new SyntaxError('an object has the same key twice'));
  });

  test.each([
    String.raw`{"\u0061":1}`,
    String.raw`{"a":1,"\u0061":2}`,
    String.raw`{"a\\":1}`,
    String.raw`{"\\u0074enant":1}`,
    String.raw`{"a":{"\n"  :1}}`,
    String.raw`{"x":"\"","\"" 
 :1}`,
  ])('a key that is spelt with an escape is refused: %s', (text) => {
    expect(() => parseStrictJson(text)).toThrow(new SyntaxError('a key is spelt with an escape'));
  });

  test('an escaped key of one text does not change how the next is read (nodejs/node#63785)', () => {
    expect(() => parseStrictJson(String.raw`{"\\u0074":1}`)).toThrow(SyntaxError);
    expect(JSON.parse(String.raw`{"\u0074enant":"b"}`)).toEqual({ tenant: 'b' });
  });

  test.each([
    '{"a":{"a":1},"b":{"a":2}}',
    '[{"a":1},{"a":2}]',
    '{"a":"a","b":"a"}',
    '{"a":["a","a"],"b":"\\"a\\":1"}',
    '{"a":1,"A":2,"а":3}',
    ' { "a" : [ ] , "b" : { } } ',
    '"text"',
    'null',
    '-0.5e-3',
  ])('what JSON.parse reads in one way only is read as it does: %s', (text) => {
    expect(parseStrictJson(text)).toEqual(JSON.parse(text));
  });

  test.each(['', '{', '{a:1}', '[1,]', '\ufeff{}', '{}{}', '01', 'NaN', '"\u0000"', "{'a':1}", '// x\n1'])(
    'no JSON is refused: %j',
    (text) => {
      expect(() => parseStrictJson(text)).toThrow(SyntaxError);
    },
  );

  test.each(['"\\ud800"', '{"\\udc00":1}', '["\\ude00\\ud83d"]', '1e400', '[-1e999]', '1'.repeat(400)])(
    'what has no exact value is refused: %s',
    (text) => {
      expect(() => parseStrictJson(text)).toThrow(SyntaxError);
    },
  );

  test('long integers keep every digit, all else is a number', () => {
    expect(parseStrictJson('[9007199254740993,-9007199254740993,9007199254740991,1e3,1.5]')).toEqual([
      9007199254740993n,
      -9007199254740993n,
      9007199254740991,
      1000,
      1.5,
    ]);
  });

  test('nesting is bounded at 32', () => {
    expect(parseStrictJson(`${'['.repeat(32)}${']'.repeat(32)}`)).toBeDefined();
    expect(() => parseStrictJson(`${'['.repeat(33)}${']'.repeat(33)}`)).toThrow(SyntaxError);
    expect(() => parseStrictJson(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)).toThrow(SyntaxError);
  });

  test('any value that is printed is read back equal, and frozen', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const text = JSON.stringify(value);
        if (!text.isWellFormed() || /\\ud[89a-f]/i.test(text) || hasEscapedKey(value)) return;
        const parsed = parseStrictJson(text);
        expect(toNumbers(parsed)).toEqual(JSON.parse(text));
        if (typeof parsed === 'object' && parsed !== null) expect(Object.isFrozen(parsed)).toBe(true);
      }),
      { seed: 20261122, numRuns: 2000 },
    );
  });

  test('the time grows with the length, not faster', () => {
    const times = [1000, 8000].map((count) => {
      const text = `{"x":"${'\\\\'.repeat(count * 10)}"${Array.from({ length: count }, (_, at) => `,"k${at}":[${at}]`).join('')}}`;
      const startedAt = process.threadCpuUsage();
      for (let round = 0; round < 20; round += 1) parseStrictJson(text);
      const { user } = process.threadCpuUsage(startedAt);
      return user;
    });
    // Eight times the text; a quadratic reader would need sixty-four times as long.
    expect(times[1]).toBeLessThan(Math.max(times[0] ?? 0, 2000) * 40);
  });
});

/** Long integers as the doubles that JSON.parse makes of them. */
function toNumbers(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(toNumbers);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, toNumbers(one)]));
}

function hasEscapedKey(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const keys = Array.isArray(value) ? [] : Object.keys(value);
  return keys.some((key) => JSON.stringify(key).includes('\\')) || Object.values(value).some(hasEscapedKey);
}
