import { describe, expect, test } from 'vitest';
import { parseJson } from '../../../../src/policy/values/json.ts';
import { entriesOf, isObject, memberOf } from '../../../../src/policy/values/object.ts';
import { equal } from '../../../../src/policy/values/order.ts';
import { plainData } from '../../../../src/policy/values/plain-data.ts';
import { openStoredData, storeData } from '../../../../src/policy/values/stored-data.ts';
import { StoredObject } from '../../../../src/policy/values/stored-object.ts';
import { toRegoText } from '../../../../src/policy/values/text.ts';
import type { Value } from '../../../../src/policy/values/value.ts';
import { caseCount, createRandom, type Random, seedOf } from '../../../support/seed.ts';

const HOSTILE = [
  '__proto__',
  'constructor',
  'length',
  'toString',
  '0',
  '-0',
  '01',
  '',
  'é',
  '😀',
  'a"b',
  'a\\',
  '\u2028',
];

function members(count: number, value: (nth: number) => unknown = (nth) => ({ nth, note: 'n'.repeat(300) })): string {
  return `{${Array.from({ length: count }, (_, nth) => `"key ${nth}":${JSON.stringify(value(nth))}`).join(', ')}}`;
}

function both(text: string): { readonly plain: Value; readonly stored: Value } {
  const plain = parseJson(text);
  if (plain === undefined) throw new Error('the test is no JSON');
  return { plain, stored: openStoredData(structuredClone(storeData(Buffer.from(text)))) };
}

function at(value: Value | undefined, ...path: readonly Value[]): Value | undefined {
  return path.reduce<Value | undefined>((one, key) => (isObject(one) ? memberOf(one, key) : undefined), value);
}

describe('stored data', () => {
  test('are the same as parsed ones, wherever something large stands', () => {
    const large = members(400);
    for (const text of [
      `{"a": ${large}}`,
      `{"a": {"b": [1, ${large}, {"c": ${large}}]}, "d": 1.50}`,
      ` { "a" : ${large} , "b" : [ ] , "c" : { } , "d" : "\\"}{" , "e" : -1.0e3 } `,
      `{"a": ${large}, "a": 5}`,
      `{"a": ${large}, "a": null}`,
      `{"a": {"b": ${large}}, "a": {"b": null}}`,
      `{"a": ${large}, "a": ${members(500)}}`,
      `{"a": ${large.replace('"key 7"', '"key 9"')}}`,
      // Half a surrogate pair is read as U+FFFD, in keys too.
      `{"\\ud800": ${large}, "b": 1}`,
      `{"a": ${large.replace('"key 7"', '"\\udc00"').replace('"key 8"', '"\\ud800"')}}`,
      `{"\\ud800": ${large}, "\\udc00": 5}`,
      large,
      '{}',
    ]) {
      const { plain, stored } = both(text);
      expect(toRegoText(stored)).toBe(toRegoText(plain));
      expect(equal(stored, plain)).toBe(true);
      expect(equal(plain, stored)).toBe(true);
    }
  });

  test('are read member by member', () => {
    const { stored } = both(`{"a": ${members(1000)}}`);
    const large = at(stored, 'a');
    expect(large).toBeInstanceOf(StoredObject);
    expect(at(large, 'key 999', 'nth')).toBe(999);
    expect(at(large, 'key 999')).toBe(at(large, 'key 999'));
    for (const absent of ['key 1000', '', 'size', 'get', '__proto__', 7, null])
      expect(at(large, absent)).toBeUndefined();
  });

  test('find hostile keys, in the large object and above it', () => {
    const hostile = HOSTILE.map((key) => `${JSON.stringify(key)}: ${JSON.stringify(`of ${key}`)}`).join(',');
    const { stored } = both(`{"__proto__": {"a": {${hostile}, ${members(400).slice(1)}}}`);
    for (const key of HOSTILE) expect(at(stored, '__proto__', 'a', key)).toBe(`of ${key}`);
    expect(Object.getPrototypeOf(stored)).toBe(Object.prototype);
  });

  test('are the same as parsed ones for random documents', () => {
    const random = createRandom(seedOf('stored data'));
    let large = 0;
    for (let count = 0; count < caseCount(60); count++) {
      const { plain, stored } = both(drawDocument(random));
      expect(toRegoText(stored)).toBe(toRegoText(plain));
      if (JSON.stringify(plain).length > 100_000) large++;
    }
    console.info(`${large} documents with something large`);
  });

  test('are what JSON.parse gives, of which only what is looked at is parsed', () => {
    const random = createRandom(seedOf('plain data'));
    for (let count = 0; count < caseCount(60); count++) {
      const text = drawDocument(random);
      const plain = plainData(storeData(Buffer.from(text)));
      expect(structuredClone(plain)).toEqual(JSON.parse(text));
      expect(plain).toEqual(JSON.parse(text));
    }
    const large = `{"a": {"b": ${members(400)}, "__proto__": [${members(400)}]}, "c": 1}`;
    const plain = plainData(storeData(Buffer.from(large)));
    const inner = Object.getOwnPropertyDescriptor(plain, 'a')?.value;
    expect(typeof Object.getOwnPropertyDescriptor(inner, 'b')?.get).toBe('function');
    expect(inner.b).toBe(inner.b);
    expect(plain).toEqual(JSON.parse(large));
    expect(Object.getPrototypeOf(inner)).toBe(Object.prototype);
  });

  test('cannot be told from half a surrogate pair in a name above them', () => {
    expect(plainData(storeData(Buffer.from(`{"\\ud800": ${members(400)}}`)))).toBeUndefined();
  });

  test.each(['', '{', '[', '[}', '{"a"', '{"a":', '{"a":1', '["a', '["\\', '{"a":[1,}', '{]', ':'])(
    'are not looked for without end in %j, which is no JSON',
    (text) => {
      try {
        storeData(Buffer.from(text));
      } catch (error) {
        expect(error).toBeInstanceOf(TypeError);
      }
    },
  );

  test('cost what their small part costs', () => {
    const data = storeData(Buffer.from(`{"a": ${members(5000)}, "b": 1}`));
    expect(data.small).toBe('{"a": null, "b": 1}');
    expect(entriesOf(both(`{"a": ${members(300)}}`).stored as { readonly a: Value }).length).toBe(1);
  });
});

function drawDocument(random: Random): string {
  const draw = (depth: number): string => {
    const kind = random.below(depth > 3 ? 4 : 7);
    if (kind === 0) return random.pick(['1', '-0', '1.0', '1e3', '9007199254740993', '0.1', 'true', 'false', 'null']);
    if (kind < 3) return JSON.stringify(random.pick(HOSTILE));
    if (kind === 3) return members(200 + random.below(200), (nth) => 'x'.repeat(200 + (nth % 200)));
    if (kind === 4) return `[${Array.from({ length: random.below(4) }, () => draw(depth + 1)).join(' , ')}]`;
    return `{${Array.from({ length: random.below(5) }, () => `${JSON.stringify(random.pick(HOSTILE))} :${draw(depth + 1)}`).join(',')}}`;
  };
  return `{"a":${draw(0)},"b":${draw(0)}}`;
}
