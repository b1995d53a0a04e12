import { expect, test } from 'vitest';
import { createWindows } from '../../src/quota/calendar.ts';
import {
  charge,
  concurrency,
  expectExceeded,
  expectTaken,
  hold,
  type OpenBucketStore,
  openKit,
  rate,
  SHORT_MS,
  window,
} from './bucket-store-kit.ts';

/** What every store promises of waits, windows, new sizes and clocks that jump. */
export function timeSuite(open: () => Promise<OpenBucketStore>): void {
  test.each([
    ['rate', () => [charge(rate(10, { periodMs: 5000, burst: 10 }), 10), 1] as const],
    ['rate with a hold', () => [hold(rate(10, { periodMs: 5000 }), 10, { ttlMs: SHORT_MS }), 1] as const],
    [
      'rate with a released hold',
      () => [hold(rate(1, { burst: 9 }), 9, { ttlMs: SHORT_MS, onExpiry: 'release' }), 4] as const,
    ],
    ['window', () => [charge(window(10, createWindows({ periodSeconds: 2 })), 10), 3] as const],
    ['concurrency limit', () => [hold(concurrency(1), 1, { ttlMs: SHORT_MS }), 1] as const],
  ])('the wait that is told of a %s is exact', async (_name, toCharge) => {
    const { take, taken, advance, manualTime, toNextWindow } = await openKit(open);
    const [first, cost] = toCharge();
    const { terms } = first;
    if (terms.windows !== undefined) await toNextWindow(terms.windows);
    await taken([first]);
    const again = terms.kind === 'concurrency' ? hold(terms) : charge(terms, cost);
    const [[state] = []] = expectExceeded(await take([[again]]));
    const waitMs = state?.waitMs ?? 0;
    expect(waitMs).toBeGreaterThan(0);
    expect(waitMs).toBeLessThanOrEqual(2000);
    if (manualTime) {
      await advance(waitMs - 1);
      expect(expectExceeded(await take([[again]]))[0]?.[0]?.waitMs).toBe(1);
      await advance(1);
    } else {
      await advance(waitMs);
    }
    expectTaken(await take([[again]]));
  });

  test('another window begins with nothing used, and holds of the one before are over', async () => {
    const { taken, take, left, toNextWindow } = await openKit(open);
    const windows = createWindows({ periodSeconds: 2 });
    const terms = window(10, windows);
    await toNextWindow(windows);
    await taken([charge(terms, 6)]);
    await taken([hold(terms, 4)]);
    expectExceeded(await take([[charge(terms, 1)]]));
    await toNextWindow(windows);
    expect(await left(terms)).toEqual([[10, 0]]);
    await taken([charge(terms, 10)]);
  });

  test.each(['rate', 'window', 'concurrency'] as const)(
    'a %s of another size has what was used and held before',
    async (kind) => {
      const { taken, take, left } = await openKit(open);
      const sized = { rate, window: (limit: number) => window(limit), concurrency }[kind];
      const small = sized(10);
      const resize = (limit: number) => ({ ...small, limit, burst: limit });
      if (kind !== 'concurrency') await taken([charge(small, 3)]);
      const used = kind === 'concurrency' ? 0 : 3;
      await taken([hold(small, 4)]);
      expect(await left(small, resize(100), resize(5))).toEqual([
        [6 - used, 4],
        [96 - used, 4],
        [kind === 'concurrency' ? 1 : 0, 4],
      ]);
      await taken([hold(resize(100), 50)]);
      expect(await left(small, resize(100))).toEqual([
        [0, 54],
        [46 - used, 54],
      ]);
      expectExceeded(await take([[hold(small, 1)]]));
    },
  );

  test('a rate drains as fast as the last size by which something was taken, whatever is settled', async (context) => {
    const { taken, settle, advance, left, manualTime } = await openKit(open);
    if (!manualTime) return context.skip('needs time that stands still');
    const small = rate(10, { periodMs: 1000, burst: 100 });
    const large = { ...small, limit: 50 };
    const id = await taken([hold(large, 20)]);
    await taken([charge(small, 30)]);
    expect(await settle(id, 20)).toBe('settled');
    await advance(1000);
    expect(await left(small)).toEqual([[60, 0]]);
    await taken([charge(large, 0)]);
    await advance(500);
    expect(await left(small)).toEqual([[85, 0]]);
  });

  test('a wall clock that jumps an hour either way takes nothing from a rate or a concurrency limit', async (context) => {
    const { setEpoch, now, taken, take, advance, left } = await openKit(open);
    if (setEpoch === undefined) return context.skip('needs a wall clock that can be set');
    const [fast, calls] = [rate(10, { periodMs: 10_000 }), concurrency(1)];
    await taken([charge(fast, 10), hold(calls, 1, { ttlMs: 5000 })]);
    for (const jumpMs of [3_600_000, -3_600_000, -3_600_000]) {
      setEpoch(now().epochMs + jumpMs);
      expect(await left(fast, calls)).toEqual([
        [0, 0],
        [0, 1],
      ]);
      expectExceeded(await take([[charge(fast, 1)]]));
    }
    await advance(5000);
    expect(await left(fast, calls)).toEqual([
      [5, 0],
      [1, 0],
    ]);
  });

  test('a wall clock that is set back over the end of a window gives no window twice, and blocks none for long', async (context) => {
    const { setEpoch, now, taken, take, left, toNextWindow } = await openKit(open);
    if (setEpoch === undefined) return context.skip('needs a wall clock that can be set');
    const windows = createWindows({ periodSeconds: 60 });
    const terms = window(10, windows);
    await toNextWindow(windows);
    await taken([charge(terms, 10)]);
    setEpoch(now().epochMs - 1);
    expectExceeded(await take([[charge(terms, 1)]]));
    setEpoch(now().epochMs + 1);
    expectExceeded(await take([[charge(terms, 1)]]));
    setEpoch(now().epochMs - 3_600_000);
    expectExceeded(await take([[charge(terms, 1)]]));
    await toNextWindow(windows);
    expect(await left(terms)).toEqual([[10, 0]]);
    await taken([charge(terms, 10)]);
  });
}
