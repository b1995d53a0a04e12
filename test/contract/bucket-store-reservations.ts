import { expect, test } from 'vitest';
import { createWindows } from '../../src/quota/calendar.ts';
import {
  charge,
  concurrency,
  expectExceeded,
  expectTaken,
  hold,
  LONG_MS,
  type OpenBucketStore,
  openKit,
  rate,
  window,
} from './bucket-store-kit.ts';

/** What every store promises of what is given back. */
export function releaseSuite(open: () => Promise<OpenBucketStore>): void {
  test('a release gives back charges and holds, once', async () => {
    const { taken, release, left } = await openKit(open);
    const terms = [rate(10), window(10), rate(10), concurrency(3)] as const;
    const others = [charge(terms[0], 1), charge(terms[1], 1), hold(terms[2], 1), hold(terms[3])];
    await taken(others);
    const charges = [charge(terms[0], 4), charge(terms[1], 4), hold(terms[2], 4), hold(terms[3])];
    const id = await taken(charges);
    for (let times = 0; times < 3; times += 1) {
      await release(id, charges);
      expect(await left(...terms)).toEqual([
        [9, 0],
        [9, 0],
        [9, 1],
        [2, 1],
      ]);
    }
  });

  test('what is not refundable stays charged, a hold of it as a charge', async () => {
    const { taken, release, left } = await openKit(open);
    const terms = [rate(10), rate(10), window(10), concurrency(3)] as const;
    const always = { refundable: false };
    const charges = [
      charge(terms[0], 4, always),
      hold(terms[1], 4, always),
      hold(terms[2], 4, { ...always, onExpiry: 'release' }),
      hold(terms[3], 1, always),
    ];
    const id = await taken(charges);
    for (let times = 0; times < 2; times += 1) {
      await release(id, charges);
      expect(await left(...terms)).toEqual([
        [6, 0],
        [6, 0],
        [6, 0],
        [3, 0],
      ]);
    }
  });

  test('a shadow charge that did not fit is not given back', async () => {
    const { taken, release, left } = await openKit(open);
    const [full, half] = [rate(10), rate(10)];
    await taken([charge(full, 9), charge(half, 5)]);
    const shadow = { enforced: false };
    const charges = [charge(full, 5, shadow), hold(full, 6, shadow), charge(half, 5, shadow)].filter(
      ({ terms, hold: held }) => terms !== full || held === undefined,
    );
    const id = await taken(charges);
    expect(await left(full, half)).toEqual([
      [1, 0],
      [0, 0],
    ]);
    await release(id, charges);
    expect(await left(full, half)).toEqual([
      [1, 0],
      [5, 0],
    ]);
  });

  test('an id that is released before its take arrives takes nothing', async () => {
    const { release, take, newId, left } = await openKit(open);
    const terms = rate(10);
    const id = newId();
    const charges = [hold(terms, 4)];
    await release(id, charges);
    await release(id, charges);
    for (let times = 0; times < 2; times += 1) expect(await take([charges], id)).toEqual({ kind: 'released' });
    expect(await left(terms)).toEqual([[10, 0]]);
  });

  test('an id that was taken and released takes nothing again', async () => {
    const { release, take, taken, left } = await openKit(open);
    const terms = rate(10);
    const charges = [hold(terms, 4)];
    const id = await taken(charges);
    await release(id, charges);
    expect(['duplicate', 'released']).toContain((await take([charges], id)).kind);
    expect(await left(terms)).toEqual([[10, 0]]);
  });

  test('a release across the end of a window gives nothing back to the next', async () => {
    const { taken, release, left, toNextWindow } = await openKit(open);
    const windows = createWindows({ periodSeconds: 2 });
    const [charged, held] = [window(10, windows), window(10, windows)];
    const charges = [charge(charged, 4), hold(held, 4)];
    await toNextWindow(windows);
    const id = await taken(charges);
    await toNextWindow(windows);
    await taken([charge(charged, 5), charge(held, 5)]);
    await release(id, charges);
    expect(await left(charged, held)).toEqual([
      [5, 0],
      [5, 0],
    ]);
  });
}

/** What every store promises of settles, and of what it tells of a reservation. */
export function settleSuite(open: () => Promise<OpenBucketStore>): void {
  test.each([
    ['nothing', 0, 10, 10],
    ['less', 3, 7, 7],
    ['as much', 4, 6, 6],
    ['more', 9, 1, 1],
    ['more than there is, as debt', 25, 0, 0],
    ['the greatest number', Number.MAX_SAFE_INTEGER, 0, 0],
  ])('a settle with %s replaces the hold by what was used', async (_name, used, ofRate, ofWindow) => {
    const { taken, settle, left, take, force } = await openKit(open);
    const terms = [rate(10), window(10), concurrency(3)] as const;
    const id = await taken(terms.map((one) => hold(one, one === terms[2] ? 1 : 4)));
    expect(await settle(id, used, used, used)).toBe('settled');
    expect(await left(...terms)).toEqual([
      [ofRate, 0],
      [ofWindow, 0],
      [3, 0],
    ]);
    if (used !== 25) return;
    await force(charge(terms[0], -15), charge(terms[1], -15));
    expectExceeded(await take([[charge(terms[0], 1), charge(terms[1], 1)]]));
    await force(charge(terms[0], -1), charge(terms[1], -1));
    expectTaken(await take([[charge(terms[0], 1), charge(terms[1], 1)]]));
  });

  test('the first settle counts, and what is charged at once is not touched by it', async () => {
    const { taken, settle, release, left, look } = await openKit(open);
    const [requests, tokens] = [rate(10), window(1000)];
    const charges = [charge(requests, 1), hold(tokens, 400)];
    const id = await taken(charges);
    expect(await settle(id, 150)).toBe('settled');
    expect(await settle(id, 300)).toBe('already');
    expect(await settle(id, 0)).toBe('already');
    await release(id, charges);
    expect(await left(requests, tokens)).toEqual([
      [9, 0],
      [850, 0],
    ]);
    expect(await look(id)).toMatchObject({ state: 'settled', amounts: [400], used: [150] });
  });

  test('of many settles at once one counts', async () => {
    const { taken, settle, left } = await openKit(open);
    const terms = window(1000);
    const id = await taken([hold(terms, 400)]);
    const answers = await Promise.all(Array.from({ length: 20 }, () => settle(id, 150)));
    expect(answers.toSorted()).toEqual([...Array.from({ length: 19 }, () => 'already'), 'settled']);
    expect(await left(terms)).toEqual([[850, 0]]);
  });

  test('a settle after a release changes nothing', async () => {
    const { taken, settle, release, left, look } = await openKit(open);
    const terms = rate(10);
    const charges = [hold(terms, 4)];
    const id = await taken(charges);
    await release(id, charges);
    expect(await settle(id, 4)).toBe('already');
    expect(await left(terms)).toEqual([[10, 0]]);
    expect(await look(id)).toMatchObject({ state: 'released' });
  });

  test('of an id that never took nothing is known', async () => {
    const { settle, renew, look, newId } = await openKit(open);
    const id = newId();
    expect(await settle(id, 5)).toBe('unknown');
    expect(await renew(id, 1000)).toBe('unknown');
    expect(await look(id)).toBeUndefined();
  });

  test('what is known of a reservation: the plan, the note to the letter, the amounts in the order of the plan', async () => {
    const { take, newId, look, now, manualTime, taken } = await openKit(open);
    const note = JSON.stringify(['tenant-ä', ['\u{1F600}\0'], [['a"b', 1, 1, 1, 1, 1]]]).padEnd(500, ' ñ');
    const full = rate(10);
    await taken([charge(full, 8)]);
    const held = hold(rate(100), 30, { ttlMs: LONG_MS });
    const plan = [
      charge(rate(10), 1),
      held,
      hold(full, 3, { enforced: false }),
      hold(concurrency(1), 1, { ttlMs: 2 * LONG_MS }),
      hold(window(100), 20, { ttlMs: LONG_MS }),
    ];
    const id = newId();
    const takenMs = now().epochMs;
    expect(await take([[charge(full, 3)], plan], id, note)).toMatchObject({ kind: 'taken', plan: 1 });
    const known = await look(id);
    expect(known).toMatchObject({ state: 'open', plan: 1, note, amounts: [30, 0, 1, 20] });
    expect(known?.used).toBeUndefined();
    const lateMs = (known?.expiresMs ?? 0) - takenMs - 2 * LONG_MS;
    expect(Math.abs(lateMs)).toBeLessThanOrEqual(manualTime ? 0 : 1000);
  });

  test('what a shadow charge could not hold keeps its place in the amounts and is settled by nothing', async () => {
    const { taken, settle, left } = await openKit(open);
    const [full, tokens] = [rate(10), rate(100)];
    await taken([charge(full, 8)]);
    const id = await taken([hold(full, 3, { enforced: false }), hold(tokens, 30)]);
    expect(await settle(id, 2, 50)).toBe('settled');
    expect(await left(full, tokens)).toEqual([
      [2, 0],
      [50, 0],
    ]);
  });

  test('a settle across the end of a window touches neither', async () => {
    const { taken, settle, left, toNextWindow } = await openKit(open);
    const windows = createWindows({ periodSeconds: 2 });
    const [terms, tokens] = [window(10, windows), rate(10)];
    await toNextWindow(windows);
    const id = await taken([hold(terms, 4), hold(tokens, 4)]);
    await toNextWindow(windows);
    await taken([charge(terms, 5)]);
    expect(await settle(id, 9, 1)).toBe('settled');
    expect(await left(terms, tokens)).toEqual([
      [5, 0],
      [9, 0],
    ]);
  });
}
