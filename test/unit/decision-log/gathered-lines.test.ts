import { expect, test } from 'vitest';
import { createGatheredLines, type GatheredLines } from '../../../src/decision-log/gathered-lines.ts';

interface Watched {
  readonly lines: GatheredLines;
  readonly passed: string[];
  /** Lets the time end that lines had to gather; answers whether any had been asked for. */
  readonly due: () => boolean;
}

function watched(): Watched {
  const passed: string[] = [];
  const planned: (() => void)[] = [];
  return {
    lines: createGatheredLines({
      gather: (run) => planned.push(run),
      passOn: (line, lane) => passed.push(`${lane} ${line}`),
    }),
    passed,
    due: () => {
      const runs = planned.splice(0);
      for (const run of runs) run();
      expect(runs.length).toBeLessThanOrEqual(1);
      return runs.length === 1;
    },
  };
}

test('lines are passed on together, in order, with their lanes; one wait is asked for at a time', () => {
  const { lines, passed, due } = watched();
  for (const [line, lane] of [
    ['a', 'kept'],
    ['b', 'denied'],
    ['c', 'kept'],
  ] as const)
    lines.push(line, lane);
  expect(passed).toEqual([]);
  expect([lines.waiting(), lines.waiting('kept'), lines.waiting('denied')]).toEqual([3, 2, 1]);
  expect(due()).toBe(true);
  expect(passed).toEqual(['kept a', 'denied b', 'kept c']);
  expect([lines.waiting(), lines.waiting('kept'), lines.waiting('denied')]).toEqual([0, 0, 0]);
  expect(due()).toBe(false);
  lines.push('d', 'kept');
  expect(due()).toBe(true);
  expect(passed.at(-1)).toBe('kept d');
});

test('what makes a write of its own waits for no other, and is cut before the line that would be too much', () => {
  const { lines, passed, due } = watched();
  const long = 'x'.repeat(20 * 1024);
  for (let nth = 0; nth < 3; nth += 1) lines.push(long, 'kept');
  expect(passed).toEqual([]);
  lines.push(long, 'denied');
  expect(passed).toHaveLength(3);
  expect([lines.waiting(), lines.waiting('denied')]).toEqual([1, 1]);
  // The wait that was asked for before passes on nothing twice, and what came since then.
  expect(due()).toBe(true);
  expect(passed).toHaveLength(4);
  expect(due()).toBe(false);
  lines.push('x'.repeat(100 * 1024), 'kept');
  lines.push('after one that is too long by itself', 'kept');
  expect(passed).toHaveLength(5);
});

test('a flush passes on what waits, once', () => {
  const { lines, passed, due } = watched();
  lines.push('a', 'kept');
  lines.flush();
  lines.flush();
  expect(passed).toEqual(['kept a']);
  expect(due()).toBe(true);
  expect(passed).toEqual(['kept a']);
});
