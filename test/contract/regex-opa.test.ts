import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { compileRegex, groupText, RegexError } from '../../src/regex/regex.ts';
import { describeWith } from '../support/describe-with.ts';
import { caseCount, createRandom, seedOf } from '../support/seed.ts';
import { requireTool } from '../support/tools.ts';
import { randomPattern, randomText } from '../unit/regex/random-pattern.ts';

interface Case {
  readonly pattern: string;
  readonly text: string;
}

interface Answer {
  readonly valid: boolean;
  readonly matches?: boolean;
  readonly groups?: readonly (readonly string[])[];
}

/** Where RE2's language differs from others, and what is easily read in two ways. */
const KNOWN: readonly Case[] = [
  ...['(?i)\\bs', '(?i)k', '(?i)[^k]', '(?i)\\w+', '(?i)ß', '(?i)\\W', '\\bs'].map((pattern) => ({
    pattern,
    text: 'aſs Kk ẞß',
  })),
  ...['.', '\\s', '(?m)^.*$', '(?s)a.b', '[^a]', '$', '\\z', '(?m)$'].map((pattern) => ({
    pattern,
    text: 'a\rb\u2028c\vd\u00a0e\nf\n',
  })),
  ...['(?U)a+', '(?U)a+?', '\\Qa.b\\E+', '\\Qa', '(?i)a(?-i)b|c', '(?i:a)b', '(|a)*', '(|a)+', '(a|b*)*', '(a*)+'].map(
    (pattern) => ({ pattern, text: 'aab a.bb AbabC' }),
  ),
  ...['x**', 'x{1001}', '(x{100}){11}', '\\C', '\\Z', '(?<n>a)(?P<n>b)', '(?=a)', '\\1', 'a{2}{3}', '[b-a]', '\\8'].map(
    (pattern) => ({ pattern, text: 'xa' }),
  ),
  ...['a(?i)*', 'a\\Q\\E*', 'a*(?i)*', '{', 'a{,2}', 'a{01}', '[a-\\d]', '[\\d-z]', '[[:^word:]]', '[[:foo:]]'].map(
    (pattern) => ({ pattern, text: 'aa{,2}-z 01{' }),
  ),
  ...['\\pN', '\\p{^Greek}+', '(?i)\\p{Lu}', '[\\p{Han}\\P{L}]+', '\\p{Foo}', '\\x{1F600}', '[😀-😂]'].map(
    (pattern) => ({
      pattern,
      text: 'α漢1😀a',
    }),
  ),
];

describeWith(['opa'], 'regular expressions mean what they mean to OPA', () => {
  test('validity, matches and groups of known and of generated cases', () => {
    const random = createRandom(seedOf('regex against opa'));
    const generated = Array.from({ length: caseCount(2_000) }, () => ({
      pattern: randomPattern(random),
      text: randomText(random),
    }));
    const cases = [...KNOWN, ...generated];
    const answers = askOpa(cases);
    expect(answers).toHaveLength(cases.length);
    for (const [index, { pattern, text }] of cases.entries()) {
      expect(answerOf({ pattern, text }), `pattern ${JSON.stringify(pattern)} on ${JSON.stringify(text)}`).toEqual(
        answers[index],
      );
    }
  }, 120_000);
});

function askOpa(cases: readonly Case[]): readonly Answer[] {
  const query = `[a | some c in input; v := regex.is_valid(c.pattern); a := object.union({"valid": v}, object.union_n([o |
    some k in [1]; v
    o := {"matches": regex.match(c.pattern, c.text),
      "groups": regex.find_all_string_submatch_n(c.pattern, c.text, -1)}]))]`;
  const out = execFileSync(requireTool('opa'), ['eval', '--stdin-input', '-f', 'json', query], {
    input: JSON.stringify(cases),
    encoding: 'utf8',
    maxBuffer: 256 * 1_048_576,
  });
  // The form of `opa eval -f json`; the values are compared, not trusted.
  return (JSON.parse(out) as { result: [{ expressions: [{ value: Answer[] }] }] }).result[0].expressions[0].value;
}

function answerOf({ pattern, text }: Case): Answer {
  try {
    const regex = compileRegex(pattern);
    const groups = regex
      .matchAll(text, { groups: true })
      .map((match) =>
        Array.from({ length: regex.groupCount + 1 }, (_none, group) => groupText(text, match, group) ?? ''),
      );
    return { valid: true, matches: regex.test(text), groups };
  } catch (error) {
    if (error instanceof RegexError) return { valid: false };
    throw error;
  }
}
