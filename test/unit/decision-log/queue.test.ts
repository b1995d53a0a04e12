import { expect, test } from 'vitest';
import { createQueue, type Queue } from '../../../src/decision-log/queue.ts';

interface Held {
  readonly queue: Queue<number>;
  readonly consumed: number[];
  /** Runs what was scheduled; answers how many runs that were. */
  readonly turn: () => number;
}

function held(maxItems: number, monotonicMs = (): number => 0): Held {
  const consumed: number[] = [];
  const scheduled: (() => void)[] = [];
  const queue = createQueue<number>({
    maxItems,
    monotonicMs,
    consume: (item) => consumed.push(item),
    schedule: (run) => scheduled.push(run),
  });
  return {
    queue,
    consumed,
    turn: () => {
      const due = scheduled.splice(0);
      for (const run of due) run();
      return due.length;
    },
  };
}

test('nothing is consumed before its turn, then everything in order, in one batch', () => {
  const { queue, consumed, turn } = held(100);
  for (let item = 0; item < 50; item += 1) queue.push(item);
  expect(consumed).toEqual([]);
  expect(queue.length).toBe(50);
  expect(turn()).toBe(1);
  expect(consumed).toEqual(Array.from({ length: 50 }, (_, item) => item));
  expect(queue.length).toBe(0);
  expect(turn()).toBe(0);
});

test('refuses what does not fit, and takes more once there is room', () => {
  const { queue, consumed, turn } = held(3);
  expect([1, 2, 3, 4, 5].map((item) => queue.push(item))).toEqual([true, true, true, false, false]);
  turn();
  expect(queue.push(6)).toBe(true);
  turn();
  expect(consumed).toEqual([1, 2, 3, 6]);
});

test('a batch ends after a millisecond and the rest waits for the next turn', () => {
  let nowMs = 0;
  const { queue, consumed, turn } = held(100_000, () => (nowMs += 0.5));
  for (let item = 0; item < 100; item += 1) queue.push(item);
  turn();
  expect(consumed.length).toBeGreaterThan(0);
  expect(consumed.length).toBeLessThan(100);
  expect(queue.length).toBe(100 - consumed.length);
  while (turn() > 0);
  expect(consumed).toHaveLength(100);
});

test('a queue that fills up gets longer batches', () => {
  const firstBatch = (maxItems: number): number => {
    let nowMs = 0;
    const { queue, consumed, turn } = held(maxItems, () => (nowMs += 0.5));
    for (let item = 0; item < 400; item += 1) queue.push(item);
    turn();
    return consumed.length;
  };
  expect(firstBatch(500)).toBeGreaterThan(firstBatch(100_000));
});

test('what is pushed while a batch runs is not lost', () => {
  const consumed: number[] = [];
  let run = (): void => {};
  const queue = createQueue<number>({
    maxItems: 10,
    monotonicMs: () => 0,
    schedule: (next) => {
      run = next;
    },
    consume: (item) => {
      consumed.push(item);
      if (item < 3) queue.push(item + 1);
    },
  });
  queue.push(1);
  run();
  expect(consumed).toEqual([1, 2, 3]);
});

test('drain consumes all at once', () => {
  const { queue, consumed } = held(10);
  queue.push(1);
  queue.push(2);
  queue.drain();
  expect(consumed).toEqual([1, 2]);
  expect(queue.length).toBe(0);
});
