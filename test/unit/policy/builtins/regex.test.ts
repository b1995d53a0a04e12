import { describe, expect, test } from 'vitest';
import { REGEX_BUILTINS } from '../../../../src/policy/builtins/regex.ts';
import { callBuiltin, OutOfSteps } from './call-builtin.ts';

const call = (name: string, args: string, strict = false): string =>
  callBuiltin(REGEX_BUILTINS, name, args, { strict });

describe('the regex family', () => {
  test.each([
    ['regex.match', '"^[a-z]+\\\\[[0-9]+\\\\]$", "foo[1]"', 'true'],
    ['regex.match', '"^.$", "😀"', 'true'],
    ['regex.match', '".", "\\n"', 'false'],
    ['regex.match', '".", "\\r"', 'true'],
    ['re_match', '"^$", "x"', 'false'],
    ['regex.is_valid', '"++"', 'false'],
    ['regex.is_valid', '".+"', 'true'],
    ['regex.is_valid', '1', 'false'],
    ['regex.find_n', '"a.", "paranormal", -1', '["ar","an","al"]'],
    ['regex.find_n', '"a.", "paranormal", 2', '["ar","an"]'],
    ['regex.find_n', '"a.", "paranormal", 0', '[]'],
    ['regex.find_n', '"", "a😀b", -1', '["","","",""]'],
    [
      'regex.find_all_string_submatch_n',
      '"[^aouiye]([aouiye])([^aouiye])?", "somestri", -1',
      '[["som","o","m"],["ri","i",""]]',
    ],
    ['regex.find_all_string_submatch_n', '"(a)|(b)", "ab", 1', '[["a","a",""]]'],
    ['regex.split', '"a", "banana"', '["b","n","n",""]'],
    ['regex.split', '"x*", "axbxc"', '["a","b","c"]'],
    ['regex.split', '"", ""', '[]'],
    ['regex.split', '"x", ""', '[""]'],
    ['regex.replace', '"-wy-wxxy-", "w(x*)y", "0"', '"-0-0-"'],
    ['regex.replace', '"foo", "(foo)", "$1$1"', '"foofoo"'],
    ['regex.replace', `"foo", "(?P<n>f)(o)", "$\{n}-$n-$nx-$\{n}x-$2-$02-$3-$$-$-$\{"`, `"f-f--fx-o---$-$-$\{o"`],
    ['regex.replace', '"aXbX", "(a)|(?P<q>b)", "<$q$1>"', '"<a>X<b>X"'],
    ['regex.replace', '"foo", "", "-"', '"-f-o-o-"'],
    ['regex.template_match', '"urn.foo:<[a-z]{2}>:x", "urn.foo:ab:x", "<", ">"', 'true'],
    ['regex.template_match', '"urn.foo:<[a-z]{2}>:x", "urnxfoo:ab:x", "<", ">"', 'false'],
    ['regex.template_match', '"urn:{a{2}}", "urn:aa", "{", "}"', 'true'],
    ['regex.globs_match', '"a.a.[0-9]+z", ".b.b2359825792*594823z"', 'true'],
    ['regex.globs_match', '"[a-z]+", "[0-9]*"', 'false'],
    ['regex.globs_match', '"b.*", "baz"', 'true'],
    ['regex.globs_match', '".*", ""', 'false'],
    ['regex.globs_match', '"", ""', 'true'],
    ['regex.globs_match', '"\\\\+\\\\*", "+*"', 'undefined'],
    ['regex.globs_match', '"[ab]+c", "[bc]+"', 'true'],
    ['regex.globs_match', '"[]", "."', 'true'],
  ])('%s(%s) is %s', (name, args, expected) => {
    expect(call(name, args)).toBe(expected);
    expect(call(name, args)).toBe(expected);
  });

  test.each([
    ['regex.match', '"[", ""', 'eval_builtin_error: error parsing regexp: missing closing ]: `[`'],
    ['regex.match', '1, ""', 'eval_type_error: operand 1 must be string but got number'],
    ['regex.match', '"", 1', 'eval_type_error: operand 2 must be string but got number'],
    [
      'regex.find_n',
      '"a", "a", 1.5',
      'eval_type_error: operand 3 must be integer number but got floating-point number',
    ],
    ['regex.template_match', '"u:{a}}", "u", "{", "}"', 'eval_builtin_error: unbalanced braces in "u:{a}}"'],
    ['regex.template_match', '"u:|a|", "u", "|", "|"', 'eval_builtin_error: unbalanced braces in "u:|a|"'],
    [
      'regex.template_match',
      '"u", "u", "é", "}"',
      'eval_builtin_error: start delimiter has to be exactly one character long but is 2 long',
    ],
    [
      'regex.template_match',
      '"u", "u", "{", "}}"',
      'eval_builtin_error: end delimiter has to be exactly one character long but is 1 long',
    ],
    [
      'regex.globs_match',
      '"pqrs]", "a"',
      "eval_builtin_error: input:pqrs], pos:5, set-close ']' with no preceding '[': the input provided is invalid",
    ],
    [
      'regex.globs_match',
      '"[b-a]", "a"',
      "eval_builtin_error: input:[b-a], pos:4, range is out of order: 'a' comes before 'b' in Unicode: the input provided is invalid",
    ],
  ])('%s(%s) fails: %s', (name, args, message) => {
    expect(call(name, args, true)).toBe(message);
    expect(call(name, args)).toBe('undefined');
  });
});

describe('what callers can make regex builtins do', () => {
  const many = JSON.stringify('a'.repeat(100_000));

  test('a search is paid for by the length of its text', () => {
    expect(() => callBuiltin(REGEX_BUILTINS, 'regex.match', `"b$", ${many}`, { steps: 5_000 })).toThrow(OutOfSteps);
    expect(callBuiltin(REGEX_BUILTINS, 'regex.match', `"b$", ${many}`, { steps: 1_000_000 })).toBe('false');
  });

  test('a pattern that reads the text over and over ends the evaluation', () => {
    const args = `".*x|a", ${many}, -1`;
    expect(() => callBuiltin(REGEX_BUILTINS, 'regex.find_n', args, { steps: 1e9 })).toThrow(OutOfSteps);
    expect(() => call('regex.find_n', args)).toThrow('times');
  });

  test('a replacement that grows as the square of its operands is stopped', () => {
    const args = `${many}, "a", ${many}`;
    expect(() => callBuiltin(REGEX_BUILTINS, 'regex.replace', args, { steps: 1_000_000 })).toThrow(OutOfSteps);
    expect(() => call('regex.replace', args)).toThrow('more than 16777216 characters');
    const template = JSON.stringify('$0'.repeat(10_000));
    expect(() => call('regex.replace', `${many}, "a+", ${template}`)).toThrow('more than 16777216 characters');
  });

  test('globs without end are compared in polynomial time', () => {
    const stars = '.*'.repeat(40);
    const mixed = Array.from({ length: 40 }, (_, at) => `[a-${String.fromCharCode(98 + (at % 20))}]*`).join('');
    expect(call('regex.globs_match', `"${mixed}y", "${mixed}z"`)).toBe('false');
    expect(call('regex.globs_match', `"${stars}y", "${mixed}z"`)).toBe('false');
    const long = JSON.stringify('a*b'.repeat(5_000));
    expect(() => callBuiltin(REGEX_BUILTINS, 'regex.globs_match', `${long}, ${long}`, { steps: 1_000_000 })).toThrow(
      OutOfSteps,
    );
  });
});
