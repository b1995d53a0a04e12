import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { INPUT_MEMBERS, type PolicyInput } from '../../../src/decision/input.ts';
import { type JsonValue, RawJson } from '../../../src/decision/json.ts';
import { createInputWriter, toJsonText } from '../../../src/policy/input-text.ts';
import type { Projection } from '../../../src/policy/projection.ts';
import { seedOf } from '../../support/seed.ts';

function input(members: { readonly [name: string]: JsonValue | undefined }): PolicyInput {
  // Every member of the type is there.
  return Object.fromEntries(INPUT_MEMBERS.map((name) => [name, () => members[name]])) as unknown as PolicyInput;
}

function members(tree: { readonly [name: string]: Projection }): Projection {
  return { members: new Map(Object.entries(tree)) };
}

const LEAF: Projection = members({});

describe('JSON text', () => {
  test.each<[string, JsonValue, string]>([
    ['null', null, 'null'],
    ['booleans', [true, false], '[true,false]'],
    ['integers', [0, -1, 2 ** 53], '[0,-1,9007199254740992]'],
    ['minus zero', -0, '-0'],
    ['fractions and exponents', [1.5, 1e21, 1e-7], '[1.5,1e+21,1e-7]'],
    ['integers of any size', [2n ** 70n, -1n], '[1180591620717411303424,-1]'],
    ['texts', ['a"b\\c\n', '\u0000', '\u2028', '😀'], '["a\\"b\\\\c\\n","\\u0000","\u2028","😀"]'],
    ['lone surrogates', ['\ud800', 'a\udc00b'], '["\ufffd","a\ufffdb"]'],
    ['absent members', { a: undefined, b: 1, c: undefined }, '{"b":1}'],
    ['hostile keys', JSON.parse('{"__proto__":1,"constructor":2}') as JsonValue, '{"__proto__":1,"constructor":2}'],
    ['keys with surrogates', { '\ud800"': 1 }, '{"\ufffd\\"":1}'],
    ['nothing', [{}, []], '[{},[]]'],
    ['spliced text', [new RawJson('{"a": 1.000}')], '[{"a": 1.000}]'],
    ['spliced pairs of surrogates', new RawJson('"\\ud83d\\ude00"'), '"\\ud83d\\ude00"'],
    ['spliced lone surrogates', new RawJson('"\\uD83d \\ude00"'), '"\\ufffd \\ufffd"'],
    ['spliced backslashes before a surrogate', new RawJson('"\\\\ud800 \\\\\\ud800"'), '"\\\\ud800 \\\\\\ufffd"'],
  ])('keeps %s', (_name, value, text) => {
    expect(toJsonText(value)).toBe(text);
  });

  test.each<[string, unknown]>([
    ['NaN', Number.NaN],
    ['Infinity', [Number.POSITIVE_INFINITY]],
    ['a function', { a: () => 1 }],
    ['a symbol', Symbol('a')],
    ['a hole', new Array(2)],
  ])('refuses %s', (_name, value) => {
    // The type forbids them; a door or an adapter may not.
    expect(() => toJsonText(value as JsonValue)).toThrow(TypeError);
  });

  test('is what JSON.stringify makes of any JSON value, with U+FFFD for lone surrogates', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4, stringUnit: 'grapheme' }), (value) => {
        // fast-check's JsonValue is ours.
        const text = toJsonText(value as JsonValue);
        // JSON.stringify writes minus zero as zero, and lone surrogates as escapes.
        expect(JSON.stringify(JSON.parse(text))).toBe(replaceLone(JSON.stringify(value)));
      }),
      { seed: seedOf('input text'), numRuns: 500 },
    );
  });
});

function replaceLone(json: string): string {
  return JSON.stringify(
    JSON.parse(json, (_key, value: unknown) => (typeof value === 'string' ? value.toWellFormed() : value)),
  );
}

describe('a writer of input', () => {
  const request = { method: 'GET', path: '/p', size: { known: true, bytes: 1 } };

  test('writes the projected members in a fixed order, and only those', () => {
    const write = createInputWriter(members({ route: LEAF, request: members({ size: members({ known: LEAF }) }) }));
    expect(write(input({ request, route: null, identity: { secret: 'x' } }))).toBe(
      '{"request":{"size":{"known":true}},"route":null}',
    );
  });

  test('writes everything where all is read', () => {
    expect(createInputWriter('whole')(input({ request: 1, truncated_body: false }))).toBe(
      '{"request":1,"truncated_body":false}',
    );
  });

  test('writes nothing where nothing is read', () => {
    expect(createInputWriter(LEAF)(input({ request }))).toBe('{}');
  });

  test('calls no member that is not projected', () => {
    const broken: PolicyInput = {
      ...input({ request }),
      parsed_body: () => {
        throw new Error('was called');
      },
    };
    expect(createInputWriter(members({ request: members({ path: LEAF }) }))(broken)).toBe('{"request":{"path":"/p"}}');
    expect(() => createInputWriter(members({ parsed_body: LEAF }))(broken)).toThrow('was called');
  });

  test('ignores projected members that are none of input', () => {
    expect(createInputWriter(members({ __proto__x: LEAF, threat: LEAF, constructor: LEAF }))(input({ request }))).toBe(
      '{}',
    );
  });

  test.each<[string, JsonValue, string]>([
    ['a text', 'x', '{"request":"x"}'],
    ['a list', [1], '{"request":[1]}'],
    ['null', null, '{"request":null}'],
    ['spliced text', new RawJson('{"b":2}'), '{"request":{"b":2}}'],
    ['an object without the member', { b: 2 }, '{"request":{}}'],
    ['an object that inherits the member', {}, '{"request":{}}'],
  ])('writes %s as it is where a member of it is read', (_name, value, text) => {
    expect(createInputWriter(members({ request: members({ toString: LEAF }) }))(input({ request: value }))).toBe(text);
  });

  test('finds `__proto__` only where it is an own member', () => {
    const write = createInputWriter({ members: new Map([['request', { members: new Map([['__proto__', LEAF]]) }]]) });
    expect(write(input({ request: {} }))).toBe('{"request":{}}');
    expect(write(input({ request: JSON.parse('{"__proto__":[1]}') as JsonValue }))).toBe(
      '{"request":{"__proto__":[1]}}',
    );
  });
});
