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

test('what is long enough for a write of its own waits for no other', () => {
  const { lines, passed, due } = watched();
  const long = 'x'.repeat(16 * 1024 - 1);
  for (let nth = 0; nth < 4; nth += 1) lines.push(long, 'kept');
  expect(passed).toEqual([]);
  lines.push('enough', 'denied');
  expect(passed).toHaveLength(5);
  expect([lines.waiting(), lines.waiting('denied')]).toEqual([0, 0]);
  // The wait that was asked for before passes on nothing twice, and what came since then at once.
  lines.push('later', 'kept');
  expect(due()).toBe(true);
  expect(passed).toHaveLength(6);
  expect(due()).toBe(false);
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
