import { expect, test } from 'vitest';
import {
  concurrency,
  hold,
  LONG_MS,
  type OpenBucketStore,
  openKit,
  rate,
  SHORT_MS,
  window,
} from './bucket-store-kit.ts';

/** What every store promises of holds that end by themselves, or are kept from it. */
export function expirySuite(open: () => Promise<OpenBucketStore>): void {
  test('a hold that nobody settles becomes the charge, or nothing where the limit says so', async () => {
    const { taken, advance, left } = await openKit(open);
    const terms = [rate(10), window(10), rate(10), window(10), concurrency(2)] as const;
    const [charged, released] = [{ ttlMs: SHORT_MS }, { ttlMs: SHORT_MS, onExpiry: 'release' }] as const;
    await taken([
      hold(terms[0], 4, charged),
      hold(terms[1], 4, charged),
      hold(terms[2], 4, released),
      hold(terms[3], 4, released),
      hold(terms[4], 1, charged),
    ]);
    expect((await left(...terms)).map(([, held]) => held)).toEqual([4, 4, 4, 4, 1]);
    await advance(SHORT_MS);
    expect(await left(...terms)).toEqual([
      [6, 0],
      [6, 0],
      [10, 0],
      [10, 0],
      [2, 0],
    ]);
  });

  // A rate may have drained by what the hold became: that is not given back once more.
  test.each([
    ['charge', 1, 6, 9],
    ['charge', 4, 6, 6],
    ['charge', 7, 3, 3],
    ['release', 1, 9, 9],
    ['release', 4, 6, 6],
    ['release', 0, 10, 10],
  ] as const)(
    'a settle after the hold expired into a %s, with %i used, leaves %i of a rate and %i of a window',
    async (onExpiry, used, ofRate, ofWindow) => {
      const { taken, advance, settle, left, look } = await openKit(open);
      const terms = [rate(10), window(10), concurrency(2)] as const;
      const id = await taken(terms.map((one) => hold(one, one === terms[2] ? 1 : 4, { ttlMs: SHORT_MS, onExpiry })));
      await advance(SHORT_MS);
      expect(await look(id)).toMatchObject({ state: 'open', amounts: [4, 4, 1] });
      expect(await settle(id, used, used, 1)).toBe('settled');
      expect(await settle(id, 10, 10, 1)).toBe('already');
      expect(await left(...terms)).toEqual([
        [ofRate, 0],
        [ofWindow, 0],
        [2, 0],
      ]);
    },
  );

  test('a release after the hold expired into a charge gives it back to a window', async () => {
    const { taken, advance, release, left } = await openKit(open);
    const terms = [rate(10), window(10), concurrency(2)] as const;
    const charges = terms.map((one) => hold(one, 1, { ttlMs: SHORT_MS }));
    const id = await taken(charges);
    await advance(SHORT_MS);
    await release(id, charges);
    expect(await left(...terms)).toEqual([
      [9, 0],
      [10, 0],
      [2, 0],
    ]);
  });

  test('a hold that is renewed lasts from then on; one that ended is not renewed', async () => {
    const { taken, advance, renew, left, look, now, manualTime } = await openKit(open);
    const terms = [rate(10), window(10), concurrency(2)] as const;
    const id = await taken(terms.map((one) => hold(one, 1, { ttlMs: SHORT_MS })));
    const other = await taken(terms.map((one) => hold(one, 1, { ttlMs: SHORT_MS })));
    await advance(SHORT_MS - 1000);
    expect(await renew(id, 2 * SHORT_MS)).toBe('renewed');
    const lateMs = ((await look(id))?.expiresMs ?? 0) - now().epochMs - 2 * SHORT_MS;
    expect(Math.abs(lateMs)).toBeLessThanOrEqual(manualTime ? 0 : 1000);
    await advance(1000);
    expect(await left(...terms)).toEqual([
      [8, 1],
      [8, 1],
      [1, 1],
    ]);
    expect(await renew(other, SHORT_MS)).toBe('ended');
    await advance(2 * SHORT_MS);
    expect(await renew(id, SHORT_MS)).toBe('ended');
    expect(await left(...terms)).toEqual([
      [8, 0],
      [8, 0],
      [2, 0],
    ]);
  });

  test('what was settled or released is not renewed', async () => {
    const { taken, settle, release, renew, left } = await openKit(open);
    const terms = rate(10);
    const charges = [hold(terms, 3)];
    const [settled, released] = [await taken(charges), await taken(charges)];
    await settle(settled, 1);
    await release(released, charges);
    expect([await renew(settled, LONG_MS), await renew(released, LONG_MS)]).toEqual(['ended', 'ended']);
    expect(await left(terms)).toEqual([[9, 0]]);
  });

  test('a renewal goes on with the holds that are left', async () => {
    const { taken, advance, renew, left } = await openKit(open);
    const [short, long] = [rate(10), rate(10)];
    const id = await taken([hold(short, 3, { ttlMs: SHORT_MS }), hold(long, 3, { ttlMs: LONG_MS })]);
    await advance(SHORT_MS);
    expect(await renew(id, SHORT_MS)).toBe('renewed');
    await advance(SHORT_MS);
    expect(await left(short, long)).toEqual([
      [7, 0],
      [7, 0],
    ]);
  });
}
