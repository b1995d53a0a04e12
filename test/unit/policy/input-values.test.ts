import { expect, test } from 'vitest';
import type { JsonValue } from '../../../src/decision/json.ts';
import { RawJson } from '../../../src/decision/json.ts';
import { createInputReader } from '../../../src/policy/input-values.ts';
import type { Projection } from '../../../src/policy/projection.ts';
import { RegoNumber } from '../../../src/policy/values/number.ts';
import { toRegoText } from '../../../src/policy/values/text.ts';
import { policyInput } from '../../contract/policy-support/engine.ts';

const part = (...members: readonly (readonly [string, Projection])[]): Projection => ({ members: new Map(members) });
const LEAF: Projection = { members: new Map() };
const whole = createInputReader('whole');

function read(value: JsonValue): string {
  return toRegoText(whole(policyInput({ parsed_body: value }))['parsed_body'] ?? 'absent');
}

test.each<[string, JsonValue, string]>([
  ['an integer', 7, '7'],
  ['minus zero', -0, '-0'],
  ['a fraction', 0.1, '0.1'],
  ['a double that is no safe integer', 2 ** 60, '1152921504606847000'],
  ['a double that is printed with an exponent', 1e21, '1e+21'],
  ['an integer beyond 2^53', 9_007_199_254_740_993n, '9007199254740993'],
  [
    'text of JSON, every digit kept',
    new RawJson('[1.50, 1e3, 12345678901234567890]'),
    '[1.50,1e3,12345678901234567890]',
  ],
  ['a lone surrogate', 'a\ud800b', '"a\ufffdb"'],
  ['a lone surrogate in a key', { 'a\udc00': 1 }, '{"a\ufffd":1}'],
  ['a member that is absent', { a: undefined, b: null }, '{"b":null}'],
  [
    'hostile keys',
    JSON.parse('{"__proto__": {"a": 1}, "constructor": 2, "0": 3, "": 4}') as JsonValue,
    '{"":4,"0":3,"__proto__":{"a":1},"constructor":2}',
  ],
  ['lists', [[], [1, [true]]], '[[],[1,[true]]]'],
])('reads %s', (_, value, text) => {
  expect(read(value)).toBe(text);
});

test('keeps the invariant of values: a number is what its text says', () => {
  const { parsed_body: body } = whole(policyInput({ parsed_body: [1e21, -0, 2 ** 53] }));
  expect(body).toEqual([expect.any(RegoNumber), expect.any(RegoNumber), expect.any(RegoNumber)]);
});

test.each<[string, JsonValue]>([
  ['NaN', Number.NaN],
  ['an infinite number', Number.POSITIVE_INFINITY],
  // `undefined` is no value of a list; the type says so too.
  ['a hole', [undefined as unknown as JsonValue]],
  ['text that is no JSON', new RawJson('{"a"}')],
  ['text that goes on behind its end', new RawJson('1 2')],
])('refuses %s', (_, value) => {
  expect(() => read(value)).toThrow(TypeError);
});

test('refuses what is nested too deeply', () => {
  let value: JsonValue = 1;
  for (let depth = 0; depth < 600; depth++) value = [value];
  expect(() => read(value)).toThrow('nested too deeply');
});

test('reads only what the entrypoint can read, and calls no other member', () => {
  const reader = createInputReader(part(['identity', part(['roles', LEAF], ['__proto__', LEAF])], ['network', LEAF]));
  const input = {
    ...policyInput({ identity: { roles: ['a'], tenant: 't' }, network: { client_ip: '192.0.2.1' } }),
    parsed_body: () => {
      throw new Error('not to be read');
    },
  };
  expect(reader(input)).toEqual({ identity: { roles: ['a'] }, network: { client_ip: '192.0.2.1' } });
});

test('finds no member on a prototype, and shares nothing with what it read', () => {
  const claims = { a: { b: [1] } };
  const reader = createInputReader(part(['identity', part(['constructor', LEAF], ['claims', LEAF])]));
  const { identity } = reader(policyInput({ identity: { claims } })) as { identity: { claims: typeof claims } };
  expect(Object.keys(identity)).toEqual(['claims']);
  expect(identity.claims).toEqual(claims);
  expect(identity.claims.a).not.toBe(claims.a);
});

test('passes on what stands where members were expected', () => {
  const reader = createInputReader(part(['identity', part(['roles', LEAF])], ['route', part(['name', LEAF])]));
  expect(reader(policyInput({ identity: ['roles'], route: null }))).toEqual({ identity: ['roles'], route: null });
});

test('reads what is one frozen object for many requests once, and anything else each time', () => {
  const reader = createInputReader(part(['identity', part(['roles', LEAF])], ['network', LEAF]));
  const identity = Object.freeze({ roles: ['a'], tenant: 't' });
  const network = Object.freeze({ client_ip: '192.0.2.1' });
  const first = reader(policyInput({ identity, network }));
  const second = reader(policyInput({ identity, network }));
  expect(second).toEqual({ identity: { roles: ['a'] }, network: { client_ip: '192.0.2.1' } });
  expect(second['identity']).toBe(first['identity']);
  expect(second['network']).not.toBe(first['network']);
  const open = { roles: ['a'] };
  const before = reader(policyInput({ identity: open }))['identity'];
  open.roles = ['b'];
  expect(before).toEqual({ roles: ['a'] });
  expect(reader(policyInput({ identity: open }))).toEqual({ identity: { roles: ['b'] } });
});

test('keeps what it read for one entrypoint apart from another', () => {
  const identity = Object.freeze({ roles: ['a'], tenant: 't' });
  const roles = createInputReader(part(['identity', part(['roles', LEAF])]));
  const tenant = createInputReader(part(['identity', part(['tenant', LEAF])]));
  expect(roles(policyInput({ identity }))).toEqual({ identity: { roles: ['a'] } });
  expect(tenant(policyInput({ identity }))).toEqual({ identity: { tenant: 't' } });
});
