import { expect, it } from 'vitest';
import { compileRegex } from '../../../src/regex/regex.ts';

it('tells of what a search takes while it takes it, so that whoever pays can end it', () => {
  const regex = compileRegex('a[^x]*x|a');
  let spent = 0;
  const spend = (steps: number): void => {
    spent += steps;
    if (spent > 20_000) throw new Error('enough');
  };
  const text = 'a'.repeat(5_000);
  expect(() => regex.matchAll(text, { free: 5_000, spend })).toThrow('enough');
  expect(spent).toBeLessThan(60_000);
  // What was ended left nothing behind.
  expect(regex.matchAll('aax').map(({ start, end }) => [start, end])).toEqual([[0, 3]]);
  expect(regex.test('b')).toBe(false);
});
