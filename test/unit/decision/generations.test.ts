import { describe, expect, test } from 'vitest';
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

describe('a generation beside the one in force', () => {
  function staged() {
    const parts = generations();
    parts.put('r1');
    const stage = parts.all.stage(generation({}, { revisions: new Map([['authz', 'r2']]) }), () =>
      parts.closed.push('r2'),
    );
    return { ...parts, stage };
  }
  const everybody = () => true;

  test('decides for nobody until it is told for whom', () => {
    const { all, stage } = staged();
    expect(all.current()?.canary).toBeUndefined();
    stage.decideFor(everybody);
    expect(all.current()).toMatchObject({ number: 1, canary: { generation: { number: 2 }, includes: everybody } });
    stage.decideForNobody();
    expect(all.current()?.canary).toBeUndefined();
  });

  test('is answered as one object until something changes', () => {
    const { all, stage } = staged();
    stage.decideFor(everybody);
    expect(all.current()).toBe(all.current());
  });

  test('stays beside a newer one in force', () => {
    const { all, put, stage } = staged();
    stage.decideFor(everybody);
    put('r3');
    expect(all.current()).toMatchObject({ number: 3, canary: { generation: { number: 2 } } });
  });

  test('promoted is in force, is under trial no more, and the former is closed in its time', () => {
    const { all, stage, closed, clock } = staged();
    stage.decideFor(everybody);
    stage.promote();
    expect(all.current()).toMatchObject({ number: 2 });
    expect(all.current()?.canary).toBeUndefined();
    clock.advance(1_000);
    expect(closed).toEqual(['r1']);
  });

  test('withdrawn decides for nobody, and is closed once no request can hold it', () => {
    const { all, stage, closed, clock } = staged();
    stage.decideFor(everybody);
    stage.withdraw();
    expect(all.current()?.canary).toBeUndefined();
    clock.advance(999);
    expect(closed).toEqual([]);
    clock.advance(1);
    expect(closed).toEqual(['r2']);
    stage.decideFor(everybody);
    stage.promote();
    expect(all.current()?.number).toBe(1);
  });

  test('is closed with the others at the end', () => {
    const { all, stage, closed } = staged();
    stage.decideFor(everybody);
    all.close();
    expect(closed.toSorted()).toEqual(['r1', 'r2']);
    expect(all.current()).toBeUndefined();
  });
});
