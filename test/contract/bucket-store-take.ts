import { expect, test } from 'vitest';
import { NEVER_MS } from '../../src/quota/arithmetic.ts';
import {
  charge,
  concurrency,
  expectExceeded,
  expectTaken,
  hold,
  type OpenBucketStore,
  openKit,
  rate,
  window,
} from './bucket-store-kit.ts';

/** What every store promises of takes, forced charges and looks. */
export function takeSuite(open: () => Promise<OpenBucketStore>): void {
  test('what fits is taken, and the answer says what is left after it', async () => {
    const { take, left } = await openKit(open);
    const [requests, tokens, calls] = [rate(10), window(1000), concurrency(5)];
    const states = expectTaken(await take([[charge(requests, 1), hold(tokens, 300), hold(calls)]]));
    expect(states).toMatchObject([
      { limit: 10, remaining: 9, held: 0, fits: true, waitMs: 0, version: 1 },
      { limit: 1000, remaining: 700, held: 300, fits: true, waitMs: 0, version: 1 },
      { limit: 5, remaining: 4, held: 1, fits: true, waitMs: 0, version: 1 },
    ]);
    expect(states.map(({ resetMs }) => resetMs > 0)).toEqual([true, true, true]);
    expect(await left(requests, tokens, calls)).toEqual([
      [9, 0],
      [700, 300],
      [4, 1],
    ]);
  });

  test.each([0, 1, 2])('a plan of which the charge %i does not fit takes nothing and writes nothing', async (at) => {
    const { take, taken, peek } = await openKit(open);
    const terms = [rate(10), window(10), concurrency(10)];
    await taken(terms.map((one) => hold(one, one === terms[at] ? 10 : 2)));
    const before = await peek(...terms);
    const states = expectExceeded(await take([terms.map((one) => hold(one, 1))]));
    expect(states[0]?.map(({ fits }) => fits)).toEqual([0, 1, 2].map((index) => index !== at));
    expect(await peek(...terms)).toEqual(before);
  });

  test('the first plan that fits is taken, and of the others nothing', async () => {
    const { take, left, taken } = await openKit(open);
    const [dear, cheap, spare] = [rate(10), rate(10), rate(10)];
    const plans = [[charge(dear, 6)], [charge(cheap, 6)], [charge(spare, 6)]];
    await taken([charge(dear, 5)]);
    expect(await take(plans)).toMatchObject({ kind: 'taken', plan: 1, states: [{ remaining: 4, fits: true }] });
    expect(await take(plans)).toMatchObject({ kind: 'taken', plan: 2 });
    expect(await left(dear, cheap, spare)).toEqual([
      [5, 0],
      [4, 0],
      [4, 0],
    ]);
  });

  test('a plan without charges fits', async () => {
    const { take } = await openKit(open);
    expect(await take([[charge(rate(1), 2)], []])).toEqual({ kind: 'taken', plan: 1, states: [] });
  });

  test('where no plan fits, the answer has the states of all of them, in order, as they were found', async () => {
    const { take, taken } = await openKit(open);
    const [one, two, three] = [rate(10), window(20), concurrency(1)];
    await taken([charge(one, 9), charge(two, 18), hold(three)]);
    const states = expectExceeded(await take([[charge(one, 1), charge(two, 3)], [hold(three)], [charge(one, 11)]]));
    expect(states).toMatchObject([
      [
        { limit: 10, remaining: 1, fits: true, waitMs: 0, version: 1 },
        { limit: 20, remaining: 2, fits: false, version: 1 },
      ],
      [{ limit: 1, remaining: 0, held: 1, fits: false, version: 1 }],
      [{ limit: 10, remaining: 1, fits: false, waitMs: NEVER_MS, version: 1 }],
    ]);
    expect(states[0]?.[1]?.waitMs).toBeGreaterThan(0);
    expect(states[1]?.[0]?.waitMs).toBeGreaterThan(0);
  });

  test('a shadow charge is taken where it fits, and neither taken nor refusing where it does not', async () => {
    const { take, left } = await openKit(open);
    const [enforced, shadow] = [rate(10), rate(3)];
    const plan = [charge(enforced, 2), charge(shadow, 2, { enforced: false })];
    expect(expectTaken(await take([plan]))).toMatchObject([{ fits: true }, { fits: true, remaining: 1 }]);
    const [, state] = expectTaken(await take([plan]));
    expect(state).toMatchObject({ fits: false, remaining: 1, version: 1 });
    expect(state?.waitMs).toBeGreaterThan(0);
    expect(await left(enforced, shadow)).toEqual([
      [6, 0],
      [1, 0],
    ]);
  });

  test('a cost of nothing is taken from a full bucket and not from one in debt', async () => {
    const { take, taken, force } = await openKit(open);
    const [full, indebted] = [rate(10), window(10)];
    await taken([charge(full, 10)]);
    await force(charge(indebted, 11));
    expectTaken(await take([[charge(full, 0)]]));
    expectExceeded(await take([[charge(indebted, 0)]]));
  });

  test('a cost above the burst never fits, not even an untouched bucket', async () => {
    const { take } = await openKit(open);
    const plans = [[charge(rate(10, { burst: 4 }), 5)], [charge(window(5), 6)], [hold(concurrency(1), 2)]];
    for (const [state] of expectExceeded(await take(plans)))
      expect(state).toMatchObject({ waitMs: NEVER_MS, version: 0 });
  });

  test('an id that took takes nothing again, be it with other charges', async () => {
    const { take, taken, left } = await openKit(open);
    const [held, charged, other] = [rate(10), rate(10), rate(10)];
    const first = await taken([hold(held, 2)]);
    const second = await taken([charge(charged, 2)]);
    for (const id of [first, second, first, second]) {
      expect(await take([[charge(charged, 1), charge(other, 1)]], id)).toEqual({ kind: 'duplicate' });
    }
    expect(await left(held, charged, other)).toEqual([
      [8, 2],
      [8, 0],
      [10, 0],
    ]);
  });

  test('an id that was refused may try again', async () => {
    const { take, newId, taken } = await openKit(open);
    const terms = rate(10);
    const id = newId();
    expectExceeded(await take([[charge(terms, 11)]], id));
    await taken([hold(terms, 10)], id);
  });

  test('of many takes at once exactly as many are taken as fit, each with a version of its own', async () => {
    const { take, left } = await openKit(open);
    const [few, many] = [rate(20), window(1000)];
    const answers = await Promise.all(Array.from({ length: 60 }, () => take([[charge(many, 1), charge(few, 1)]])));
    const taken = answers.filter(({ kind }) => kind === 'taken').map((answer) => expectTaken(answer));
    expect(taken).toHaveLength(20);
    for (const at of [0, 1]) {
      const versions = taken.map((states) => states[at]?.version ?? 0);
      expect(versions.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    }
    expect(await left(few, many)).toEqual([
      [0, 0],
      [980, 0],
    ]);
  });

  test('of many takes at once with one id exactly one is taken', async () => {
    const { take, newId, left } = await openKit(open);
    const terms = rate(100);
    const id = newId();
    const answers = await Promise.all(Array.from({ length: 20 }, () => take([[hold(terms, 3)]], id)));
    expect(answers.filter(({ kind }) => kind === 'taken')).toHaveLength(1);
    expect(answers.filter(({ kind }) => kind === 'duplicate')).toHaveLength(19);
    expect(await left(terms)).toEqual([[97, 3]]);
  });

  test('a forced charge is taken whether it fits or not, and a negative one gives back, never below nothing', async () => {
    const { force, left, one, take } = await openKit(open);
    const [slow, month, calls] = [rate(10), window(10), concurrency(2)];
    await force(charge(slow, 25), charge(month, 25), charge(calls, 1));
    expect(await left(slow, month, calls)).toEqual([
      [0, 0],
      [0, 0],
      [2, 0],
    ]);
    expect((await one(month)).level).toBe(25);
    await force(charge(slow, -20), charge(month, -20));
    expect(await left(slow, month)).toEqual([
      [5, 0],
      [5, 0],
    ]);
    await force(charge(slow, -20), charge(month, -20));
    expect(await left(slow, month)).toEqual([
      [10, 0],
      [10, 0],
    ]);
    expectTaken(await take([[charge(slow, 10), charge(month, 10), hold(calls, 2)]]));
  });

  test('a bucket of which nothing is known is empty, and looking at it changes nothing', async () => {
    const { store, now } = await openKit(open);
    const terms = [rate(10, { burst: 30 }), window(7), concurrency(3)];
    const empty = { held: 0, fits: true, waitMs: 0, resetMs: 0, version: 0, level: 0 };
    for (let times = 0; times < 2; times += 1) {
      expect(await store.peek(terms, now())).toEqual([
        { limit: 10, remaining: 30, ...empty },
        { limit: 7, remaining: 7, ...empty },
        { limit: 3, remaining: 3, ...empty },
      ]);
    }
    expect(await store.peek([], now())).toEqual([]);
  });

  test.each([
    ['window', () => window(Number.MAX_SAFE_INTEGER), 1],
    [
      'rate',
      () => rate(Number.MAX_SAFE_INTEGER, { periodMs: 1000, burst: Math.floor(Number.MAX_SAFE_INTEGER / 1000) }),
      1000,
    ],
  ])('a %s of the greatest size is counted to the last unit', async (_kind, toTerms, periodMs) => {
    const { take, force, one, manualTime } = await openKit(open);
    const terms = toTerms();
    expect(expectTaken(await take([[charge(terms, terms.burst - 1)]]))[0]).toMatchObject({
      remaining: 1,
      level: (terms.burst - 1) * periodMs,
    });
    if (periodMs > 1 && !manualTime) return;
    expectExceeded(await take([[charge(terms, 2)]]));
    expectTaken(await take([[charge(terms, 1)]]));
    await force(charge(terms, Number.MAX_SAFE_INTEGER));
    expect(await one(terms)).toMatchObject({ level: Number.MAX_SAFE_INTEGER, remaining: 0, fits: periodMs === 1 });
  });
}
