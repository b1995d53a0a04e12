import { expect, test } from 'vitest';
import { SET_BUILTINS } from '../../../../src/policy/builtins/sets.ts';
import { callBuiltin } from './call-builtin.ts';

test.each([
  ['union', '{{1,2},{2,3}}', '{1,2,3}'],
  ['union', '{{1},2}', 'eval_type_error: operand 1 must be set but got number'],
  ['intersection', '{{1,2},{2,3}}', '{2}'],
  ['intersection', 'set()', 'set()'],
  ['set_diff', '{1,2},{2,3}', '{1}'],
  ['and', '{1,2},{2.0}', '{2.0}'],
  ['or', '{1},{2,"__proto__"}', '{1,2,"__proto__"}'],
  ['and', '{1},[1]', 'eval_type_error: operand 2 must be set but got array'],
  ['union', '{1}', 'eval_type_error: operand 1 must be set but got number'],
])('%s(%s) answers %s', (name, operands, expected) => {
  expect(callBuiltin(SET_BUILTINS, name, operands, { strict: true })).toBe(expected);
});
