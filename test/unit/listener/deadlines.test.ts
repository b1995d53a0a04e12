import { describe, expect, test } from 'vitest';
import { createDeadlines } from '../../../src/listener/deadlines.ts';
import { createManualClock } from '../../support/manual-clock.ts';

function start() {
  const clock = createManualClock();
  const late: string[] = [];
  let fails = false;
  const deadlines = createDeadlines<string>(
    clock.startTimer,
    (call) => {
      late.push(call);
      if (fails) throw new Error(call);
    },
    () => clock.now().monotonicMs,
  );
  return { clock, late, deadlines, fail: () => (fails = true) };
}

describe('deadlines', () => {
  test('end each call after its own delay, never early, in the order in which they are due', () => {
    const { clock, late, deadlines } = start();
    deadlines.start(100, 'a');
    clock.advance(30);
    deadlines.start(100, 'b');
    deadlines.start(50, 'c');
    clock.advance(49);
    expect(late).toEqual([]);
    clock.advance(1);
    expect(late).toEqual(['c']);
    clock.advance(20);
    expect(late).toEqual(['c', 'a']);
    clock.advance(29);
    expect(late).toEqual(['c', 'a']);
    clock.advance(1);
    expect(late).toEqual(['c', 'a', 'b']);
    expect(clock.pendingTimers()).toBe(0);
  });

  test('end nothing that was cancelled, be it first, last or between, or twice', () => {
    const { clock, late, deadlines } = start();
    const [a, , c, , e] = ['a', 'b', 'c', 'd', 'e'].map((call) => deadlines.start(100, call));
    for (const each of [c, a, e, c, a]) each?.cancel();
    deadlines.start(100, 'f');
    clock.advance(100);
    expect(late).toEqual(['b', 'd', 'f']);
    a?.cancel();
    deadlines.start(100, 'g');
    clock.advance(100);
    expect(late).toEqual(['b', 'd', 'f', 'g']);
  });

  test('of one delay have one timer', () => {
    const { clock, late, deadlines } = start();
    for (let call = 0; call < 1000; call += 1) deadlines.start(100, `${call}`).cancel();
    expect(clock.pendingTimers()).toBe(1);
    clock.advance(60);
    deadlines.start(100, 'last');
    expect(clock.pendingTimers()).toBe(1);
    clock.advance(99);
    expect(late).toEqual([]);
    clock.advance(1);
    expect(late).toEqual(['last']);
  });

  test('of any number of delays are each kept, whatever came before and is idle', () => {
    const { clock, late, deadlines } = start();
    for (let delay = 1; delay <= 1000; delay += 1) deadlines.start(1_000_000 + delay, 'idle').cancel();
    expect(clock.pendingTimers()).toBeLessThan(40);
    const waits = Array.from({ length: 200 }, (_, index) => deadlines.start(200 - index, `${200 - index}`));
    for (const [index, wait] of waits.entries()) if (index % 2 === 1) wait.cancel();
    clock.advance(200);
    expect(late).toEqual(Array.from({ length: 100 }, (_, index) => `${2 * (index + 1)}`));
  });

  test('go on after a call that fails', () => {
    const { clock, late, deadlines, fail } = start();
    fail();
    deadlines.start(100, 'a');
    deadlines.start(100, 'b');
    expect(() => clock.advance(100)).toThrow('a');
    expect(() => clock.advance(1)).toThrow('b');
    expect(late).toEqual(['a', 'b']);
  });

  test('keep no timer once they are closed and nobody waits', () => {
    const { clock, late, deadlines } = start();
    const wait = deadlines.start(100, 'a');
    deadlines.start(50, 'b').cancel();
    deadlines.close();
    expect(clock.pendingTimers()).toBe(1);
    wait.cancel();
    expect(clock.pendingTimers()).toBe(0);
    deadlines.start(100, 'c');
    clock.advance(100);
    expect(late).toEqual(['c']);
    expect(clock.pendingTimers()).toBe(0);
  });
});
