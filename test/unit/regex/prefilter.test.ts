import { RE2JS } from 're2js';
import { describe, expect, test } from 'vitest';
import { parsePattern } from '../../../src/regex/parse.ts';
import { createPrefilters } from '../../../src/regex/prefilter.ts';
import { compileRegex } from '../../../src/regex/regex.ts';
import { caseCount, createRandom, type Random, seedOf } from '../../support/seed.ts';

/** Patterns like those of a web application firewall. */
const RULES = [
  '(?i)\\b(select|union|insert|update|delete|drop)\\b.{0,40}\\b(from|into|table|where)\\b',
  '(?i)<script[^>]*>',
  '(?i)ignore (all )?(previous|prior|above) instructions',
  '\\.\\./',
  '(?i)(\\bor\\b|\\band\\b)\\s+\\d+\\s*=\\s*\\d+',
  '(?i)javascript:',
  '[A-Za-z0-9+/]{20,}={0,2}',
  '(?i)on(error|load|click)\\s*=',
  '\\x00',
  '(?i)(sleep|benchmark|waitfor)\\s*\\(',
  '(?:😀|=\\s)+x',
  '[^a-z]{12,}\\d',
  '[^\\x00-\\x7f]{14}',
  '.*\\.\\./(\\w+)',
  '\\w+@(\\w+)\\.com',
  '(?i)(?:ab)?(?:kiss|strasse|straße)(e?)',
  '(?m)^(\\d\\d)=(x*)$',
];

const PIECES = [
  ...['select', 'SELECT ', 'ſelect', 'from', ' table', 'where ', 'drop ', '<script', '>', '<scr', 'ignore ', 'all '],
  ...[
    'previous',
    ' instructions',
    '../',
    '..',
    '/',
    ' or 1=1',
    'AND  2 = 2',
    'javascript:',
    'QUJDREVGR0hJSktMTU5P',
    '==',
  ],
  ...[
    'onload=',
    'onerror  =',
    '\0',
    'sleep(',
    'benchmark (',
    '😀',
    '\ud83d',
    '\ude00',
    '= ',
    'x',
    '12',
    'é漢é漢é漢é漢é漢é漢',
  ],
  ...['me@here.com', 'kiß', 'Kiss', '\u212aiſs', 'STRASSE', 'straẞe', '\n', ' ', '\u00a0', '42=xx', '\n10=\n'],
];

function textOf(random: Random): string {
  return Array.from({ length: random.below(30) }, () => random.pick(PIECES)).join('');
}

describe('what is looked for first', () => {
  test.each([
    ['(?i)<script[^>]*>', 'starts'],
    ['\\.\\./', 'starts'],
    ['\\x00', 'starts'],
    ['(?i)\\b(select|union)\\b', 'starts'],
    ['[A-Z]{20,}', 'starts'],
    ['\\w+@', 'mayMatch'],
    ['.{0,1000}x', 'mayMatch'],
    ['a*', undefined],
    ['\\w\\w', undefined],
    ['^abc', undefined],
    ['(?:[a-z]|b)+', undefined],
  ] as const)('%j: %s', (pattern, kind) => {
    const { root } = parsePattern(pattern);
    const { starts, mayMatch } = createPrefilters(root, pattern.startsWith('^'));
    expect([starts !== undefined, mayMatch !== undefined]).toEqual([kind === 'starts', kind === 'mayMatch']);
  });

  test('a run does not begin inside of a pair', () => {
    const regex = compileRegex('[\\x{DC00}-\\x{DFFF}]{12,}');
    expect(regex.test(`😀${'\udc01'.repeat(11)}`)).toBe(false);
    expect(regex.exec(`😀${'\udc01'.repeat(12)}`)?.places).toEqual([2, 14]);
  });

  test('nothing that re2js finds is passed over', () => {
    const random = createRandom(seedOf('regex prefilters'));
    const rules = RULES.map((rule) => [compileRegex(rule), RE2JS.compile(rule)] as const);
    for (let count = 0; count < caseCount(3_000); count++) {
      const text = textOf(random);
      const [regex, expected] = random.pick(rules);
      const at = `pattern ${JSON.stringify(regex.pattern)} on ${JSON.stringify(text)}`;
      const matcher = expected.matcher(text);
      const wanted = matcher.find(0)
        ? Array.from({ length: 2 * matcher.groupCount() + 2 }, (_none, slot) =>
            slot % 2 === 0 ? matcher.start(slot >> 1) : matcher.end(slot >> 1),
          )
        : undefined;
      expect(regex.test(text), at).toBe(wanted !== undefined);
      expect(regex.exec(text)?.places, at).toEqual(wanted);
    }
  });
});
