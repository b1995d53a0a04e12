import { describe, expect, test } from 'vitest';
import { createDeadlines, type StartDeadline } from '../../../src/decision/deadline.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';

function deadlines(clock: ManualClock, maxWaitMs = 1_000): StartDeadline {
  return createDeadlines({ clock, startTimer: clock.startTimer, maxWaitMs });
}

const never = (): Promise<string> => new Promise(() => undefined);

/** What has come of a promise by now. */
async function stateOf(promise: Promise<string>): Promise<string> {
  const pending = Symbol('pending');
  const first = await Promise.race([
    promise.catch((error: unknown) => `fault: ${String(error)}`),
    new Promise((resolve) => setImmediate(() => resolve(pending))),
  ]);
  return first === pending ? 'pending' : String(first);
}

const TOO_LATE = expect.stringContaining('no decision within the deadline');

describe('the deadlines of many requests', () => {
  test('have one timer, and each is over in its own time', async () => {
    const clock = createManualClock();
    const start = deadlines(clock);
    const waits = [300, 100, 200, undefined].map((ms) => start(clock.now(), ms).wait(never()));
    expect(clock.pendingTimers()).toBe(1);
    const states = [];
    for (const ms of [99, 1, 100, 100, 699, 1]) {
      clock.advance(ms);
      states.push((await Promise.all(waits.map(stateOf))).map((state) => (state === 'pending' ? '.' : 'x')).join(''));
    }
    expect(states).toEqual(['....', '.x..', '.xx.', 'xxx.', 'xxx.', 'xxxx']);
    expect(await stateOf(waits[0] ?? never())).toEqual(TOO_LATE);
    expect(clock.pendingTimers()).toBe(0);
  });

  test('leave no timer behind when the last one is stopped', async () => {
    const clock = createManualClock();
    const start = deadlines(clock);
    const [one, two] = [start(clock.now(), 100), start(clock.now(), 200)];
    const waits = [one.wait(never()), two.wait(never())];
    one.stop();
    clock.advance(150);
    expect(await Promise.all(waits.map(stateOf))).toEqual(['pending', 'pending']);
    expect(clock.pendingTimers()).toBe(1);
    two.stop();
    two.stop();
    expect(clock.pendingTimers()).toBe(0);
    clock.advance(1_000);
    expect(await Promise.all(waits.map(stateOf))).toEqual(['pending', 'pending']);
  });

  test('are told to all that one request waits for, and at once to what it asks for after it', async () => {
    const clock = createManualClock();
    const one = deadlines(clock)(clock.now(), 100);
    const late: string[] = [];
    const value = Promise.withResolvers<string>();
    const waits = [one.wait(never()), one.wait(value.promise, (text) => late.push(text))];
    clock.advance(100);
    waits.push(one.wait(never()));
    expect(await Promise.all(waits.map(stateOf))).toEqual([TOO_LATE, TOO_LATE, TOO_LATE]);
    value.resolve('given back');
    await value.promise;
    expect(late).toEqual(['given back']);
  });

  test('do nothing to a value that comes in time, or to one that is there', async () => {
    const clock = createManualClock();
    const one = deadlines(clock)(clock.now(), 100);
    expect(await one.wait('there')).toBe('there');
    expect(clock.pendingTimers()).toBe(0);
    expect(await one.wait(Promise.resolve('in time'))).toBe('in time');
    await expect(one.wait(Promise.reject(new Error('of its own')))).rejects.toThrow('of its own');
    clock.advance(100);
    expect(() => one.check(clock.now().monotonicMs)).not.toThrow();
    clock.advance(1);
    expect(() => one.check(clock.now().monotonicMs)).toThrow('no decision within the deadline');
  });
});

describe('a clock that cannot be read', () => {
  function failing() {
    const clock = createManualClock();
    let broken = false;
    const now = () => {
      if (broken) throw new Error('no clock');
      return clock.now();
    };
    const start = createDeadlines({ clock: { now }, startTimer: clock.startTimer, maxWaitMs: 1_000 });
    return { clock, start, fail: () => (broken = true) };
  }

  test('ends a wait that begins, gives its value back, and leaves others their timer', async () => {
    const { clock, start, fail } = failing();
    const before = start(clock.now(), 200).wait(never());
    fail();
    const value = Promise.withResolvers<string>();
    const late: string[] = [];
    const wait = start(clock.now(), 100).wait(value.promise, (text) => late.push(text));
    expect(await stateOf(wait)).toContain('no clock');
    value.resolve('given back');
    await value.promise;
    expect(late).toEqual(['given back']);
    clock.advance(200);
    expect(await stateOf(before)).toEqual(TOO_LATE);
  });

  test('makes nobody wait longer when it stands still: the timers tell the time', async () => {
    const clock = createManualClock();
    const still = clock.now();
    const now = () => still;
    const start = createDeadlines({ clock: { now }, startTimer: clock.startTimer, maxWaitMs: 1_000 });
    const waits = [100, 250, 300].map((ms) => start(still, ms).wait(never()));
    const states = [];
    for (const ms of [100, 149, 1, 50]) {
      clock.advance(ms);
      states.push((await Promise.all(waits.map(stateOf))).map((state) => (state === 'pending' ? '.' : 'x')).join(''));
    }
    expect(states).toEqual(['x..', 'x..', 'xx.', 'xxx']);
  });

  test('ends a wait at once when it reads no number', async () => {
    const clock = createManualClock();
    const now = () => ({ epochMs: Number.NaN, monotonicMs: Number.NaN });
    const start = createDeadlines({ clock: { now }, startTimer: clock.startTimer, maxWaitMs: 1_000 });
    const waits = [100, 200].map((ms) => start(now(), ms).wait(never()));
    clock.advance(0);
    expect(await Promise.all(waits.map(stateOf))).toEqual([TOO_LATE, TOO_LATE]);
  });

  test('ends all waits when the first one is over: none is left without a timer', async () => {
    const { clock, start, fail } = failing();
    const waits = [100, 200].map((ms) => start(clock.now(), ms).wait(never()));
    fail();
    clock.advance(100);
    expect(await Promise.all(waits.map(stateOf))).toEqual([TOO_LATE, TOO_LATE]);
  });
});
