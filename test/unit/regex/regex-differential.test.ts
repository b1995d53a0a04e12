import { RE2JS } from 're2js';
import { describe, expect, test } from 'vitest';
import { compileRegex, type Match, type Regex, RegexError } from '../../../src/regex/regex.ts';
import { caseCount, createRandom, seedOf } from '../../support/seed.ts';
import { randomPattern, randomText } from './random-pattern.ts';

describe('what re2js finds is found', () => {
  test('the same patterns are valid, and the same places match, for any pattern and text', () => {
    const random = createRandom(seedOf('regex differential'));
    let valid = 0;
    const cases = caseCount(4_000);
    for (let count = 0; count < cases; count++) {
      const pattern = randomPattern(random);
      const expected = compileOrUndefined(() => RE2JS.compile(pattern));
      const regex = compileOrUndefined(() => compileRegex(pattern));
      expect(regex === undefined, `validity of ${JSON.stringify(pattern)}`).toBe(expected === undefined);
      if (regex === undefined || expected === undefined) continue;
      valid++;
      for (let texts = 0; texts < 4; texts++) {
        const text = randomText(random);
        const at = `pattern ${JSON.stringify(pattern)} on ${JSON.stringify(text)}`;
        const all = allMatches(expected, text);
        expect(regex.test(text), at).toBe(all.length > 0);
        expect(regex.exec(text)?.places, at).toEqual(all[0]);
        expect(matchesOf(regex, text, true), at).toEqual(all);
        expect(matchesOf(regex, text, false), at).toEqual(all.map((places) => places.slice(0, 2)));
      }
    }
    expect(valid).toBeGreaterThanOrEqual(Math.floor(cases / 2) - 5);
  });
});

function compileOrUndefined<T>(compile: () => T): T | undefined {
  try {
    return compile();
  } catch (error) {
    if (error instanceof RegexError || (error instanceof Error && error.name.startsWith('RE2JS'))) return undefined;
    throw error;
  }
}

function matchesOf(regex: Regex, text: string, groups: boolean): readonly (readonly number[])[] {
  return regex.matchAll(text, { groups }).map(({ places }: Match) => (groups ? places : places.slice(0, 2)));
}

/** Go's rule, written down a second time on re2js' matcher. */
function allMatches(pattern: RE2JS, text: string): readonly (readonly number[])[] {
  const matcher = pattern.matcher(text);
  const found: number[][] = [];
  let previousEnd = -1;
  for (let from = 0; from <= text.length && matcher.find(from); ) {
    const places: number[] = [];
    for (let group = 0; group <= matcher.groupCount(); group++) places.push(matcher.start(group), matcher.end(group));
    const [start = 0, end = 0] = places;
    if (end > start || start !== previousEnd) {
      found.push(places);
      previousEnd = end;
    }
    from = end > start ? end : end + ((text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1);
  }
  return found;
}
