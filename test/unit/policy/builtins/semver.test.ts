import { expect, test } from 'vitest';
import { SEMVER_BUILTINS } from '../../../../src/policy/builtins/semver.ts';
import { callBuiltin } from './call-builtin.ts';

test.each([
  ['semver.compare', '"1.0.0-alpha.1","v1.0.0-alpha.beta"', '-1'],
  ['semver.compare', '"1.0.0-2","1.0.0-10"', '-1'],
  ['semver.compare', '"1.0.0+a","1.0.0+b"', '0'],
  ['semver.is_valid', '"1.0"', 'false'],
  ['semver.is_valid', '1', 'false'],
  ['semver.compare', '"1.0.0-a","1.0.0"', '-1'],
  ['semver.compare', '"1","1.0.0"', 'eval_builtin_error: operand 1: string "1" is not a valid SemVer'],
  ['semver.compare', '"1.0.0-99999999999999999999","1.0.0-99999999999999999998"', '1'],
])('%s(%s) answers %s', (name, operands, expected) => {
  expect(callBuiltin(SEMVER_BUILTINS, name, operands, { strict: true })).toBe(expected);
});
