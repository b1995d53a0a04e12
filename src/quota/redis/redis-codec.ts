import { type Moment, toState } from '../arithmetic.ts';
import type { Bucket, BucketCharge, BucketState, BucketTerms, Hold, WindowSpan, Windows } from '../bucket.ts';
import type { Reservation } from '../bucket-store.ts';

/**
 * What goes to the scripts and comes back: numbers as the eight bytes of a double, low byte first, none as text. A charge
 * is kind, enforced, hold (0 none, 1 released on expiry, 2 charged, 3 charged and recorded as a charge), refundable, then
 * limit, burst, period, cost, time to live, and of a window the four ends of the last, this and the next one.
 */
export function chargeBytes({ windows }: BucketTerms): number {
  return windows === undefined ? PLAIN_BYTES : WINDOW_BYTES;
}

const PLAIN_BYTES = 44;
const WINDOW_BYTES = 76;
const KINDS = { rate: 0, window: 1, concurrency: 2 } as const;

/** Writes a charge at `at`, and says where it ends. `nowMs` is what the server's clock is believed to be. */
export function writeCharge(into: Buffer, at: number, charge: BucketCharge, nowMs: number): number {
  const { terms, cost, enforced, refundable, hold } = charge;
  into[at] = KINDS[terms.kind];
  into[at + 1] = enforced ? 1 : 0;
  into[at + 2] = hold === undefined ? 0 : holdSort(hold);
  into[at + 3] = refundable ? 1 : 0;
  into.writeDoubleLE(terms.limit, at + 4);
  into.writeDoubleLE(terms.burst, at + 12);
  into.writeDoubleLE(terms.periodMs, at + 20);
  into.writeDoubleLE(cost, at + 28);
  into.writeDoubleLE(hold?.ttlMs ?? 0, at + 36);
  if (terms.windows === undefined) return at + PLAIN_BYTES;
  boundsOf(terms.windows, nowMs).copy(into, at + 44);
  return at + WINDOW_BYTES;
}

function holdSort({ onExpiry, provisional }: NonNullable<BucketCharge['hold']>): number {
  if (provisional === true) return 3;
  return onExpiry === 'charge' ? 2 : 1;
}

/** From when until when what {@link writeCharge} writes stays the same. */
export function spanOfCharge({ terms: { windows } }: BucketCharge, nowMs: number): WindowSpan {
  return windows === undefined ? ALWAYS : spanOf(windows, nowMs);
}

const ALWAYS: WindowSpan = { startMs: -Infinity, endMs: Infinity };

interface Bounds {
  readonly from: number;
  readonly until: number;
  readonly bytes: Buffer;
}

/** Calendars are shared and cost much to ask. */
const known = new WeakMap<Windows, Bounds>();

function boundsOf(windows: Windows, nowMs: number): Buffer {
  const found = known.get(windows);
  if (found !== undefined && nowMs >= found.from && nowMs < found.until) return found.bytes;
  const { startMs, endMs } = windows.at(nowMs);
  const bytes = Buffer.alloc(32);
  bytes.writeDoubleLE(windows.at(startMs - 1).startMs, 0);
  bytes.writeDoubleLE(startMs, 8);
  bytes.writeDoubleLE(endMs, 16);
  bytes.writeDoubleLE(windows.at(endMs).endMs, 24);
  known.set(windows, { from: startMs, until: endMs, bytes });
  return bytes;
}

/** The size of what `told` of the script says of one bucket. */
export const STATE_BYTES = 57;

/** Bytes as numbers can be read from them fast. */
export function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length);
}

/**
 * What is told of a bucket, as the same arithmetic makes it from what the script found and wrote. Throws a `RangeError`
 * where that is cut short.
 */
export function readState(from: DataView, at: number, terms: BucketTerms, cost: number, nowMs: number): BucketState {
  const lastMs = from.getFloat64(at + 40, true);
  const wait = from.getFloat64(at + 48, true);
  const fitted = from.getUint8(at + 56) === 1;
  const bucket: Bucket = {
    level: from.getFloat64(at, true),
    atMs: from.getFloat64(at + 8, true),
    drain: from.getFloat64(at + 16, true),
    held: from.getFloat64(at + 24, true),
    version: from.getFloat64(at + 32, true),
    holds: lastMs === 0 ? NO_HOLDS : [{ id: '', amount: 0, deadlineMs: lastMs, onExpiry: 'release' }],
  };
  const moment = momentOf(terms, nowMs);
  if (fitted || wait === -1) return toState(bucket, terms, moment, cost, fitted);
  return { ...toState(bucket, terms, moment, cost, true), fits: false, waitMs: wait };
}

/** Never written to: an advanced bucket is only read. */
const NO_HOLDS: Hold[] = [];

function momentOf({ windows }: BucketTerms, nowMs: number): Moment {
  if (windows === undefined) return { nowMs, startMs: 0, endMs: 0 };
  const { startMs, endMs } = spanOf(windows, nowMs);
  return { nowMs, startMs, endMs };
}

function spanOf(windows: Windows, nowMs: number): WindowSpan {
  const found = known.get(windows);
  if (found === undefined || nowMs < found.from || nowMs >= found.until) return windows.at(nowMs);
  return { startMs: found.from, endMs: found.until };
}

/** The text behind `look`: state, plan, end, note, charges, and what it was settled with. Throws for any other. */
export function readReservation(from: Buffer): Reservation {
  const state = STATES[from.readUInt8(0)];
  if (state === undefined) throw new RangeError('the record of a reservation has no such state');
  const plan = from.readUInt8(1);
  const expiresMs = from.readDoubleLE(2);
  const noteEnd = 12 + from.readUInt16LE(10);
  const note = from.toString('utf8', 12, noteEnd);
  const amounts: number[] = [];
  let at = noteEnd + 1;
  for (let left = from.readUInt8(noteEnd); left > 0; left -= 1) {
    if (from.readUInt8(at + 1) > 0) amounts.push(from.readDoubleLE(at + 28));
    at += 54 + from.readUInt16LE(at + 52);
  }
  if (state !== 'settled') return { state, plan, note, amounts, expiresMs };
  const used = Array.from({ length: (from.length - at) / 8 }, (_, index) => from.readDoubleLE(at + index * 8));
  return { state, plan, note, amounts, expiresMs, used };
}

const STATES = ['open', 'settled', 'released'] as const;

/** Doubles in a row. */
export function toDoubles(...numbers: readonly number[]): Buffer {
  const bytes = Buffer.alloc(numbers.length * 8);
  for (const [index, number] of numbers.entries()) bytes.writeDoubleLE(number, index * 8);
  return bytes;
}
