import { RE2JS } from 're2js';
import { describe, expect, test } from 'vitest';
import { RegexCostError } from '../../../src/regex/cost.ts';
import { parsePattern } from '../../../src/regex/parse.ts';
import { compileRegex } from '../../../src/regex/regex.ts';
import { sizeOf } from '../../../src/regex/syntax-tree.ts';
import { createRandom, seedOf } from '../../support/seed.ts';

const UNITS = 10_000;

/** The steps of one search by a fresh pattern, so that nothing is known before. */
function stepsOf(pattern: string, text: string, exec: boolean): number {
  const regex = compileRegex(pattern);
  if (exec) regex.exec(text);
  else regex.test(text);
  return regex.steps;
}

describe('time is linear in the text', () => {
  const draws = createRandom(seedOf('linear time'));
  const letters = Array.from({ length: 2 * UNITS }, () => draws.pick(['a', 'b'])).join('');
  const as = 'a'.repeat(2 * UNITS);
  const hostile: readonly (readonly [pattern: string, text: string])[] = [
    ['^(a+)+$', as],
    ['^(a+)+$', `${'a'.repeat(UNITS)}!${as}`],
    ['(a|a)*b', as],
    ['(.*)*x', as],
    ['a*b', as],
    ['(x+x+)+y', 'x'.repeat(2 * UNITS)],
    ['.{0,1000}x', as],
    ['.{0,200}[^a]', as],
    ['.{0,1000}[^a]', 'a'.repeat(4_000)],
    ['(a?){30}a{30}$', as],
    ['\\w+@', as],
    ['(\\w+\\s?)+$', `${as}!`],
    ['(?i)select.+from', 'select '.repeat(UNITS / 3)],
    ['(?:aa|aab|aabb|ab|b|ba)*c', letters],
    ['(a|b)*a(a|b){12}[^ab]', letters],
    ['(?:.*a){8}c', letters],
    ['(?:^|\\b)(?:[ab]{1,40}\\b)?(?:[ab]+)+\\B!', letters],
    ['[\\p{L}\\p{M}]+\\p{Nd}', 'äβ漢'.repeat(UNITS)],
    ['(\\p{Lu}|\\p{L})+\\d', '😀é'.repeat(UNITS)],
    ['[A-Za-z0-9+/]{200,}={0,2}', `${'a'.repeat(199)} `.repeat(UNITS / 100)],
    ['[A-Za-z0-9+/]{200,}!', as],
    ['ab.*ab.*ab.*c', 'ab'.repeat(UNITS)],
    ['a(?i)*(a|b)*c', letters],
  ];

  test.each(hostile)('%j: twice the text takes at most about twice the steps', (pattern, text) => {
    const half = text.slice(0, text.length / 2);
    // What is built once is paid by the shorter text already; half a time is for what varies (four times would be quadratic).
    expect(stepsOf(pattern, text, false)).toBeLessThan(2.5 * stepsOf(pattern, half, false) + 2_000);
  });

  test.each(hostile)('%j: each code point costs at most a few times the pattern’s size', (pattern, text) => {
    const { root } = parsePattern(pattern.replace('(?i)*', '*'));
    for (const exec of [false, true]) {
      expect(stepsOf(pattern, text, exec)).toBeLessThan(4 * (sizeOf(root) + 4) * text.length);
    }
  });

  test.each(hostile)('%j: gives what re2js gives', (pattern, text) => {
    const part = text.slice(-UNITS);
    const regex = compileRegex(pattern);
    const matcher = RE2JS.compile(pattern).matcher(part);
    const match = regex.exec(part);
    expect(regex.test(part)).toBe(match !== undefined);
    expect(match?.start).toBe(matcher.find(0) ? matcher.start() : undefined);
    expect(match?.end).toBe(match && matcher.end());
  });

  test('a text that makes ever new states is given to the threads', () => {
    const regex = compileRegex('(a|b)*a((?:a|b){12})c?$');
    const matcher = RE2JS.compile('(a|b)*a((?:a|b){12})c?$').matcher(`${letters}abbbbbbbbbbbb`);
    expect(matcher.find(0)).toBe(true);
    const text = `${letters}abbbbbbbbbbbb`;
    expect(regex.test(text)).toBe(true);
    const places = [0, 1, 2].flatMap((group) => [matcher.start(group), matcher.end(group)]);
    expect(regex.exec(text)?.places).toEqual(places);
    // More than the table look-ups alone take.
    expect(regex.steps).toBeGreaterThan(4 * text.length);
  });

  test('finding all is refused where it reads the text over and over', () => {
    const regex = compileRegex('.*x|a');
    expect(() => regex.matchAll(as)).toThrow(RegexCostError);
    expect(regex.steps).toBeLessThan(70 * as.length + 100_000);
    expect(regex.matchAll('a'.repeat(300))).toHaveLength(300);
  });

  test('finding many short matches is not', () => {
    const regex = compileRegex('([ab])');
    expect(regex.matchAll(letters, { groups: true })).toHaveLength(letters.length);
    expect(regex.steps).toBeLessThan(10 * letters.length);
  });

  test('finding the groups of one long match is linear too', () => {
    const pattern = '((a)|b)*';
    const text = letters.repeat(10);
    const [short, long] = [text.slice(0, text.length / 2), text].map((each) => stepsOf(pattern, each, true));
    expect(long).toBeLessThan(2.5 * (short ?? 0) + 2_000);
  });
});
