import { advance, type Moment } from '../arithmetic.ts';
import type { Bucket, BucketTerms } from '../bucket.ts';
import type { Digest, Place } from './bucket-digest.ts';
import { EVERY, type MemoryHolds, scratchBucket } from './memory-holds.ts';
import {
  AT,
  BUCKET_WORDS,
  DRAIN_OR_END,
  HEAD_AND_KIND,
  HELD,
  LEVEL,
  type MemoryTable,
  OVERFLOWS,
  PERIOD,
  VERSION,
  WAYS,
} from './memory-table.ts';

/** Buckets in a table; every call under the lock of the place. */
export interface MemoryBuckets {
  /** The first word of a bucket that is there; 0 where there is none. */
  find(place: Place): number;
  findOverflow(place: Place, family: Digest): number;
  /** A free or drained one that may become the bucket of a place; 0 where there is none. Nothing is written. */
  findFree(at: number, ways: number, now: Now, chosen: (bucket: number) => boolean): number;
  isIdle(bucket: number, now: Now): boolean;
  /** Makes a free one the bucket of a digest, empty. */
  found(bucket: number, digest: Digest, terms: BucketTerms, into: Bucket): void;
  /** Reads and advances; answers how many holds have ended since the last write. */
  read(bucket: number, terms: BucketTerms, moment: Moment, into: Bucket): number;
  write(bucket: number, terms: BucketTerms, from: Bucket, ended: number, moment: Moment): void;
  /** The first half of {@link write}: the level, and nothing of the holds. */
  writeLevel(bucket: number, terms: BucketTerms, from: Bucket, moment: Moment): void;
  /** Whether the clock of the bucket that was read last was set back. */
  wasSetBack(): boolean;
  drainOf(bucket: number): number;
  search(at: number, ways: number, digest: Digest): number;
  digestOf(bucket: number): Digest;
  setHeld(bucket: number, held: number): void;
  windowOf(bucket: number): StoredWindow | undefined;
}

export interface StoredWindow {
  readonly startMs: number;
  readonly endMs: number;
  readonly level: number;
}

/** Both clocks, in whole milliseconds. */
export interface Now {
  readonly steadyMs: number;
  readonly epochMs: number;
}

const KINDS = ['', 'rate', 'window', 'concurrency'] as const;

export function createMemoryBuckets(table: MemoryTable, holds: MemoryHolds): MemoryBuckets {
  const f64 = new Float64Array(table.buffer);
  const i32 = new Int32Array(table.buffer);
  const idle = scratchBucket();
  let setBack = false;

  const kindAt = (bucket: number): number => (bucket + HEAD_AND_KIND) * 2 + 1;

  function isBucketOf(bucket: number, { h0, h1, h2, h3 }: Digest): boolean {
    const at = bucket * 2;
    return (
      i32[at] === h0 && i32[at + 1] === h1 && i32[at + 2] === h2 && i32[at + 3] === h3 && i32[kindAt(bucket)] !== 0
    );
  }

  function search(at: number, ways: number, digest: Digest): number {
    for (let way = 0, bucket = at; way < ways; way += 1, bucket += BUCKET_WORDS) {
      if (isBucketOf(bucket, digest)) return bucket;
    }
    return 0;
  }

  function read(bucket: number, terms: BucketTerms, moment: Moment, into: Bucket): number {
    into.level = f64[bucket + LEVEL] ?? 0;
    into.atMs = f64[bucket + AT] ?? 0;
    into.drain = terms.kind === 'rate' ? (f64[bucket + DRAIN_OR_END] ?? 1) : terms.limit;
    into.held = f64[bucket + HELD] ?? 0;
    into.version = f64[bucket + VERSION] ?? 0;
    if (into.holds.length > 0) into.holds.length = 0;
    let ended = 0;
    if (i32[(bucket + HEAD_AND_KIND) * 2] !== 0) {
      const over = terms.kind === 'window' && moment.startMs > into.atMs;
      ended = over ? EVERY : holds.ended(bucket, moment.nowMs);
      if (!over && ended > 0) holds.read(bucket, 0, ended, into.holds);
    }
    setBack = advance(into, terms, moment);
    return ended;
  }

  function isIdle(bucket: number, now: Now): boolean {
    const kind = KINDS[i32[kindAt(bucket)] ?? 0] ?? '';
    if (kind === '') return true;
    const endMs = f64[bucket + DRAIN_OR_END] ?? 0;
    if (kind === 'window' && now.epochMs >= endMs) return true;
    const hasHolds = i32[(bucket + HEAD_AND_KIND) * 2] !== 0;
    if (!hasHolds && kind !== 'rate') return f64[bucket + LEVEL] === 0;
    const terms: BucketTerms = {
      id: '',
      kind,
      limit: kind === 'rate' ? (f64[bucket + DRAIN_OR_END] ?? 1) : 1,
      burst: 1,
      periodMs: f64[bucket + PERIOD] ?? 1,
      region: 'callers',
      scope: 'tenant',
    };
    const nowMs = kind === 'window' ? now.epochMs : now.steadyMs;
    read(bucket, terms, { nowMs, startMs: 0, endMs }, idle);
    return idle.level === 0 && idle.held === 0;
  }

  // INVARIANT: a writer may die between any two stores, here and in `write`, and what is left then grants no more than
  // what was there: time before what drains with it, charges before the holds that became them, holds before their sum.
  function writeLevel(bucket: number, { kind }: BucketTerms, from: Bucket, { startMs, endMs }: Moment): void {
    f64[bucket + AT] = from.atMs;
    if (kind === 'rate') f64[bucket + DRAIN_OR_END] = from.drain;
    else if (kind === 'window' && from.atMs === startMs) f64[bucket + DRAIN_OR_END] = endMs;
    f64[bucket + LEVEL] = from.level;
  }

  return {
    find: (place) => {
      const guess = place.bucket;
      if (guess !== 0 && isBucketOf(guess, place)) return guess;
      const bucket = search(place.set, WAYS, place);
      place.bucket = bucket;
      return bucket;
    },
    findOverflow: (place, family) => search(place.overflow, OVERFLOWS, family),
    findFree: (at, ways, now, chosen) => {
      for (let way = 0, bucket = at; way < ways; way += 1, bucket += BUCKET_WORDS) {
        if (i32[kindAt(bucket)] === 0 && !chosen(bucket)) return bucket;
      }
      for (let way = 0, bucket = at; way < ways; way += 1, bucket += BUCKET_WORDS) {
        if (isIdle(bucket, now) && !chosen(bucket)) return bucket;
      }
      return 0;
    },
    isIdle,
    found: (bucket, { h0, h1, h2, h3 }, { kind, periodMs }, into) => {
      // INVARIANT: no kind, no bucket; so nobody meets one whose digest is half written.
      i32[kindAt(bucket)] = 0;
      holds.unlinkFirst(bucket, EVERY);
      f64[bucket + LEVEL] = 0;
      f64[bucket + HELD] = 0;
      f64[bucket + VERSION] = 0;
      f64[bucket + AT] = into.atMs;
      f64[bucket + DRAIN_OR_END] = into.drain;
      f64[bucket + PERIOD] = periodMs;
      const at = bucket * 2;
      i32[at] = h0;
      i32[at + 1] = h1;
      i32[at + 2] = h2;
      i32[at + 3] = h3;
      i32[kindAt(bucket)] = KINDS.indexOf(kind);
    },
    read,
    write: (bucket, terms, from, ended, moment) => {
      writeLevel(bucket, terms, from, moment);
      if (ended > 0) holds.unlinkFirst(bucket, ended);
      f64[bucket + HELD] = from.held;
      f64[bucket + VERSION] = from.version;
    },
    writeLevel,
    wasSetBack: () => setBack,
    drainOf: (bucket) => f64[bucket + DRAIN_OR_END] ?? 1,
    search,
    digestOf: (bucket) => {
      const at = bucket * 2;
      return { h0: i32[at] ?? 0, h1: i32[at + 1] ?? 0, h2: i32[at + 2] ?? 0, h3: i32[at + 3] ?? 0 };
    },
    setHeld: (bucket, held) => {
      if (f64[bucket + HELD] !== held) f64[bucket + HELD] = held;
    },
    windowOf: (bucket) => {
      if (KINDS[i32[kindAt(bucket)] ?? 0] !== 'window') return undefined;
      return {
        startMs: f64[bucket + AT] ?? 0,
        endMs: f64[bucket + DRAIN_OR_END] ?? 0,
        level: f64[bucket + LEVEL] ?? 0,
      };
    },
  };
}
