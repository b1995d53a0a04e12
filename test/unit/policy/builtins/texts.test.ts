import { describe, expect, test } from 'vitest';
import { AFFIX_BUILTINS } from '../../../../src/policy/builtins/affixes.ts';
import { CAST_BUILTINS } from '../../../../src/policy/builtins/casts.ts';
import { PRINT_BUILTINS } from '../../../../src/policy/builtins/print.ts';
import { REPLACE_BUILTINS } from '../../../../src/policy/builtins/replace.ts';
import { STRING_BUILTINS } from '../../../../src/policy/builtins/strings.ts';
import { TRIM_BUILTINS } from '../../../../src/policy/builtins/trim.ts';
import { TYPE_BUILTINS } from '../../../../src/policy/builtins/types.ts';
import { callBuiltin, OutOfSteps } from './call-builtin.ts';

const BUILTINS = new Map([
  ...AFFIX_BUILTINS,
  ...CAST_BUILTINS,
  ...PRINT_BUILTINS,
  ...REPLACE_BUILTINS,
  ...STRING_BUILTINS,
  ...TRIM_BUILTINS,
  ...TYPE_BUILTINS,
]);

const long = (length: number): string => JSON.stringify('a'.repeat(length));

describe('builtins on texts', () => {
  test.each([
    ['concat', '"-", {"b", "a"}', '"a-b"'],
    ['concat', '"-", []', '""'],
    ['contains', '"a😀b", "😀"', 'true'],
    ['startswith', '"", ""', 'true'],
    ['endswith', '"ab", "b"', 'true'],
    ['format_int', '15.9, 16', '"f"'],
    ['format_int', '18446744073709551617, 2', `"1${'0'.repeat(63)}1"`],
    ['format_int', '1e30, 10', '"1000000000000000000024696061952"'],
    ['indexof', '"😀é/x", "x"', '3'],
    ['indexof', '"a", "b"', '-1'],
    ['indexof_n', '"😀aaa", "aa"', '[1,2]'],
    ['lower', '"ΑΣİ"', '"ασi"'],
    ['upper', '"straßeᾳ"', '"STRAßEᾼ"'],
    ['split', '"a😀", ""', '["a","😀"]'],
    ['strings.split_n', '"a.b.c", ".", -2', '["b","c"]'],
    ['substring', '"a😀bc", 1.0, 2', '"😀b"'],
    ['substring', '"abc", 5, -1', '""'],
    ['strings.count', '"😀", ""', '2'],
    ['strings.reverse', '"a😀b"', '"b😀a"'],
    ['replace', '"ab", "", "-"', '"-a-b-"'],
    ['strings.replace_n', '{"": "-", "é": "e"}, "aéb"', '"-a-e-b-"'],
    ['strings.replace_n', '{"__proto__": "x"}, "a__proto__"', '"ax"'],
    ['strings.any_prefix_match', '["b", "ab"], {"a"}', 'true'],
    ['strings.any_suffix_match', '"ab", []', 'false'],
    ['trim', '"😀a😀", "😀"', '"a"'],
    ['trim_right', '"a!¡", "¡!"', '"a"'],
    ['trim_space', '"\u0085a\ufeff "', '"a\ufeff"'],
    ['sprintf', '"%s %d %5.1f %q %v", ["a", 7, 1.25, "é\\n", {"a": {1}}]', '"a 7   1.2 \\"é\\\\n\\" {\\"a\\": {1}}"'],
    ['sprintf', '"%d", ["a"]', '"%!d(string=a)"'],
    // Go shows its own insides there.
    ['sprintf', '"%w", [123456789012345678901]', '"%!w(big.Int=123456789012345678901)"'],
    ['to_number', '"1.50"', '1.50'],
    ['to_number', '"+05."', '5'],
    ['to_number', 'true', '1'],
    // OPA's keep a text that is no JSON.
    ['to_number', '"0x1p4"', 'undefined'],
    ['to_number', '"1_0"', 'undefined'],
    ['cast_set', '[1, 1]', '{1}'],
    ['type_name', '{}', '"object"'],
    ['is_set', '{}', 'false'],
    ['is_number', '1e999', 'true'],
    ['internal.template_string', '["a", 1.0, {"b"}, set(), {{"c": null}}]', '"a1.0b<undefined>{\\"c\\": null}"'],
    ['trace', '"x"', 'true'],
  ])('%s(%s) is %s', (name, args, answer) => {
    expect(callBuiltin(BUILTINS, name, args)).toBe(answer);
  });

  test.each([
    ['concat', '"", ["a", 1]', 'eval_type_error: operand 2 must be array of strings but got array containing number'],
    ['concat', '"", "a"', 'eval_type_error: operand 2 must be one of {set, array} but got string'],
    ['format_int', '1, 10.0', 'eval_type_error: operand 2 must be one of {2, 8, 10, 16}'],
    ['indexof', '"a", ""', 'eval_builtin_error: empty search character'],
    ['substring', '"a", -1, 1', 'eval_builtin_error: negative offset'],
    ['substring', '"a", 1e0, 1', 'eval_type_error: operand 2 must be integer number but got floating-point number'],
    [
      'strings.any_prefix_match',
      '1, []',
      'eval_type_error: operand 1 must be one of {string, set, array} but got number',
    ],
    ['to_number', '"x\\n"', 'eval_builtin_error: strconv.ParseFloat: parsing "x\\n": invalid syntax'],
    ['to_number', '"1e400"', 'eval_builtin_error: strconv.ParseFloat: parsing "1e400": value out of range'],
    ['to_number', '"-Inf"', 'eval_type_error: operand 1 must be valid number string but got string'],
    ['to_number', '"1e-40000"', 'eval_builtin_error: invalid number: number too big'],
    ['cast_array', '{}', 'eval_type_error: operand 1 must be one of {array, set} but got object'],
    // Bounds of our own.
    ['replace', `${long(100_000)}, "a", ${long(1_000)}`, 'eval_builtin_error: the result is too long'],
    ['concat', `${long(100_000)}, [${'"",'.repeat(1_000)}""]`, 'eval_builtin_error: the result is too long'],
    ['sprintf', `"${'%1000000d'.repeat(20)}", [${'1,'.repeat(19)}1]`, 'eval_builtin_error: the result is too long'],
  ])('%s fails as it should: case %#', (name, args, message) => {
    expect(callBuiltin(BUILTINS, name, args, { strict: true })).toBe(message);
    expect(callBuiltin(BUILTINS, name, args)).toBe('undefined');
  });

  test.each([
    ['replace', `${long(10_000)}, "a", ${long(100)}`],
    ['sprintf', '"%1000000d", [1]'],
    ['strings.any_prefix_match', `[${'"a",'.repeat(200)}"a"], [${'"b",'.repeat(200)}"b"]`],
    ['strings.replace_n', `{${Array.from({ length: 100 }, (_, n) => `"a${n}": ""`).join(',')}}, ${long(1_000)}`],
    ['indexof_n', `${long(2_000)}, ${long(1_000)}`],
  ])('%s of much work is charged', (name, args) => {
    expect(() => callBuiltin(BUILTINS, name, args, { steps: 5_000 })).toThrow(OutOfSteps);
  });

  test('a template string of several values is a conflict, strict or not', () => {
    expect(() => callBuiltin(BUILTINS, 'internal.template_string', '[{1, 2}]')).toThrow(
      expect.objectContaining({ code: 'eval_conflict_error' }),
    );
  });
});
