import { expect, test } from 'vitest';
import { StoreFault } from '../../src/quota/bucket-store.ts';
import {
  bucketId,
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

/** What every store promises where names are hostile, and where there is much of everything. */
export function hostileSuite(open: () => Promise<OpenBucketStore>): void {
  test.each([
    ['names that every object has', ['__proto__', 'constructor', 'hasOwnProperty', 'toString', 'valueOf']],
    ['braces', ['}', '{', '{}', '{a}', '{a}b', '}{', '{}{a}']],
    ['NUL', ['a', 'a\0', 'a\0b', '\0a', '\0', '']],
    ['lines and quotes', ['a\r\nb', 'a\nb', 'a b', 'a"b', "a'b", 'a\\b', '$1', '*']],
    [
      'letters that look alike',
      ['\u00e9', 'e\u0301', 'E\u0301', '\u0130', 'i\u0307', 'i', 'I', '\u0131', '\u{1F600}', '\uFEFF', '\uFFFD'],
    ],
    ['numbers', ['1', '01', '1.0', '1e0', '-1', '١']],
  ])('buckets named with %s are told apart', async (_name, marks) => {
    const { taken, left } = await openKit(open);
    const common = bucketId();
    const terms = marks.flatMap((mark) => [
      rate(10, { id: `${mark}:${common}` }),
      concurrency(10, { id: `${common}:${mark}` }),
    ]);
    for (const [index, one] of terms.entries()) await taken([hold(one, (index % 9) + 1)]);
    expect(await left(...terms)).toEqual(terms.map((_, index) => [9 - (index % 9), (index % 9) + 1]));
  });

  test('a name of 10 MB is counted or refused, and harms nothing else', async () => {
    const { take, taken, left } = await openKit(open);
    const [huge, twin, plain] = ['a', 'b', ''].map((end) =>
      rate(10, { id: bucketId('x'.repeat(end === '' ? 1 : 1e7) + end) }),
    );
    if (huge === undefined || twin === undefined || plain === undefined) throw new Error('no buckets');
    for (const terms of [huge, twin]) {
      try {
        expectTaken(await take([[charge(terms, 4)]]));
        expect(await left(terms)).toEqual([[6, 0]]);
      } catch (error) {
        expect(error).toBeInstanceOf(StoreFault);
      }
    }
    await taken([charge(plain, 1)]);
    expect(await left(plain)).toEqual([[9, 0]]);
  });

  test('buckets that are counted across tenants, and those of outsiders, are counted as well', async () => {
    const { taken, take, left } = await openKit(open);
    const terms = [rate(3, { scope: 'shared' }), rate(3, { region: 'outsiders' }), rate(3)];
    await taken(terms.map((one) => charge(one, 3)));
    expectExceeded(await take([terms.map((one) => charge(one, 1))]));
    expect((await left(...terms)).map(([remaining]) => remaining)).toEqual([0, 0, 0]);
  });

  test('eight plans of sixteen charges: all but the last refused by their last charge, nothing of them taken', async () => {
    const { take, peek, taken } = await openKit(open);
    const plans = Array.from({ length: 8 }, () =>
      Array.from({ length: 16 }, (_, at) => [rate(10), window(10), concurrency(10)][at % 3] ?? rate(10)),
    );
    const lasts = plans.slice(0, 7).flatMap((plan) => plan.slice(-1));
    await taken(lasts.map((terms) => hold(terms, 10)));
    const before = await peek(...plans.slice(0, 7).flat());
    const asked = plans.map((plan) => plan.map((terms) => hold(terms, 1)));
    expect(expectTaken(await take(asked)).map(({ held, version }) => [held, version])).toEqual(
      Array.from({ length: 16 }, () => [1, 1]),
    );
    expect(await peek(...plans.slice(0, 7).flat())).toEqual(before);
    const states = expectExceeded(await take(asked.slice(0, 7)));
    expect(states.map((plan) => plan.filter(({ fits }) => fits).length)).toEqual(Array.from({ length: 7 }, () => 15));
  });

  test('a bucket with many holds counts each of them', async () => {
    const { take, taken, left, release, settle } = await openKit(open);
    const [calls, tokens] = [concurrency(300), window(1_000_000)];
    const asked = [hold(calls, 1, { ttlMs: LONG_MS }), hold(tokens, 10)];
    const ids: string[] = [];
    for (let count = 0; count < 300; count += 1) ids.push(await taken(asked));
    expectExceeded(await take([asked]));
    expect(await left(calls, tokens)).toEqual([
      [0, 300],
      [997_000, 3000],
    ]);
    for (const id of ids.slice(0, 100)) await release(id, asked);
    for (const id of ids.slice(200)) expect(await settle(id, 0, 7)).toBe('settled');
    expect(await left(calls, tokens)).toEqual([
      [200, 100],
      [998_300, 1000],
    ]);
  });
}
