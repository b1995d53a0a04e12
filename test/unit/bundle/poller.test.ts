import { afterEach, describe, expect, it } from 'vitest';
import { createPoller, type Poller, type PollResult } from '../../../src/bundle/poller.ts';

interface Scene {
  readonly poller: Poller;
  readonly delays: number[];
  /** Calls what the last timer waits for, and lets the attempt end. */
  readonly turn: () => Promise<void>;
  readonly attempts: () => number;
  readonly cancelled: () => number;
}

let stopLast = async (): Promise<void> => {};
afterEach(() => stopLast());

function scene(results: readonly PollResult[], random = 0.5): Scene {
  const delays: number[] = [];
  let due = (): void => {};
  let attempts = 0;
  let cancelled = 0;
  const poller = createPoller({
    minDelayMs: 60_000,
    maxDelayMs: 120_000,
    random: () => random,
    startTimer: (delayMs, late) => {
      delays.push(delayMs);
      due = late;
      return () => {
        cancelled += 1;
      };
    },
    attempt: async () => results[attempts++] ?? 'good',
  });
  stopLast = () => poller.stop();
  return {
    poller,
    delays,
    turn: async () => {
      due();
      await new Promise(setImmediate);
    },
    attempts: () => attempts,
    cancelled: () => cancelled,
  };
}

describe('polling', () => {
  it.each([
    [0, 60_000],
    [0.5, 90_000],
    [0.999, 119_940],
  ])('waits between the two delays after a good attempt (random %s: %s ms)', async (random, expected) => {
    const { poller, delays } = scene(['good'], random);
    poller.start();
    await new Promise(setImmediate);
    expect(delays).toEqual([expected]);
  });

  it('comes back soon after a bad attempt, then ever later, up to the longest delay', async () => {
    const { poller, delays, turn } = scene(Array(12).fill('failed'), 0);
    poller.start();
    await new Promise(setImmediate);
    for (let at = 0; at < 11; at += 1) await turn();
    expect(delays).toEqual([250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000, 60_000]);
  });

  it.each([
    [0, 50],
    [0.5, 275],
  ])('goes on soon, and not in step with others, where it is told to (random %s: %s ms)', async (random, expected) => {
    const { poller, delays } = scene(['again'], random);
    poller.start();
    await new Promise(setImmediate);
    expect(delays).toEqual([expected]);
  });

  it('forgets its failures after a good attempt', async () => {
    const { poller, delays, turn } = scene(['failed', 'failed', 'good', 'failed'], 0);
    poller.start();
    await new Promise(setImmediate);
    for (let at = 0; at < 3; at += 1) await turn();
    expect(delays).toEqual([250, 500, 60_000, 250]);
  });

  it('ends with `stop`, which aborts the attempt under way and waits for it', async () => {
    let aborted = false;
    let ended = false;
    const poller = createPoller({
      minDelayMs: 1,
      maxDelayMs: 1,
      random: () => 0,
      startTimer: () => {
        throw new Error('nothing is to be timed after a stop');
      },
      attempt: (signal) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            aborted = true;
            setImmediate(() => {
              ended = true;
              resolve('failed');
            });
          });
        }),
    });
    poller.start();
    await poller.stop();
    expect([aborted, ended]).toEqual([true, true]);
  });

  it('cancels the timer of the next attempt at `stop`', async () => {
    const { poller, attempts, cancelled } = scene(['good']);
    poller.start();
    await new Promise(setImmediate);
    await poller.stop();
    expect([attempts(), cancelled()]).toEqual([1, 1]);
  });
});
