import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  admit,
  advance,
  emptyBucket,
  fits,
  type Moment,
  NEVER_MS,
  renew,
  settle,
  type Taken,
  toState,
  waitMs,
} from '../../../src/quota/arithmetic.ts';
import type { Bucket, BucketTerms } from '../../../src/quota/bucket.ts';
import { drawBucket, drawMoment, drawTerms, drawUnits } from '../../support/bucket-draws.ts';
import { type BucketVector, bucketVectors, fromFlat, perform, toFlat, toTerms } from '../../support/bucket-vectors.ts';
import { caseCount, createRandom, type Random, seedOf } from '../../support/seed.ts';
import { at, CALLS, createLife, expectSound, inWindow, of, RATE, STEP, WINDOW } from './bucket-life.ts';
import { exactly } from './exact-bucket.ts';

const MOST = Number.MAX_SAFE_INTEGER;

/** Carries out drawn cases, each told apart by its number. */
function forCases(name: string, count: number, check: (random: Random) => void): void {
  const random = createRandom(seedOf(name));
  for (let number = caseCount(count); number > 0; number -= 1) check(random);
}

function copy(bucket: Bucket): Bucket {
  return { ...bucket, holds: [...bucket.holds] };
}

/** The moment that follows another, in the same window or a later one of the same length. */
function later({ nowMs, startMs, endMs }: Moment, ms: number): Moment {
  const at = nowMs + ms;
  if (endMs === 0) return { nowMs: at, startMs, endMs };
  const lengthMs = endMs - startMs;
  const start = startMs + Math.max(0, Math.floor((at - startMs) / lengthMs)) * lengthMs;
  return { nowMs: at, startMs: start, endMs: start + lengthMs };
}

function advanced(bucket: Bucket, terms: BucketTerms, moment: Moment): Bucket {
  const at = copy(bucket);
  advance(at, terms, moment);
  return at;
}

describe('the arithmetic of buckets', () => {
  it('agrees with integers of any size in every vector, and leaves every bucket sound', () => {
    const counts = new Map<string, number>();
    const seed = seedOf('bucket vectors');
    for (const vector of bucketVectors(seed, caseCount(100_000))) {
      const terms = toTerms(vector.terms);
      const after = fromFlat(vector.after);
      expectSound(after, terms);
      for (const number of vector.state) if (!Number.isSafeInteger(number) || number < 0) expect.fail(show(vector));
      const exact = exactly(vector);
      if (exact.level !== BigInt(vector.state[7] ?? -1) || exact.held !== BigInt(vector.state[2] ?? -1)) {
        expect.fail(`${exact.level} used, ${exact.held} held: ${show(vector)}`);
      }
      if (exact.fits !== (vector.state[3] === 1)) expect.fail(`fits: ${exact.fits} in ${show(vector)}`);
      if (exact.remaining !== BigInt(vector.state[1] ?? -1)) expect.fail(`${exact.remaining} left in ${show(vector)}`);
      const kind = `${vector.operation[0]} ${vector.did} ${vector.setBack}`;
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
    }
    // Each operation is there as done and, but for a forced charge and a release, as not done.
    for (const code of [0, 1, 2, 3, 4, 5]) expect(counts.get(`${code} 1 0`), `operation ${code}`).toBeGreaterThan(0);
    for (const code of [0, 1, 2, 4, 6]) expect(counts.get(`${code} 0 0`), `operation ${code}`).toBeGreaterThan(0);
  });

  it('makes the same vectors for the same seed, which read back as they were written', () => {
    const [first, second] = [[...bucketVectors(7, 500)], [...bucketVectors(7, 500)]];
    expect(first).toEqual(second);
    for (const vector of first) {
      expect(toFlat(fromFlat(vector.before))).toEqual(vector.before);
      const [terms, [nowMs, startMs, endMs], bucket] = [toTerms(vector.terms), vector.moment, fromFlat(vector.before)];
      advance(bucket, terms, { nowMs, startMs, endMs });
      perform(bucket, terms, { nowMs, startMs, endMs }, vector.operation);
      if (vector.did === 1) expect(toFlat(bucket)).toEqual(vector.after);
    }
  });

  it('tells a wait that is exact: a millisecond less and the cost does not fit', () => {
    let [waits, endless] = [0, 0];
    forCases('exact waits', 60_000, (random) => {
      const terms = drawTerms(random);
      const moment = drawMoment(random, terms);
      const bucket = advanced(drawBucket(random, terms, moment), terms, moment);
      // A window whose clock was set back before its start tells too short a wait, and says so.
      if (terms.kind === 'window' && bucket.atMs !== moment.startMs) return;
      const cost = drawUnits(random, terms);
      const wait = waitMs(bucket, terms, moment, cost);
      const fitsAfter = (ms: number): boolean => {
        const moved = later(moment, ms);
        return fits(advanced(bucket, terms, moved), terms, cost);
      };
      if (wait === NEVER_MS) {
        if (fitsAfter(4e12)) expect.fail(`fits: ${JSON.stringify({ terms, moment, bucket, cost })}`);
        endless += 1;
        return;
      }
      // Moments past the range of integers cannot be tried.
      if (wait > 4e15) return;
      waits += 1;
      if (!fitsAfter(wait)) expect.fail(`not after ${wait}: ${JSON.stringify({ terms, moment, bucket, cost })}`);
      if (wait > 0 && fitsAfter(wait - 1)) {
        expect.fail(`sooner than ${wait}: ${JSON.stringify({ terms, moment, bucket, cost })}`);
      }
    });
    expect(waits).toBeGreaterThan(endless);
  });

  it('is the same whether a bucket is brought to a moment at once or in steps', () => {
    forCases('lazy and eager', 40_000, (random) => {
      const terms = drawTerms(random);
      const moment = drawMoment(random, terms);
      const lazy = advanced(drawBucket(random, terms, moment), terms, moment);
      const eager = copy(lazy);
      const stops = [
        ...lazy.holds.map(({ deadlineMs }) => deadlineMs - moment.nowMs),
        ...Array.from({ length: random.below(4) }, () => random.below(100_000)),
      ].sort((one, other) => one - other);
      for (const ms of stops) advance(eager, terms, later(moment, ms));
      advance(lazy, terms, later(moment, stops.at(-1) ?? 0));
      expect(eager).toEqual(lazy);
    });
  });

  it.each([
    ['any interval, holds that end late included', false],
    ['all its life, charges that are released late included', true],
  ])('admits no more than the burst, what is refilled and overruns in %s', (_name, releasesLate) => {
    fc.assert(
      fc.property(fc.constantFrom(RATE, WINDOW, CALLS), fc.array(STEP, { maxLength: 60 }), (terms, steps) => {
        const life = createLife(terms, releasesLate);
        for (const step of steps) life.carryOut(step);
        life.expectBound();
      }),
      { seed: seedOf('bound of admissions') | 0, numRuns: caseCount(3000) },
    );
  });

  it('changes neither level nor holds with the size, and drains by the last size that took', () => {
    forCases('sizes', 20_000, (random) => {
      const terms = drawTerms(random);
      const moment = drawMoment(random, terms);
      const bucket = advanced(drawBucket(random, terms, moment), terms, moment);
      const most = Math.floor(MOST / terms.periodMs);
      const burst = Math.min(most, 1 + random.below(1000));
      const resized = { ...terms, limit: Math.min(most, 1 + random.below(1000)), burst };
      const [as, are] = [copy(bucket), copy(bucket)];
      const next = later(moment, random.below(100_000));
      advance(as, terms, next);
      advance(are, resized, next);
      expect(are).toEqual(as);
      const before = are.drain;
      settle(are, resized, { id: 'none', amount: 0, startMs: are.atMs, refundable: true }, 1);
      expect(are.drain).toBe(before);
      admit(are, of(resized, 0), 'id', next.nowMs);
      expect(are.drain).toBe(resized.limit);
    });
  });

  it.each([
    ['rate', RATE, at(10_000)],
    ['window', WINDOW, inWindow(10)],
  ] as const)(
    'ends a hold of a %s once: a second settle, or one after the end, changes what was charged only',
    (_kind, terms, moment) => {
      const bucket = emptyBucket(terms, moment);
      const taken: Taken = { id: 'a', amount: 5, onExpiry: 'charge', startMs: moment.startMs, refundable: true };
      admit(bucket, of(terms, 5, { ttlMs: 100, onExpiry: 'charge' }), 'a', moment.nowMs);
      expect([bucket.level, bucket.held]).toEqual([0, 5]);
      const late = advanced(bucket, terms, later(moment, 100));
      expect([late.level, late.held]).toEqual([5 * terms.periodMs, 0]);
      settle(late, terms, taken, 7);
      expect(late.level).toBe(7 * terms.periodMs);
      settle(bucket, terms, taken, 7);
      expect([bucket.level, bucket.held, bucket.holds]).toEqual([7 * terms.periodMs, 0, []]);
      expect(renew(bucket, 'a', moment.nowMs + 1000)).toBe(false);
    },
  );

  it.each([
    [1, 1000, false],
    [500, 1000, false],
    [1000, 1000, false],
    [1001, 0, true],
    [3_600_000, 0, true],
  ])(
    'a clock that is set back by %i ms drains nothing twice, and goes on after %i ms',
    (backMs, standsMs, isSetBack) => {
      const bucket = emptyBucket(RATE, at(10_000_000));
      admit(bucket, of(RATE, 20), 'a', 10_000_000);
      const nowMs = 10_000_000 - backMs;
      expect(advance(bucket, RATE, at(nowMs))).toBe(isSetBack);
      expect(bucket.level).toBe(20_000);
      const stands = Math.min(standsMs, backMs);
      expect(advance(bucket, RATE, at(nowMs + stands))).toBe(false);
      expect(bucket.level).toBe(20_000);
      advance(bucket, RATE, at(nowMs + stands + 100));
      expect(bucket.level).toBe(19_000);
    },
  );

  it('tells an exact wait after a clock was set back a little', () => {
    const bucket = emptyBucket(RATE, at(10_000));
    admit(bucket, of(RATE, 20), 'a', 10_000);
    advance(bucket, RATE, at(9_500));
    expect(waitMs(bucket, RATE, at(9_500), 1)).toBe(600);
  });

  it('gives a window once when the clock goes back over its start, and goes on in the present one when further', () => {
    const bucket = emptyBucket(WINDOW, inWindow(10));
    admit(bucket, of(WINDOW, 20), 'a', 10_000);
    expect(advance(bucket, WINDOW, inWindow(9, 999))).toBe(false);
    expect([bucket.level, bucket.atMs]).toEqual([20, 10_000]);
    advance(bucket, WINDOW, inWindow(10, 1));
    expect(bucket.level).toBe(20);
    expect(advance(bucket, WINDOW, inWindow(5, 500))).toBe(true);
    expect([bucket.level, bucket.atMs]).toEqual([20, 5000]);
    advance(bucket, WINDOW, inWindow(6));
    expect(bucket.level).toBe(0);
  });

  it('settles a hold that a window kept when its clock was set back', () => {
    const bucket = emptyBucket(WINDOW, inWindow(10));
    admit(bucket, of(WINDOW, 20, { ttlMs: 60_000, onExpiry: 'charge' }), 'a', 10_000);
    advance(bucket, WINDOW, inWindow(5));
    settle(bucket, WINDOW, { id: 'a', amount: 20, onExpiry: 'charge', startMs: 10_000, refundable: true }, 3);
    expect([bucket.level, bucket.held]).toEqual([3, 0]);
  });

  it('stops at 2^53 − 1, and drains from there', () => {
    const bucket = emptyBucket(RATE, at(0));
    for (let times = 0; times < 3; times += 1) admit(bucket, of(RATE, MOST), 'a', 0);
    expect(bucket.level).toBe(MOST);
    expect(toState(bucket, RATE, at(0), 1)).toMatchObject({ remaining: 0, fits: false, level: MOST });
    advance(bucket, RATE, at(1));
    expect(bucket.level).toBe(MOST - 10);
    admit(bucket, of(RATE, -MOST), 'a', 1);
    expect(bucket.level).toBe(0);
  });

  it('never charges a concurrency limit, be it forced, settled or expired', () => {
    const bucket = emptyBucket(CALLS, at(0));
    admit(bucket, of(CALLS, 3), 'a', 0);
    admit(bucket, of(CALLS, 1, { ttlMs: 10, onExpiry: 'charge' }), 'b', 0);
    admit(bucket, of(CALLS, 1, { ttlMs: 20, onExpiry: 'charge' }), 'c', 0);
    expect(toState(bucket, CALLS, at(0), 2)).toMatchObject({
      level: 0,
      held: 2,
      remaining: 1,
      waitMs: 10,
      resetMs: 20,
    });
    advance(bucket, CALLS, at(10));
    settle(bucket, CALLS, { id: 'c', amount: 1, onExpiry: 'charge', startMs: 0, refundable: true }, 5);
    expect([bucket.level, bucket.held]).toEqual([0, 0]);
  });
});

function show(vector: BucketVector): string {
  return JSON.stringify(vector);
}
