import { expect, test } from 'vitest';
import { ARRAY_BUILTINS } from '../../../../src/policy/builtins/arrays.ts';
import { callBuiltin } from './call-builtin.ts';

test.each([
  ['array.slice', '[1,2,3],1.0,2', '[2]'],
  ['array.slice', '[1,2,3],1.5,2', 'eval_type_error: operand 2 must be integer number but got floating-point number'],
  ['array.slice', '[1,2,3],-5,99', '[1,2,3]'],
  ['array.slice', '[1,2],1e0,2', 'eval_type_error: operand 2 must be integer number but got floating-point number'],
  ['array.concat', '[1],[2]', '[1,2]'],
  ['array.concat', '[],[]', '[]'],
  ['array.reverse', '[1,2]', '[2,1]'],
  ['array.flatten', '[1,[2,[3]],{4}]', '[1,2,[3],{4}]'],
  ['array.slice', '[1,2,3],2,1', '[]'],
  ['array.slice', '[1,2],"a",1', 'eval_type_error: operand 2 must be number but got string'],
  ['array.concat', '[1],1', 'eval_type_error: operand 2 must be array but got number'],
])('%s(%s) answers %s', (name, operands, expected) => {
  expect(callBuiltin(ARRAY_BUILTINS, name, operands, { strict: true })).toBe(expected);
});
