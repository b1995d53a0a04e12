import { describe, expect, test } from 'vitest';
import { AGGREGATE_BUILTINS } from '../../../../src/policy/builtins/aggregates.ts';
import { ARITHMETIC_BUILTINS } from '../../../../src/policy/builtins/arithmetic.ts';
import { BITS_BUILTINS } from '../../../../src/policy/builtins/bits.ts';
import { COMPARISON_BUILTINS } from '../../../../src/policy/builtins/comparison.ts';
import { NUMBER_BUILTINS } from '../../../../src/policy/builtins/numbers.ts';
import { UNITS_BUILTINS } from '../../../../src/policy/builtins/units.ts';
import { callBuiltin, OutOfSteps } from './call-builtin.ts';

const BUILTINS = new Map([
  ...AGGREGATE_BUILTINS,
  ...ARITHMETIC_BUILTINS,
  ...BITS_BUILTINS,
  ...COMPARISON_BUILTINS,
  ...NUMBER_BUILTINS,
  ...UNITS_BUILTINS,
]);

describe('builtins on numbers', () => {
  test.each([
    ['plus', '0.1, 0.2', '0.3'],
    ['plus', '826.261, 851.2', '1677.4610000000000001'],
    ['plus', '9007199254740991, 1', '9007199254740992'],
    ['minus', '{1, 2}, {2}', '{1}'],
    ['mul', '0, -5', '0'],
    ['mul', '0, -0.5', '-0'],
    ['div', '1, 3', '0.33333333333333333334'],
    ['div', '0, -5', '-0'],
    ['rem', '-17, 5', '-2'],
    ['rem', '-10, 5', '0'],
    // As OPA does it, which passes zero.
    ['ceil', '-0.5', '1'],
    ['floor', '-0.5', '0'],
    ['floor', '-1.5', '-2'],
    ['round', '-2.5', '-3'],
    ['abs', '-1234567.5', '1.2345675e+06'],
    ['sum', '[9223372036854775807, 1]', '9223372036854775808'],
    ['sum', '[1, 2.5]', '3.5'],
    ['product', '[0.1, 3]', '0.30000000000000004'],
    ['product', '[]', '1'],
    ['max', '[1, 1.0]', '1.0'],
    ['max', '[]', 'undefined'],
    ['min', '{"a", null}', 'null'],
    ['sort', '[{1}, {}, [], "a", 1, true, null]', '[null,true,1,"a",[],{},{1}]'],
    ['count', '"a😀é"', '3'],
    ['count', '{"__proto__": 1}', '1'],
    ['all', '[true, 1]', 'false'],
    ['all', '[]', 'true'],
    ['any', '{false, true}', 'true'],
    ['lt', '"\uffee", "😀"', 'true'],
    ['lte', '1, 1.0', 'true'],
    ['gt', '[], "z"', 'true'],
    ['gte', 'null, false', 'false'],
    ['equal', '1, 1e0', 'true'],
    ['neq', '{"a": 1}, {"a": 1.0}', 'false'],
    ['bits.or', '1.0, 2e3', '2001'],
    ['bits.negate', '-1', '0'],
    ['bits.lsh', '9223372036854775807, 1', '18446744073709551614'],
    // OPA shifts by the lower 64 bits.
    ['bits.lsh', '1, 18446744073709551616', '1'],
    ['bits.rsh', '-5, 9223372036854775807', '-1'],
    ['numbers.range', '2, -1', '[2,1,0,-1]'],
    ['numbers.range', '1.0, 1e0', '[1]'],
    ['numbers.range', '9007199254740991, 9007199254740993', '[9007199254740991,9007199254740992,9007199254740993]'],
    ['numbers.range_step', '0, 10, 99999999999999999999', '[0]'],
    ['units.parse', '"500m"', '0.5000000000'],
    ['units.parse', '"1.5Gi"', '1610612736'],
    ['units.parse_bytes', '"\\"1.1KiB\\""', '1126'],
  ])('%s(%s) is %s', (name, args, answer) => {
    expect(callBuiltin(BUILTINS, name, args)).toBe(answer);
  });

  test.each([
    ['plus', '1, "a"', 'eval_type_error: operand 2 must be number but got string'],
    ['minus', '{1}, 1', 'eval_type_error: operand 2 must be set but got number'],
    ['minus', '1, {1}', 'eval_type_error: operand 2 must be number but got set'],
    ['minus', 'null, 1', 'eval_type_error: operand 1 must be one of {number, set} but got null'],
    ['div', '1, 0.0', 'eval_builtin_error: divide by zero'],
    ['rem', '1, 0', 'eval_builtin_error: modulo by zero'],
    ['rem', '1, 1.5', 'eval_builtin_error: modulo on floating-point number'],
    ['sum', '[1, "a"]', 'eval_type_error: operand 1 must be array of numbers but got array containing string'],
    ['count', 'null', 'eval_type_error: operand 1 must be one of {array, object, set, string} but got null'],
    ['bits.or', '1.5, 1', 'eval_type_error: operand 1 must be integer number but got floating-point number'],
    ['bits.or', '1, "a"', 'eval_type_error: operand 2 must be integer but got string'],
    ['bits.lsh', '1, -1', 'eval_type_error: operand 2 must be an unsigned integer number but got a negative integer'],
    ['numbers.range_step', '1, 2, 0', 'eval_builtin_error: numbers.range_step: step must be a positive integer'],
    ['units.parse', '"10x"', 'eval_builtin_error: units.parse: unit x not recognized'],
    ['units.parse_bytes', '"10e10000000EiB"', 'eval_builtin_error: units.parse_bytes: exponent too large'],
    // Bounds of our own.
    ['mul', '1e30000, 1e30000', 'eval_builtin_error: number too big'],
    ['plus', '1e999999999, 1', 'eval_builtin_error: number too big'],
    ['product', `[${'9e9999,'.repeat(4)}1]`, 'eval_builtin_error: number too big'],
    ['bits.lsh', '1, 200000', 'eval_builtin_error: number too big'],
    ['numbers.range', '0, 1000000', 'eval_builtin_error: more than 1000000 numbers'],
    ['units.parse', '"1e5000"', 'eval_builtin_error: units.parse: exponent too large'],
  ])('%s(%s) fails: %s', (name, args, message) => {
    expect(callBuiltin(BUILTINS, name, args, { strict: true })).toBe(message);
    expect(callBuiltin(BUILTINS, name, args)).toBe('undefined');
  });

  test.each([
    ['plus', `${'9'.repeat(10_000)}, 1`],
    ['mul', '1.5e-30000, 3'],
    ['numbers.range', '0, 100000'],
    ['bits.lsh', '1, 100000'],
    ['sort', `[${'1,'.repeat(10_000)}0]`],
    ['product', `[${'12345678,'.repeat(1_000)}1]`],
  ])('%s of much work is charged before it is done', (name, args) => {
    expect(() => callBuiltin(BUILTINS, name, args, { steps: 5_000 })).toThrow(OutOfSteps);
  });

  test.each([
    ['plus', '1, 2'],
    ['lt', '"a", "b"'],
    ['count', '[1, 2]'],
    ['sum', '[1, 2]'],
  ])('%s of small integers and texts is free', (name, args) => {
    expect(callBuiltin(BUILTINS, name, args, { steps: 0 })).not.toBe('undefined');
  });
});
