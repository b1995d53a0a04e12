import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startSystemTimer, systemClock } from '../../../src/telemetry/system-clock.ts';

/** Holds this thread up. */
function stall(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test('a timer that is started after a stall in the same turn does not end before its time', async () => {
  const DELAY_MS = 40;
  await nextTurn();
  stall(DELAY_MS * 2);
  const startedMs = systemClock.now().monotonicMs;
  const endedMs = await new Promise<number>((resolve) => {
    startSystemTimer(DELAY_MS, () => resolve(systemClock.now().monotonicMs));
  });
  expect(endedMs - startedMs).toBeGreaterThanOrEqual(DELAY_MS - 1.5);
});

test('a timer that was cancelled never ends, also after it was put off', async () => {
  const ended: string[] = [];
  await nextTurn();
  stall(20);
  const cancel = startSystemTimer(10, () => ended.push('cancelled'));
  await nextTurn();
  cancel();
  await new Promise<void>((resolve) => startSystemTimer(50, resolve));
  expect(ended).toEqual([]);
});
