import { describe, expect, test } from 'vitest';
import { RegexCostError } from '../../../src/regex/cost.ts';
import { compileRegex, groupText, MAX_PATTERN_LENGTH, quoteRegex, RegexError } from '../../../src/regex/regex.ts';

/** All matches, as texts. */
function found(pattern: string, text: string): readonly string[] {
  return compileRegex(pattern)
    .matchAll(text)
    .map(({ start, end }) => text.slice(start, end));
}

describe('the syntax of RE2', () => {
  test.each([
    ['\\d+', 'a12b٣', ['12']],
    ['\\D', '1a', ['a']],
    ['[[:alpha:]]+', 'ab1é', ['ab']],
    ['[[:^alpha:]]+', 'ab1é', ['1é']],
    ['[^[:space:]]+', 'a b', ['a', 'b']],
    ['\\p{Greek}+', 'aαβb', ['αβ']],
    ['\\P{Greek}+', 'aαb', ['a', 'b']],
    ['\\p{^Greek}', 'αb', ['b']],
    ['\\pN', 'a٣', ['٣']],
    ['[\\p{Lu}\\d]+', 'aBÉ1', ['BÉ1']],
    ['\\x41\\x{1F600}', 'A😀', ['A😀']],
    ['\\101\\07', 'A\x07', ['A\x07']],
    ['\\a\\f\\t\\n\\r\\v', '\x07\f\t\n\r\v', ['\x07\f\t\n\r\v']],
    ['\\Qa.*b\\E+', 'a.*bb', ['a.*bb']],
    ['\\Qa|b', 'a|b', ['a|b']],
    ['a{2}', 'aaaaa', ['aa', 'aa']],
    ['a{2,}', 'aaaaa', ['aaaaa']],
    ['a{1,2}?', 'aaa', ['a', 'a', 'a']],
    ['a{,2}', 'aa{,2}', ['a{,2}']],
    ['a{01}', 'a{01}', ['a{01}']],
    ['x{', 'x{', ['x{']],
    ['[]a]+', 'a]', ['a]']],
    ['[a\\]b]+', 'a]b', ['a]b']],
    ['[!-[:x]+', '!:x[', ['!:x[']],
    ['[a-]+', 'a-', ['a-']],
    ['[\\d-z]+', '1-z', ['1-z']],
    ['a|ab|abc', 'abc', ['a']],
    ['(?:a|ab)(?:c|bcd)', 'abcd', ['abcd']],
    ['a(?i)b|c', 'aB C c', ['aB', 'C', 'c']],
    ['a(?i:b)c', 'aBc aBC', ['aBc']],
    ['(?:a(?i)b)c', 'aBc aBC', ['aBc']],
    ['(?s)a.(?-s:.)', 'a\nb a\n\n', ['a\nb']],
    ['(?U)a+', 'aaa', ['a', 'a', 'a']],
    ['(?U)a+?', 'aaa', ['aaa']],
    ['\\Aa', 'aa', ['a']],
    ['a\\z', 'aa', ['a']],
    ['(|a)+', 'aa', ['', '', '']],
    ['(|a)*', 'aa', ['', '', '']],
    ['\\_\\-\\/', '_-/', ['_-/']],
    ['[^\\x00-\\x{10FFFF}]|b', 'ab', ['b']],
  ])('%j on %j', (pattern, text, matches) => expect(found(pattern, text)).toEqual(matches));

  test.each([
    ['a**', 'invalid nested repetition operator'],
    ['a{2}{3}', 'invalid nested repetition operator'],
    ['*a', 'missing argument to repetition operator'],
    ['(?i)*', 'missing argument to repetition operator'],
    ['a{1001}', 'invalid repeat count'],
    ['(a{100}){11}', 'invalid repeat count'],
    ['a{2,1}', 'invalid repeat count'],
    ['(a', 'missing closing )'],
    ['a)', 'unexpected )'],
    ['[a', 'missing closing ]'],
    ['[b-a]', 'invalid character class range'],
    ['[[:foo:]]', 'invalid character class range'],
    ['\\p{Foo}', 'invalid character class range'],
    ['\\C', 'invalid escape sequence'],
    ['\\Z', 'invalid escape sequence'],
    ['\\1', 'invalid escape sequence'],
    ['a\\', 'trailing backslash'],
    ['(?=a)', 'invalid or unsupported Perl syntax'],
    ['(?<=a)', 'invalid named capture'],
    ['(?<a', 'invalid named capture'],
    ['(?P<a b>c)', 'invalid named capture'],
    ['a'.repeat(MAX_PATTERN_LENGTH + 1), 'expression too large'],
    ['(?:a{1000}b{1000}c{1000}d{1000}e{1000}){1}'.repeat(7), 'expression too large'],
    ['('.repeat(1_001) + ')'.repeat(1_001), 'expression nests too deeply'],
  ])('%j is no pattern: %s', (pattern, message) => {
    expect(() => compileRegex(pattern)).toThrow(RegexError);
    expect(() => compileRegex(pattern)).toThrow(message);
  });

  test('what is read in an odd way, or nests deeply, is left to re2js', () => {
    expect(found('a(?i)*', 'aa')).toEqual(['aa']);
    expect(found('a\\Q\\E*b', 'aab')).toEqual(['aab']);
    expect(found(`${'('.repeat(300)}a${')'.repeat(300)}`, 'aa')).toEqual(['a', 'a']);
    expect(compileRegex('a(?i)*').weight).toBeGreaterThanOrEqual(1);
    expect(compileRegex('a(?i)*(?P<n>b)').groupNames).toEqual([undefined, 'n']);
    expect(compileRegex('a(?i)*(b)').exec('xaaB')?.places).toEqual([1, 4, 3, 4]);
  });
});

describe('where RE2 and JavaScript differ', () => {
  test.each([
    ['.+', 'a\rb\u2028c\nd', ['a\rb\u2028c', 'd']],
    ['\\s', '\v\u00a0 \t\f\r\n', [' ', '\t', '\f', '\r', '\n']],
    ['(?m)^.', 'a\rb\nc\u2028d', ['a', 'c']],
    ['(?m).$', 'a\rb\nc', ['b', 'c']],
    ['a$', 'a\n', []],
    ['(?i)\\bs', 'aſs', ['ſ', 's']],
    ['(?i)k', 'kK\u212a', ['k', 'K', '\u212a']],
    ['(?i)[s]', 'sSſ', ['s', 'S', 'ſ']],
    ['(?i)ß', 'ßẞ ss', ['ß', 'ẞ']],
    ['(?i)\\w+', 'ſ\u212a', ['ſ\u212a']],
    ['(?i)σ', 'σςΣ', ['σ', 'ς', 'Σ']],
    ['\\w\\b', 'aé', ['a']],
    ['^.$', '😀', ['😀']],
    ['[^a]', '😀', ['😀']],
    ['.', '\ud83d', ['\ud83d']],
    ['[]^]', ']^', [']', '^']],
    ['(a)?b\\x7d', 'b}', ['b}']],
  ])('%j on %j', (pattern, text, matches) => expect(found(pattern, text)).toEqual(matches));

  test('groups may share a name', () => {
    const regex = compileRegex('(?P<n>a)|(?<n>b)|(c)');
    expect(regex.groupNames).toEqual([undefined, 'n', 'n', undefined]);
    expect(regex.exec('b')?.places).toEqual([0, 1, -1, -1, 0, 1, -1, -1]);
  });

  test('a group may have the name of what every object has', () => {
    expect(compileRegex('(?P<__proto__>a)(?P<constructor>b)').groupNames).toEqual([
      undefined,
      '__proto__',
      'constructor',
    ]);
    expect(compileRegex('a(?i)*(?P<__proto__>b)').groupNames).toEqual([undefined, '__proto__']);
  });

  test('a group keeps what its last turn took', () => {
    expect(compileRegex('(a|(b))+').exec('ba')?.places).toEqual([0, 2, 1, 2, 0, 1]);
  });
});

describe('searching', () => {
  test('an empty match right behind another is none, and a pair is not split', () => {
    const places = compileRegex('a*')
      .matchAll('baa😀')
      .map(({ start, end }) => [start, end]);
    expect(places).toEqual([
      [0, 0],
      [1, 3],
      [5, 5],
    ]);
  });

  test('stops at the limit', () => {
    const regex = compileRegex('a');
    expect(regex.matchAll('aaa', { limit: 2 })).toHaveLength(2);
    expect(regex.matchAll('aaa', { limit: 0 })).toEqual([]);
  });

  test('finds groups when asked to', () => {
    const regex = compileRegex('(?P<key>\\w+)=(\\d*)(x)?');
    const text = 'a=1 b=';
    const [first, second] = regex.matchAll(text, { groups: true });
    expect(first?.places).toEqual([0, 3, 0, 1, 2, 3, -1, -1]);
    expect(second && groupText(text, second, 1)).toBe('b');
    expect(second && groupText(text, second, 2)).toBe('');
    expect(second && groupText(text, second, 3)).toBeUndefined();
    expect(second && groupText(text, second, 9)).toBeUndefined();
    expect(regex.matchAll(text)[0]?.places).toEqual([0, 3]);
    expect([regex.groupCount, regex.groupNames]).toEqual([3, [undefined, 'key', undefined, undefined]]);
  });

  test('what stands before the start of a search counts', () => {
    expect(compileRegex('^b').exec('ab', 1)).toBeUndefined();
    expect(compileRegex('\\bb').exec('ab', 1)).toBeUndefined();
    expect(compileRegex('(?m)^b').exec('\nb', 1)?.start).toBe(1);
    expect(compileRegex('b').exec('ab', 2)).toBeUndefined();
  });

  test('a quoted text matches itself only', () => {
    const text = 'a.*+?()[]{}|^$\\-/ é😀\n';
    const regex = compileRegex(`^${quoteRegex(text)}$`);
    expect([regex.test(text), regex.test(`${text}!`)]).toEqual([true, false]);
  });

  test('takes no more steps than it may', () => {
    const regex = compileRegex('(?:a|b)*a(?:a|b){13}c?$');
    const text = 'ab'.repeat(500);
    expect(() => regex.test(text, { maxSteps: 100 })).toThrow(RegexCostError);
    expect(regex.test(text)).toBe(true);
    expect(() => compileRegex('(a|b)').exec('a'.repeat(9), 0, { maxSteps: 1 })).toThrow(RegexCostError);
    expect(() => compileRegex('a').matchAll('aaaa', { maxSteps: 3 })).toThrow(RegexCostError);
  });
});
