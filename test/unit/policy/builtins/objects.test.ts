import { expect, test } from 'vitest';
import { OBJECT_BUILTINS } from '../../../../src/policy/builtins/objects.ts';
import { callBuiltin, OutOfSteps } from './call-builtin.ts';

test.each([
  ['object.get', '{"a":[1,{"b":2}]},["a",1.0,"b"],7', '2'],
  ['object.get', '{"a":{1,2}},["a",2],7', '2'],
  ['object.get', '{"__proto__":1},"__proto__",2', '1'],
  ['object.get', '{},"constructor",2', '2'],
  ['object.get', '{},[],2', '{}'],
  ['object.union', '{"a":{"b":1}},{"a":{"c":2},1:2}', '{1:2,"a":{"b":1,"c":2}}'],
  [
    'object.union_n',
    '[{"a":{"b":2}},{"a":4},{"a":{"c":3}},{"__proto__":{"x":1}},{"__proto__":{"y":1}}]',
    '{"__proto__":{"x":1,"y":1},"a":{"c":3}}',
  ],
  [
    'object.union_n',
    '[{"a":1},1]',
    'eval_type_error: operand 1 must be array of objects but got array containing number',
  ],
  ['object.filter', '{"a":1,1:2,"__proto__":3},["__proto__",1]', '{1:2,"__proto__":3}'],
  ['object.remove', '{"a":1,1:2,"__proto__":3},{"__proto__":0}', '{1:2,"a":1}'],
  ['object.subset', '[1,2,3],[2,3]', 'true'],
  ['object.subset', '[1,1],{1,2}', 'true'],
  ['object.subset', '{"a":{1,2}},{"a":{1}}', 'true'],
  [
    'object.subset',
    '{1},[1]',
    'eval_type_error: both arguments object.subset must be of the same type or array and set',
  ],
  ['object.subset', '[1,2,1,2,3],[1,2,3]', 'true'],
  ['object.keys', '{"__proto__":1,1:2}', '{1,"__proto__"}'],
  ['object.keys', '[]', 'eval_type_error: operand 1 must be object but got array'],
  ['object.get', '{"a":1},["a"],2', '1'],
  ['object.get', '{"0":{"":1}},["0",""],2', '1'],
  ['object.get', '[1],0,2', 'eval_type_error: operand 1 must be object but got array'],
  ['object.filter', '{"a":1},"a"', 'eval_type_error: operand 2 must be one of {object, set, array} but got string'],
  ['object.union', '{},{"__proto__":{"a":1}}', '{"__proto__":{"a":1}}'],
])('%s(%s) answers %s', (name, operands, expected) => {
  expect(callBuiltin(OBJECT_BUILTINS, name, operands, { strict: true })).toBe(expected);
});

test('a union copies each object once, however many are merged', () => {
  const objects = Array.from({ length: 2_000 }, (_, at) => `{"all":{"k${at}":${at}}}`);
  const union = callBuiltin(OBJECT_BUILTINS, 'object.union_n', `[${objects.join(',')}]`, { steps: 20_000 });
  expect(union).toContain('"k1999":1999');
});

test('a union leaves its operands as they were', () => {
  const operands = [{ a: { b: 1 } }, { a: { c: 2 } }];
  const union = OBJECT_BUILTINS.get('object.union_n');
  const context = {
    at: { epochMs: 0, monotonicMs: 0 },
    strict: false,
    randomFor: () => new Uint8Array(32),
    charge: () => undefined,
  };
  expect(union?.(context, operands, null, null, null)).toEqual({ a: { b: 1, c: 2 } });
  expect(operands).toEqual([{ a: { b: 1 } }, { a: { c: 2 } }]);
});

test('what is no subset is charged', () => {
  const whole = `[${'1,'.repeat(3_000)}1]`;
  const part = `[${'1,'.repeat(1_000)}2]`;
  expect(() => callBuiltin(OBJECT_BUILTINS, 'object.subset', `${whole}, ${part}`, { steps: 1e6 })).toThrow(OutOfSteps);
});
