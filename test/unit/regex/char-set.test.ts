import { describe, expect, test } from 'vitest';
import { classSet, contains, literalSet, UnsureSyntax } from '../../../src/regex/char-set.ts';

// Read off re2js' program: an update that changes its form fails here.
describe('sets of code points', () => {
  test.each([
    ['[a-cx]', false, [97, 99, 120, 120]],
    ['[x]', false, [120, 120]],
    ['[x]', true, [88, 88, 120, 120]],
    ['[k]', true, [75, 75, 107, 107, 0x212a, 0x212a]],
    ['[ß]', true, [0xdf, 0xdf, 0x1e9e, 0x1e9e]],
    ['[^\\x00-\\x{10FFFE}]', false, [0x10ffff, 0x10ffff]],
    ['[^\\x00-\\x{10FFFF}]', false, []],
    ['[\\x00-\\x{10FFFF}]', false, [0, 0x10ffff]],
    ['[^\\n]', false, [0, 9, 11, 0x10ffff]],
    ['\\d', false, [48, 57]],
    ['\\s', false, [9, 10, 12, 13, 32, 32]],
    ['[[:blank:]]', false, [9, 9, 32, 32]],
  ])('%s, folded %s', (source, fold, set) => expect(classSet(source, fold)).toEqual(set));

  test.each([
    ['A', [65, 65, 97, 97]],
    ['s', [83, 83, 115, 115, 0x17f, 0x17f]],
    ['1', [49, 49]],
    ['é', [0xc9, 0xc9, 0xe9, 0xe9]],
    ['ß', [0xdf, 0xdf, 0x1e9e, 0x1e9e]],
    ['\u0000', [0, 0]],
    ['漢', [0x6f22, 0x6f22]],
  ])('%j folded', (literal, set) => expect(literalSet(literal.codePointAt(0) ?? 0, true)).toEqual(set));

  test('what is no set is refused', () => {
    for (const source of ['ab', 'a*', '(a)', '[a', '\\p{Foo}'])
      expect(() => classSet(source, false)).toThrow(UnsureSyntax);
  });

  test('a member is found in any range', () => {
    const set = [3, 5, 9, 9, 20, 30];
    const members = Array.from({ length: 40 }, (_none, codePoint) => codePoint).filter((each) => contains(set, each));
    expect(members).toEqual([3, 4, 5, 9, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30]);
    expect(contains([], 0)).toBe(false);
  });
});
