import { expect, test } from 'vitest';
import { MEMBERSHIP_BUILTINS } from '../../../../src/policy/builtins/membership.ts';
import { callBuiltin } from './call-builtin.ts';

test.each([
  ['internal.member_2', '1.0,[1]', 'true'],
  ['internal.member_2', '"__proto__",{"a":"__proto__"}', 'true'],
  ['internal.member_2', '{"a":1},{{"a":1.0}}', 'true'],
  ['internal.member_2', '1,"1"', 'false'],
  ['internal.member_3', '"a",1,{"a":1.0}', 'true'],
  ['internal.member_3', '0,"x",["x"]', 'true'],
  ['internal.member_3', '"0","x",["x"]', 'false'],
  ['internal.member_3', '1,1,{1}', 'true'],
  ['internal.member_3', '"length",1,[1]', 'false'],
])('%s(%s) answers %s', (name, operands, expected) => {
  expect(callBuiltin(MEMBERSHIP_BUILTINS, name, operands, { strict: true })).toBe(expected);
});
