import { expect, test } from 'vitest';
import { GLOB_BUILTINS } from '../../../../src/policy/builtins/glob.ts';
import { caseCount, createRandom, seedOf } from '../../../support/seed.ts';
import { callBuiltin, OutOfSteps } from './call-builtin.ts';

test.each([
  ['glob.match', '"[]-a]",[],"`"', 'true'],
  ['glob.match', '"[a-]",[],"-"', 'eval_builtin_error: glob: syntax error at 1: expected close range character'],
  ['glob.match', '"{a,{b,c}d}*",[],"bdx"', 'true'],
  ['glob.match', '"{a",[],"a"', 'eval_builtin_error: glob: syntax error at 2: unclosed `{`'],
  ['glob.match', '"a}",[],"a}"', 'true'],
  ['glob.match', '"[]",[],"a"', 'eval_builtin_error: glob: syntax error at 1: could not parse range'],
  ['glob.match', '"[^a]",[],"^"', 'true'],
  ['glob.match', '"😀?",[],"😀😀"', 'true'],
  ['glob.match', '"a",["ab"],"a"', 'eval_type_error: operand 2 must be array of runes but got array containing string'],
  ['glob.match', '"a",[1],"a"', 'eval_type_error: operand 2 must be array of strings but got array containing number'],
  ['glob.match', '"a","x","a"', 'eval_type_error: operand 2 must be one of {array, null} but got string'],
  ['glob.match', '"\\\\",[],"a"', 'eval_builtin_error: glob: syntax error at 1: trailing backslash'],
  ['glob.quote_meta', '"a*?\\\\[]{},!-"', '"a\\\\*\\\\?\\\\\\\\\\\\[\\\\]\\\\{\\\\},!-"'],
  ['glob.match', '"*.github.com",[],"api.github.com"', 'true'],
  ['glob.match', '"*.github.com",[],"api.cdn.github.com"', 'false'],
  ['glob.match', '"api.**.com",["."],"api.cdn.github.com"', 'true'],
  ['glob.match', '"*",null,"a.b"', 'true'],
  ['glob.match', '"{**/,}x",null,"x"', 'true'],
  ['glob.match', '"***",["."],""', 'true'],
  ['glob.match', '"[!0-9]",null,""', 'false'],
  ['glob.match', '"\\\\*",null,"*"', 'true'],
  ['glob.match', '"*?*",[".","/"],"a/b"', 'false'],
  ['glob.match', '"__proto__",null,"__proto__"', 'true'],
])('%s(%s) answers %s', (name, operands, expected) => {
  expect(callBuiltin(GLOB_BUILTINS, name, operands, { strict: true })).toBe(expected);
});

test('globs match what a simple matcher matches', () => {
  const seed = seedOf('globs');
  const random = createRandom(seed);
  for (let round = 0; round < caseCount(3_000); round++) {
    const pattern = Array.from({ length: random.below(7) }, () => random.pick(['a', 'b', '.', '*', '?', '*'])).join('');
    const text = Array.from({ length: random.below(8) }, () => random.pick(['a', 'a', 'b', '.'])).join('');
    const expected = String(isMatch(pattern, text));
    expect(
      callBuiltin(GLOB_BUILTINS, 'glob.match', `"${pattern}",["."],"${text}"`),
      `seed ${seed}: ${pattern} ${text}`,
    ).toBe(expected);
  }
});

/** Tries everything. */
function isMatch(pattern: string, text: string): boolean {
  if (pattern === '') return text === '';
  if (pattern.startsWith('*')) {
    const crossing = pattern.startsWith('**');
    if (isMatch(pattern.slice(crossing ? 2 : 1), text)) return true;
    return text !== '' && (crossing || !text.startsWith('.')) && isMatch(pattern, text.slice(1));
  }
  if (text === '' || (pattern.startsWith('?') ? text.startsWith('.') : pattern.charAt(0) !== text.charAt(0)))
    return false;
  return isMatch(pattern.slice(1), text.slice(1));
}

test("no glob takes more than the product of its length and the text's", () => {
  const pattern = `${'*a'.repeat(200)}*b`;
  expect(callBuiltin(GLOB_BUILTINS, 'glob.match', `"${pattern}",null,"${'a'.repeat(20_000)}"`)).toBe('false');
  const questions = `**a${'?'.repeat(200)}b`;
  const text = Array.from({ length: 5_000 }, (_, at) => 'ab'.charAt(((at * at) % 7) % 2)).join('');
  expect(() => callBuiltin(GLOB_BUILTINS, 'glob.match', `"${questions}",null,"${text}"`, { steps: 1_000 })).toThrow(
    OutOfSteps,
  );
});
