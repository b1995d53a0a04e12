import type { Moment, Taken } from '../../src/quota/arithmetic.ts';
import type { Bucket, BucketTerms, Hold } from '../../src/quota/bucket.ts';
import type { Random } from './seed.ts';

/** Draws of buckets and of what they meet, mostly at the edges: full, empty, in debt, due now, set back. */

const MOST = Number.MAX_SAFE_INTEGER;

/** One of the reservations that a drawn bucket may hold for: written as the ids of the product are. */
export function toHoldId(number: number): string {
  return `0199e7a2b000-${number.toString(16).padStart(20, '0')}-00112233445566ff`;
}

export function drawTerms(random: Random): BucketTerms {
  const kind = random.pick(['rate', 'rate', 'window', 'concurrency'] as const);
  const periodMs = kind === 'rate' ? random.pick([1, 2, 1000, 60_000, 86_400_000, 31_622_400_000]) : 1;
  const most = Math.floor(MOST / periodMs);
  const burst = drawSize(random, most);
  const limit = kind === 'rate' && random.chance(0.5) ? drawSize(random, most) : burst;
  return { id: `${kind}:${periodMs}`, kind, limit, burst, periodMs, region: 'callers', scope: 'tenant' };
}

/** Like `random.below`, with bits in all places of a large number. */
export function drawBelow(random: Random, limit: number): number {
  return limit <= 2 ** 32 ? random.below(limit) : Math.min(limit - 1, random.below(limit) + random.below(2 ** 22));
}

/** From 1 to `most`. */
export function drawSize(random: Random, most: number): number {
  const size = random.pick([
    () => 1 + random.below(3),
    () => 1 + random.below(100),
    () => 1 + random.below(1_000_000),
    () => 1 + drawBelow(random, most),
    () => most - random.below(3),
  ])();
  return Math.min(most, Math.max(1, size));
}

/** A moment of this decade; of a window in the middle of it or at one of its ends. */
export function drawMoment(random: Random, { kind }: BucketTerms): Moment {
  const nowMs = 1_790_000_000_000 + random.below(100_000_000_000);
  if (kind !== 'window') return { nowMs, startMs: 0, endMs: 0 };
  const lengthMs = random.pick([1000, 60_000, 3_600_000, 86_400_000, 2_678_400_000]);
  const passedMs = random.pick([0, 1, lengthMs - 1, random.below(lengthMs)]);
  return { nowMs, startMs: nowMs - passedMs, endMs: nowMs - passedMs + lengthMs };
}

/** A bucket that was last written before the moment, now and then after it, and is full, nearly so, or in debt. */
export function drawBucket(random: Random, terms: BucketTerms, moment: Moment): Bucket {
  const { kind, limit, burst, periodMs } = terms;
  const capacity = burst * periodMs;
  const drain = random.chance(0.7) ? limit : drawSize(random, Math.floor(MOST / periodMs));
  const atMs = drawWritten(random, terms, moment, drain);
  const holds = drawHolds(random, terms, moment, atMs);
  const held = holds.reduce((sum, { amount }) => sum + amount, 0);
  const free = Math.max(0, capacity - held * periodMs);
  const level =
    kind === 'concurrency'
      ? 0
      : random.pick([
          () => 0,
          () => 1,
          () => free,
          () => Math.max(0, free - 1 - drawBelow(random, 3 * periodMs)),
          () => Math.min(MOST, free + 1 + drawBelow(random, 3 * periodMs)),
          () => drawBelow(random, free + 1),
          () => drawBelow(random, MOST),
          () => MOST - random.below(3),
        ])();
  return { level, atMs, drain, held, holds, version: random.pick([0, 1, random.below(1_000_000)]) };
}

function drawWritten(random: Random, { kind, periodMs, burst }: BucketTerms, moment: Moment, drain: number): number {
  const { nowMs, startMs, endMs } = moment;
  if (kind === 'window') {
    const lengthMs = endMs - startMs;
    return random.pick([startMs, startMs, startMs, startMs - lengthMs, endMs, endMs + 1, endMs + lengthMs]);
  }
  const fullMs = Math.ceil(Math.min(MOST, burst * periodMs) / drain);
  return Math.max(
    0,
    random.pick([
      nowMs,
      nowMs - 1,
      nowMs - random.below(Math.min(periodMs, 1e9) + 1),
      nowMs - Math.min(1e12, fullMs + random.below(3) - 1),
      nowMs - random.below(1_000_000_000),
      nowMs + random.pick([1, 999, 1000, 1001, 3_600_000]),
    ]),
  );
}

function drawHolds(random: Random, { burst, kind }: BucketTerms, { nowMs }: Moment, atMs: number): Hold[] {
  const count = random.pick([0, 0, 0, 1, 1, 2, 3, 5, 12]);
  const holds: Hold[] = [];
  let left = burst;
  for (let number = 1; number <= count && left >= 0; number += 1) {
    const amount =
      kind === 'concurrency' ? Math.min(1, left) : Math.min(left, random.pick([0, 1, drawBelow(random, left + 1)]));
    left -= amount;
    const sinceMs = kind === 'window' ? nowMs : Math.min(nowMs, atMs);
    const deadlineMs = random.pick([
      nowMs,
      nowMs + 1,
      nowMs - 1,
      nowMs + random.below(60_000),
      nowMs - random.below(Math.min(60_000, nowMs - sinceMs + 1)),
      nowMs + random.below(86_400_000),
    ]);
    const onExpiry = random.pick(['charge', 'release'] as const);
    holds.push({ id: toHoldId(number), amount, deadlineMs: Math.max(sinceMs, deadlineMs), onExpiry });
  }
  return holds.sort((one, other) => one.deadlineMs - other.deadlineMs);
}

/** Something that a reservation took: of a hold that is there, that has ended, or charged at once. */
export function drawTaken(random: Random, terms: BucketTerms, { atMs, holds }: Bucket): Taken {
  const startMs = terms.kind !== 'window' ? 0 : random.chance(0.8) ? atMs : atMs - 60_000;
  const refundable = random.chance(0.8);
  const hold = holds[random.below(holds.length + 1)];
  if (hold !== undefined) {
    const { id, amount, onExpiry } = hold;
    return { id, amount, onExpiry, startMs, refundable };
  }
  const amount = random.pick([0, 1, terms.burst, drawBelow(random, terms.burst + 1)]);
  const gone = { id: toHoldId(99), amount, startMs, refundable };
  return random.chance(0.5) ? gone : { ...gone, onExpiry: random.pick(['charge', 'release'] as const) };
}

/** Of a take, of a settle: nothing, all, one more than all, far too much. */
export function drawUnits(random: Random, { burst }: BucketTerms): number {
  return random.pick([
    0,
    1,
    1 + drawBelow(random, burst),
    1 + drawBelow(random, burst),
    burst,
    Math.min(MOST, burst + 1),
    MOST,
  ]);
}
