import { expect, test } from 'vitest';
import { createGenerations } from '../../../src/decision/generations.ts';
import { generation } from '../../support/core.ts';
import { createManualClock } from '../../support/manual-clock.ts';

function generations() {
  const clock = createManualClock();
  const closed: string[] = [];
  const all = createGenerations({ startTimer: clock.startTimer, retireAfterMs: 1_000 });
  const put = (revision: string): void =>
    all.put(generation({}, { revisions: new Map([['authz', revision]]) }), () => closed.push(revision));
  return { all, put, closed, clock };
}

test('before the first there is none', () => {
  expect(generations().all.current()).toBeUndefined();
});

test('the newest is in force, whatever number it came with, and each is counted', () => {
  const { all, put } = generations();
  for (const [index, revision] of ['r1', 'r2', 'r1'].entries()) {
    put(revision);
    expect(all.current()).toMatchObject({ number: index + 1, revisions: new Map([['authz', revision]]) });
  }
});

test('one that was pinned stays what it was', () => {
  const { all, put } = generations();
  put('r1');
  const pinned = all.current();
  put('r2');
  expect(pinned).toMatchObject({ number: 1, revisions: new Map([['authz', 'r1']]) });
});

test('a former one is closed only after no request can hold it, and once', () => {
  const { all, put, closed, clock } = generations();
  put('r1');
  put('r2');
  clock.advance(999);
  expect(closed).toEqual([]);
  put('r3');
  clock.advance(1);
  expect(closed).toEqual(['r1']);
  clock.advance(999);
  expect(closed).toEqual(['r1', 'r2']);
  clock.advance(10_000);
  expect(closed).toEqual(['r1', 'r2']);
  expect(all.current()?.number).toBe(3);
});

test('at the end all are closed at once, each once, and none is in force', () => {
  const { all, put, closed, clock } = generations();
  for (const revision of ['r1', 'r2', 'r3']) put(revision);
  all.close();
  expect(closed.toSorted()).toEqual(['r1', 'r2', 'r3']);
  expect(all.current()).toBeUndefined();
  expect(clock.pendingTimers()).toBe(0);
  clock.advance(10_000);
  expect(closed).toHaveLength(3);
});
