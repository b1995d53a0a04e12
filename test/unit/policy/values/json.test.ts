import { expect, test } from 'vitest';
import { childOf } from '../../../../src/policy/values/child.ts';
import { isJson, parseJson } from '../../../../src/policy/values/json.ts';
import { toJsonText } from '../../../../src/policy/values/json-text.ts';
import { numberOf } from '../../../../src/policy/values/number.ts';
import { objectOf } from '../../../../src/policy/values/object.ts';
import { RegoSet } from '../../../../src/policy/values/set.ts';
import { parseRegoText, toRegoText } from '../../../../src/policy/values/text.ts';
import { caseCount, createRandom, type Random, seedOf } from '../../../support/seed.ts';

function read(text: string): string {
  const value = parseJson(text);
  return value === undefined ? 'undefined' : toRegoText(value);
}

test.each([
  ['[1.0,1e3,1E5,-0,0,-5,0.10,0.0000001,1e-7,1e+21,1.5e-7]', '[1.0,1e3,1E5,-0,0,-5,0.10,0.0000001,1e-7,1e+21,1.5e-7]'],
  [
    '[9007199254740993, 12345678901234567890, 0.1234567890123456789]',
    '[9007199254740993,12345678901234567890,0.1234567890123456789]',
  ],
  ['100000000000000000000000', '100000000000000000000000'],
  ['[100000000000000000000000]', '[100000000000000000000000]'],
  ['{"a":1,"b":0,"a":1.0}', '{"a":1.0,"b":0}'],
  ['{"a":{"b":1},"a":{"c":2}}', '{"a":{"c":2}}'],
  ['{"__proto__":{"a":1.0},"constructor":1,"":2,"0":3}', '{"":2,"0":3,"__proto__":{"a":1.0},"constructor":1}'],
  ['"\\ud800"', '"\ufffd"'],
  ['["\\ud83d\\ude00","\\ude00\\ud83d",1.0]', '["😀","\ufffd\ufffd",1.0]'],
  ['["\\\\ud800","\\\\\\ud800"]', '["\\\\ud800","\\\\\ufffd"]'],
  ['"\ud800"', '"\ufffd"'],
  ['["a\\"b\\\\",1.0,"\\\\\\"",""]', '["a\\"b\\\\",1.0,"\\\\\\"",""]'],
  [' \t\r\n[ 1.0 , { "a" : true } , null , false , [ ] , { } ] ', '[1.0,{"a":true},null,false,[],{}]'],
  ['1e400', '1e400'],
  ['1e30102', '1e30102'],
  ['1e30103', 'undefined'],
  ['[1e-30104]', 'undefined'],
  ['1e99999999999999999999', 'undefined'],
])('%s is read as %s', (text, expected) => {
  expect(read(text)).toBe(expected);
});

test.each([
  '',
  ' ',
  '01',
  '1.',
  '.5',
  '+1',
  '-',
  '1e',
  '[1.0,]',
  '[1.0',
  '{"a":1.0,}',
  '{"a"1.0}',
  '{1.0:1}',
  '[1.0 2]',
])('%j is no JSON', (text) => {
  expect(parseJson(text)).toBeUndefined();
  expect(isJson(text)).toBe(false);
});

test.each([
  '"\u0001"',
  '[1.0,"\u0001"]',
  '[1.0,"\\x"]',
  '\u00a01.0',
  '\ufeff1.0',
  '1.0 1',
  'nul',
  '[1.0,tru]',
  'NaN',
  '"a',
  '["\\"]',
])('%j is no JSON either', (text) => {
  expect(parseJson(text)).toBeUndefined();
});

test('texts are nested 1,000 deep at most', () => {
  expect(parseJson('['.repeat(1_000) + ']'.repeat(1_000))).toBeDefined();
  expect(parseJson('['.repeat(1_001) + ']'.repeat(1_001))).toBeUndefined();
  expect(parseJson(`${'{"a":'.repeat(1_001)}1.0${'}'.repeat(1_001)}`)).toBeUndefined();
  expect(isJson('['.repeat(1_001) + ']'.repeat(1_001))).toBe(false);
  expect(parseJson(`[${'[],'.repeat(5_000)}"${'['.repeat(5_000)}"]`)).toBeDefined();
});

test('both ways of reading give what was written', () => {
  const seed = seedOf('json');
  const random = createRandom(seed);
  for (let round = 0; round < caseCount(2_000); round++) {
    const { text, value } = drawn(random, 4);
    expect(parseJson(text), `seed ${seed}`).toEqual(value);
    // The number at the end makes the second reader read all of it.
    expect(parseJson(`[${text},1.0]`), `seed ${seed}`).toEqual([value, numberOf('1.0')]);
  }
});

test('a key with an escape is not taken for another one, as V8 may take it', () => {
  const texts = ['{"" : 1, "\\n" : 2}', '{"" : 1, "\\\\" : 2}', '{"" : 1, "\\u0000" : 2}', '{"" : 1, "\\/" : 2}'];
  for (let round = 0; round < 50; round++) {
    const keys = texts.map((text) => Object.keys(parseJson(text) ?? {}));
    expect(keys).toEqual([
      ['', '\n'],
      ['', '\\'],
      ['', '\0'],
      ['', '/'],
    ]);
  }
});

interface Drawn {
  readonly text: string;
  readonly value: unknown;
}

/** A document and what it says: `JSON.parse` is no judge of keys with escapes. */
function drawn(random: Random, depth: number): Drawn {
  const kind = random.below(depth > 0 ? 7 : 5);
  if (kind === 0) return same(random.pick([true, false, null]));
  if (kind === 1) return same(random.below(1_000_000) - 500_000);
  if (kind === 2) return same(random.next() * random.pick([1, 1_000, 0.001]));
  if (kind < 5) return same(wordOf(random));
  const items = Array.from({ length: random.below(4) }, () => drawn(random, depth - 1));
  const space = random.pick(['', ' ', '\n']);
  const texts = items.map(({ text }) => text);
  if (kind === 5) return { text: `[${space}${texts.join(`${space},`)}]`, value: items.map(({ value }) => value) };
  const keys = items.map(() => wordOf(random));
  const members = keys.map((key, at) => `${space}${JSON.stringify(key)}${space}:${space}${texts[at]}`);
  return { text: `{${members.join(',')}}`, value: Object.fromEntries(keys.map((key, at) => [key, items[at]?.value])) };
}

function same(value: unknown): Drawn {
  return { text: JSON.stringify(value), value };
}

function wordOf(random: Random): string {
  const parts = ['a', '"', '\\', '\n', 'é', '😀', '__proto__', '0', '/', '\u2028', ' ', '\u0000'];
  return Array.from({ length: random.below(5) }, () => random.pick(parts)).join('');
}

test.each([
  ['{"b":1,"a":[{2,1},set()]}', '{"a":[[1,2],[]],"b":1}'],
  ['{1:1,"1":2,[1]:3,{"x"}:4,null:5}', '{"1":2,"[\\"x\\"]":4,"[1]":3,"null":5}'],
  ['"<>&\\u2028\\u2029\\u0000\\u007f"', '"\\u003c\\u003e\\u0026\\u2028\\u2029\\u0000\u007f"'],
  ['[1.0,-0,1E5,12345678901234567890]', '[1.0,-0,1E5,12345678901234567890]'],
  ['{"\uffee":1,"😀":2}', '{"\uffee":1,"😀":2}'],
])('%s is written as %s', (text, expected) => {
  expect(toJsonText(parseRegoText(text))).toBe(expected);
});

test('items and members have lines of their own', () => {
  const text = toJsonText(parseRegoText('{"a":[1,{}],"b":[]}'), { prefix: '>', indent: '  ' });
  expect(text).toBe('{\n>  "a": [\n>    1,\n>    {}\n>  ],\n>  "b": []\n>}');
});

test('what a key means depends on what it is a key of', () => {
  const array = [10, 20];
  expect(childOf(array, 1)).toBe(20);
  expect(childOf(array, numberOf('1.0'))).toBe(20);
  expect(childOf(array, numberOf('-0'))).toBe(10);
  for (const key of [2, -1, 0.5, '0', 'length', null, numberOf('1e0')]) expect(childOf(array, key)).toBeUndefined();
  expect(childOf(RegoSet.of([1, 'a']), numberOf('1.0'))).toBe(1);
  expect(childOf(RegoSet.of(['a']), 'size')).toBeUndefined();
  expect(childOf(objectOf([[1, 2]]), 1)).toBe(2);
  expect(childOf({}, 'constructor')).toBeUndefined();
  expect(childOf('text', 'length')).toBeUndefined();
});
