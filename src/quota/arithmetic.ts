import type { Bucket, BucketCharge, BucketState, BucketTerms, Hold } from './bucket.ts';

/**
 * All arithmetic of buckets, pure, in integers from 0 to 2^53 − 1; `redis-script` repeats it line by line. A rate is
 * GCRA's arithmetic kept as level and time: costs are settled later and limits change, which one timestamp cannot
 * follow. What is held does not drain.
 */

/** The moment of a take: of rates and concurrency limits on a clock that does not jump, of windows by the calendar. */
export interface Moment {
  readonly nowMs: number;
  /** The window that holds `nowMs`; 0 for what is no window. */
  readonly startMs: number;
  readonly endMs: number;
}

/** More than 2^53 − 1 milliseconds: such a wait does not end. */
export const NEVER_MS: number = Number.MAX_SAFE_INTEGER;
const MOST = Number.MAX_SAFE_INTEGER;
/** A clock that is further behind than this was set back: time goes on from there, and nothing drains for the jump. */
const SET_BACK_MS = 1000;

/** A bucket from which nothing was taken yet. */
export function emptyBucket(terms: BucketTerms, { nowMs, startMs }: Moment): Bucket {
  return {
    level: 0,
    atMs: terms.kind === 'window' ? startMs : nowMs,
    drain: terms.limit,
    held: 0,
    holds: [],
    version: 0,
  };
}

/**
 * Brings a bucket to a moment: drains it, ends what expired, and empties it when another window began. `true`: the clock
 * was set back, and the bucket must be written whatever comes of the rest, or a full one stands still until its old time.
 */
export function advance(bucket: Bucket, terms: BucketTerms, moment: Moment): boolean {
  const { nowMs, startMs } = moment;
  if (terms.kind === 'window' && startMs > bucket.atMs) {
    bucket.level = 0;
    bucket.atMs = startMs;
    bucket.held = 0;
    if (bucket.holds.length > 0) bucket.holds = [];
    return false;
  }
  const setBack = isSetBack(bucket, terms, moment);
  if (setBack) bucket.atMs = terms.kind === 'window' ? startMs : nowMs;
  let first = bucket.holds[0];
  while (first !== undefined && first.deadlineMs <= nowMs) {
    if (terms.kind === 'rate') drainTo(bucket, first.deadlineMs);
    bucket.holds.shift();
    bucket.held -= first.amount;
    if (first.onExpiry === 'charge') raise(bucket, terms, first.amount);
    first = bucket.holds[0];
  }
  if (terms.kind === 'rate') drainTo(bucket, nowMs);
  return setBack;
}

function isSetBack({ atMs }: Bucket, { kind }: BucketTerms, { nowMs, endMs }: Moment): boolean {
  switch (kind) {
    case 'rate':
      return atMs - nowMs > SET_BACK_MS;
    case 'window':
      // The next window stands, whichever clock began it: else it would be given twice.
      return atMs > endMs;
    case 'concurrency':
      return false;
  }
}

function drainTo(bucket: Bucket, nowMs: number): void {
  const { atMs, level, drain } = bucket;
  if (nowMs <= atMs) return;
  bucket.level = drained(level, nowMs - atMs, drain);
  bucket.atMs = nowMs;
}

/** Division first: elapsed × drain could leave the integers where everything drained long ago. */
function drained(level: number, elapsedMs: number, drain: number): number {
  return elapsedMs >= Math.ceil(level / drain) ? 0 : level - elapsedMs * drain;
}

function raise(bucket: Bucket, { kind, periodMs }: BucketTerms, units: number): void {
  if (kind === 'concurrency') return;
  bucket.level = Math.max(0, Math.min(MOST, bucket.level + units * periodMs));
}

/** Whether a cost fits into an advanced bucket. */
export function fits(bucket: Bucket, { burst, periodMs }: BucketTerms, cost: number): boolean {
  return cost <= burst && bucket.level + (bucket.held + cost) * periodMs <= burst * periodMs;
}

/** Takes a cost that fits, as charge or as hold; a forced one is taken whether it fits or not. */
export function admit(bucket: Bucket, charge: BucketCharge, id: string, nowMs: number): void {
  const { terms, cost, hold } = charge;
  if (hold === undefined) {
    raise(bucket, terms, cost);
  } else {
    insert(bucket, { id, amount: cost, deadlineMs: nowMs + hold.ttlMs, onExpiry: hold.onExpiry });
    bucket.held += cost;
  }
  bucket.drain = terms.limit;
  bucket.version += 1;
}

/** Behind all that expire no later. */
function insert({ holds }: Bucket, hold: Hold): void {
  let at = holds.length;
  while (at > 0 && (holds[at - 1]?.deadlineMs ?? 0) > hold.deadlineMs) at -= 1;
  holds.splice(at, 0, hold);
}

/** What one reservation took from one bucket. */
export interface Taken {
  readonly id: string;
  readonly amount: number;
  /** Absent: it was charged at once. */
  readonly onExpiry?: 'charge' | 'release';
  /** Of a window: the start of the one that it was taken from. */
  readonly startMs: number;
  readonly refundable: boolean;
}

/**
 * Replaces what was taken by what was used, on an advanced bucket. A hold that expired became the charge already, or
 * nothing; a window that is over is not touched. `drain` stays: these terms may be older than the last that took.
 * A rate gives nothing back of a hold that expired into the charge, since what drained of it meanwhile would be given
 * twice. A charge that is released is given back whole: so much as drained between take and release, which is before
 * anybody had an answer, can be had twice.
 */
export function settle(bucket: Bucket, terms: BucketTerms, taken: Taken, used: number): void {
  const live = removeHold(bucket, taken.id);
  if (!live && terms.kind === 'window' && taken.startMs !== bucket.atMs) return;
  const charged = live || taken.onExpiry === 'release' ? 0 : taken.amount;
  const more = used - charged;
  const expired = !live && taken.onExpiry === 'charge';
  raise(bucket, terms, expired && terms.kind === 'rate' ? Math.max(0, more) : more);
  bucket.version += 1;
}

/** Gives back what was taken, on an advanced bucket; what is charged `always` stays, a hold of it as a charge. */
export function release(bucket: Bucket, terms: BucketTerms, taken: Taken): void {
  settle(bucket, terms, taken, taken.refundable ? 0 : taken.amount);
}

/** Puts off the end of a hold; `false` where it has ended. */
export function renew(bucket: Bucket, id: string, deadlineMs: number): boolean {
  const hold = bucket.holds.find((candidate) => candidate.id === id);
  if (hold === undefined) return false;
  removeHold(bucket, id);
  insert(bucket, { ...hold, deadlineMs });
  bucket.held += hold.amount;
  bucket.version += 1;
  return true;
}

function removeHold(bucket: Bucket, id: string): boolean {
  const at = bucket.holds.findIndex((hold) => hold.id === id);
  if (at === -1) return false;
  const [hold] = bucket.holds.splice(at, 1);
  bucket.held -= hold?.amount ?? 0;
  return true;
}

/** What is told of an advanced bucket; `cost` is what was, or would be, taken; `fitted` where it is taken already. */
export function toState(
  bucket: Bucket,
  terms: BucketTerms,
  moment: Moment,
  cost: number,
  fitted = fits(bucket, terms, cost),
): BucketState {
  const { level, held, version } = bucket;
  const { limit, burst, periodMs } = terms;
  const free = burst * periodMs - level - held * periodMs;
  return {
    limit,
    remaining: free <= 0 ? 0 : Math.floor(free / periodMs),
    held,
    fits: fitted,
    waitMs: fitted ? 0 : waitMs(bucket, terms, moment, cost),
    resetMs: resetMs(bucket, terms, moment),
    version,
    level,
  };
}

/**
 * How long until a cost fits into an advanced bucket that nobody else touches: one millisecond less and it does not.
 * Of a window before which its clock was set back it can be too short.
 */
export function waitMs(bucket: Bucket, terms: BucketTerms, { nowMs, endMs }: Moment, cost: number): number {
  const { kind, burst, periodMs } = terms;
  if (cost > burst) return NEVER_MS;
  let { level, held } = bucket;
  // Both from now on; a clock that was set back a little drains nothing until it is where it was.
  let passedMs = 0;
  let drainedMs = kind === 'rate' ? Math.max(0, bucket.atMs - nowMs) : 0;
  for (let next = 0; ; next += 1) {
    const hold = bucket.holds[next];
    const room = (burst - held - cost) * periodMs;
    let fitsMs = NEVER_MS;
    if (level <= room) fitsMs = passedMs;
    else if (kind === 'rate' && room >= 0) fitsMs = drainedMs + Math.ceil((level - room) / bucket.drain);
    if (hold === undefined || fitsMs <= hold.deadlineMs - nowMs) {
      // Whatever was used, the next window begins without it.
      return Math.min(NEVER_MS, fitsMs, kind === 'window' ? Math.max(0, endMs - nowMs) : NEVER_MS);
    }
    passedMs = hold.deadlineMs - nowMs;
    if (kind === 'rate' && passedMs > drainedMs) {
      level = drained(level, passedMs - drainedMs, bucket.drain);
      drainedMs = passedMs;
    }
    held -= hold.amount;
    if (hold.onExpiry === 'charge' && kind !== 'concurrency') level = Math.min(MOST, level + hold.amount * periodMs);
  }
}

function resetMs({ level, held, holds, drain }: Bucket, { kind, periodMs }: BucketTerms, moment: Moment): number {
  if (level === 0 && held === 0) return 0;
  switch (kind) {
    case 'rate':
      return Math.ceil(Math.min(MOST, level + held * periodMs) / drain);
    case 'window':
      return Math.max(0, moment.endMs - moment.nowMs);
    case 'concurrency':
      return Math.max(0, (holds.at(-1)?.deadlineMs ?? moment.nowMs) - moment.nowMs);
  }
}
