import fc from 'fast-check';
import { expect } from 'vitest';
import {
  admit,
  advance,
  emptyBucket,
  fits,
  type Moment,
  release,
  renew,
  settle,
  type Taken,
} from '../../../src/quota/arithmetic.ts';
import type { Bucket, BucketCharge, BucketTerms } from '../../../src/quota/bucket.ts';
import { toHoldId } from '../../support/bucket-draws.ts';

/** How a bucket is counted, without what only says when. */
export function expectSound(bucket: Bucket, terms: BucketTerms): void {
  const { level, held, holds, version, drain } = bucket;
  for (const number of [level, held, version, drain]) {
    if (!Number.isSafeInteger(number) || number < 0) expect.fail(`${number} in ${JSON.stringify(bucket)}`);
  }
  let sum = 0;
  let lastMs = 0;
  for (const hold of holds) {
    sum += hold.amount;
    if (hold.deadlineMs < lastMs) expect.fail('holds are out of order');
    lastMs = hold.deadlineMs;
  }
  if (sum !== held) expect.fail(`${held} held, ${sum} in holds`);
  if (terms.kind === 'concurrency' && level !== 0) expect.fail('a concurrency limit has a level');
}

export const RATE: BucketTerms = {
  id: 'r',
  kind: 'rate',
  limit: 10,
  burst: 20,
  periodMs: 1000,
  region: 'callers',
  scope: 'tenant',
};
export const WINDOW: BucketTerms = { ...RATE, kind: 'window', limit: 20, periodMs: 1 };
export const CALLS: BucketTerms = { ...RATE, kind: 'concurrency', limit: 3, burst: 3, periodMs: 1 };

/** A moment where there are no windows. */
export const at = (nowMs: number): Moment => ({ nowMs, startMs: 0, endMs: 0 });
/** A moment in a window of a second, counted from the epoch. */
export const inWindow = (number: number, passedMs = 0): Moment => ({
  nowMs: number * 1000 + passedMs,
  startMs: number * 1000,
  endMs: number * 1000 + 1000,
});
/** An enforced charge. */
export const of = (terms: BucketTerms, cost: number, hold?: BucketCharge['hold']): BucketCharge =>
  hold === undefined
    ? { terms, cost, enforced: true, refundable: true }
    : { terms, cost, enforced: true, refundable: true, hold };

/** What one moment in the life of a bucket brings. */
export const STEP = fc.record({
  passMs: fc.constantFrom(0, 1, 3, 10, 33, 100, 1000),
  cost: fc.integer({ min: 0, max: 25 }),
  ttlMs: fc.option(fc.constantFrom(5, 100, 2000)),
  onExpiry: fc.constantFrom('charge' as const, 'release' as const),
  of: fc.nat(50),
  end: fc.constantFrom('none', 'none', 'settle', 'settle', 'release', 'renew'),
  used: fc.integer({ min: 0, max: 25 }),
});
type Step = typeof STEP extends fc.Arbitrary<infer T> ? T : never;

interface LifeTake {
  readonly taken: Taken;
  readonly takenMs: number;
  /** What it was, or will be, charged in the end, but for overruns. */
  net: number;
  isOver: boolean;
}

/** A bucket and all that was taken from it; `releasesLate`: charges too, of which something may have drained since. */
export function createLife(terms: BucketTerms, releasesLate: boolean) {
  let nowMs = 5000;
  const moment = (): Moment => (terms.kind === 'window' ? inWindow(Math.floor(nowMs / 1000), nowMs % 1000) : at(nowMs));
  const bucket = emptyBucket(terms, moment());
  const takes: LifeTake[] = [];
  let overruns = 0;

  const take = ({ cost, ttlMs, onExpiry }: Step): void => {
    const isConcurrency = terms.kind === 'concurrency';
    const hold = ttlMs === null && !isConcurrency ? undefined : { ttlMs: ttlMs ?? 50, onExpiry };
    const units = isConcurrency ? 1 : cost;
    if (!fits(bucket, terms, units)) return;
    const id = toHoldId(takes.length);
    admit(bucket, of(terms, units, hold), id, nowMs);
    const taken = { id, amount: units, startMs: moment().startMs, refundable: true, ...(hold && { onExpiry }) };
    takes.push({ taken, takenMs: nowMs, net: units, isOver: false });
    expect(bucket.level + bucket.held * terms.periodMs).toBeLessThanOrEqual(terms.burst * terms.periodMs);
  };
  const end = (take: LifeTake, how: 'settle' | 'release', used: number): void => {
    const { taken } = take;
    const isLive = bucket.holds.some(({ id }) => id === taken.id);
    if (how === 'settle' && taken.onExpiry === undefined) return;
    if (taken.onExpiry === undefined && terms.kind === 'rate' && !releasesLate) return;
    const units = how === 'release' ? 0 : used;
    const { version } = bucket;
    if (how === 'release') release(bucket, terms, taken);
    else settle(bucket, terms, taken, units);
    if (bucket.version === version) return;
    take.isOver = true;
    const expired = !isLive && taken.onExpiry === 'release';
    overruns += Math.max(0, expired ? units : units - taken.amount);
    take.net = expired ? 0 : Math.min(units, taken.amount);
  };
  const spentBetween = (fromMs: number, untilMs: number): number => {
    let spent = 0;
    for (const { taken, takenMs, net, isOver } of takes) {
      // What nobody ended counts as charged only if it is, or is to be, charged.
      const counts = isOver || taken.onExpiry !== 'release';
      if (counts && takenMs >= fromMs && takenMs <= untilMs) spent += net;
    }
    return spent;
  };

  return {
    carryOut: (step: Step): void => {
      nowMs += step.passMs;
      advance(bucket, terms, moment());
      take(step);
      const one = takes[step.of % Math.max(1, takes.length)];
      if (one !== undefined && !one.isOver) {
        if (step.end === 'renew') renew(bucket, one.taken.id, nowMs + 50);
        else if (step.end !== 'none') end(one, step.end as 'settle' | 'release', step.used); // The two that are left.
      }
      expectSound(bucket, terms);
    },
    expectBound: (): void => {
      if (terms.kind === 'concurrency') return;
      for (const { takenMs: fromMs } of releasesLate ? takes.slice(0, 1) : takes) {
        for (const { takenMs: untilMs } of takes) {
          if (terms.kind === 'window' && Math.floor(fromMs / 1000) !== Math.floor(untilMs / 1000)) continue;
          const refill: number = terms.kind === 'rate' ? Math.max(0, untilMs - fromMs) * terms.limit : 0;
          const most: number = (terms.burst + overruns) * terms.periodMs + refill;
          const spent = spentBetween(fromMs, untilMs) * terms.periodMs;
          if (spent > most) expect.fail(`${spent} spent from ${fromMs} to ${untilMs}, not ${most}`);
        }
      }
    },
  };
}
