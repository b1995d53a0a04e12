import { admit, fits, type Moment, release, settle, type Taken, toState } from '../arithmetic.ts';
import type { Bucket, BucketCharge, BucketState, BucketTerms, WindowSpan } from '../bucket.ts';
import { StoreFault } from '../bucket-store.ts';
import type { BucketDigests, Digest, Place } from './bucket-digest.ts';
import type { MemoryBuckets, Now } from './memory-buckets.ts';
import { EVERY, type MemoryHolds, scratchBucket } from './memory-holds.ts';
import { OVERFLOWS, WAYS } from './memory-table.ts';

/** One bucket of a step, read out of the table and advanced. Used again by the next step. */
export interface Line {
  terms: BucketTerms;
  cost: number;
  /** 0: there is no room for it. */
  bucket: number;
  /** Whether it is there only once it is written. */
  fresh: boolean;
  /** Whether it is one that newcomers share. */
  shared: boolean;
  digest: Digest;
  readonly moment: { -readonly [K in keyof Moment]: Moment[K] };
  readonly scratch: Bucket;
  ended: number;
  fits: boolean;
  /** A claimed hold that is not linked yet. */
  node: number;
  /** Whether it was of a window that is over, and with it all its holds. */
  windowIsOver: boolean;
  /** Whether its clock was set back: such a bucket is written whatever comes of the step. */
  setBack: boolean;
}

export interface MemoryLines {
  /** Reads the bucket of a charge as line `at` of a step; lines before it count as chosen. */
  read(at: number, terms: BucketTerms, cost: number, place: Place, now: Now): Line;
  /** Reads a bucket that is known to be shared or not; `bucket` 0 where it is gone. Never a fresh one. */
  readKnown(at: number, terms: BucketTerms, place: Place, shared: boolean, now: Now): Line;
  /** Takes the line's cost, and writes. */
  admit(line: Line, charge: BucketCharge): void;
  /** Gives back what a plain charge took, and writes. */
  giveBack(line: Line, amount: number, startMs: number): void;
  /** Reads a bucket that was found by what a reservation knows of it. */
  readStored(at: number, terms: BucketTerms, held: Digest & WindowSpan, bucket: number, now: Now): Line;
  settle(line: Line, taken: Taken, used: number): void;
  writeLevel(line: Line): void;
  /** Writes, and ends one hold. */
  write(line: Line, node: number): void;
  /** Makes a fresh bucket for a line that has none; `false` where there is no room. */
  makeRoom(line: Line, ways: number, now: Now): boolean;
  state(line: Line, fitted: boolean): BucketState;
}

export interface MemoryLinesOptions {
  readonly buckets: MemoryBuckets;
  readonly holds: MemoryHolds;
  readonly digests: BucketDigests;
}

export function createMemoryLines({ buckets, holds, digests }: MemoryLinesOptions): MemoryLines {
  const lines: Line[] = [];
  let chosenBefore = 0;
  const isChosen = (bucket: number): boolean => {
    for (let at = 0; at < chosenBefore; at += 1) if (lines[at]?.bucket === bucket) return true;
    return false;
  };

  function isChosenDigest({ digest, bucket }: Line): boolean {
    for (let at = 0; at < chosenBefore; at += 1) {
      const other = lines[at];
      if (other === undefined) continue;
      const { h0, h1, h2, h3 } = other.digest;
      const same = h0 === digest.h0 && h1 === digest.h1 && h2 === digest.h2 && h3 === digest.h3;
      if (same || (bucket !== 0 && other.bucket === bucket)) return true;
    }
    return false;
  }

  /** 0 for a drained bucket that a line before was given the room of: it is as good as gone. */
  function unlessGiven(bucket: number): number {
    for (let at = 0; at < chosenBefore; at += 1) {
      const other = lines[at];
      if (other?.bucket === bucket && other.fresh) return 0;
    }
    return bucket;
  }

  function lineAt(at: number): Line {
    for (let next = lines.length; next <= at; next += 1) lines.push(newLine());
    const line = lines[at];
    if (line === undefined) throw new RangeError(`there is no line ${at}`);
    return line;
  }

  function setMoment({ moment }: Line, terms: BucketTerms, now: Now): void {
    moment.nowMs = now.steadyMs;
    moment.startMs = 0;
    moment.endMs = 0;
    if (terms.kind !== 'window') return;
    moment.nowMs = now.epochMs;
    const span = terms.windows?.at(now.epochMs);
    if (span === undefined) return;
    moment.startMs = span.startMs;
    moment.endMs = span.endMs;
  }

  /**
   * INVARIANT: a key that shared a bucket gets one of its own only when that one is drained, and one of its own is
   * given to another only when drained: so whoever has two, one after the other, never has more than his limit.
   */
  function choose(line: Line, place: Place, terms: BucketTerms, now: Now): void {
    line.fresh = true;
    const family = digests.familyOf(terms);
    const shared = family === undefined ? 0 : unlessGiven(buckets.findOverflow(place, family));
    if (shared === 0 || buckets.isIdle(shared, now)) {
      line.bucket = buckets.findFree(place.set, WAYS, now, isChosen);
      if (line.bucket !== 0 || family === undefined) return;
    }
    line.shared = true;
    line.digest = family ?? place;
    line.fresh = shared === 0;
    line.bucket = shared === 0 ? buckets.findFree(place.overflow, OVERFLOWS, now, isChosen) : shared;
  }

  function load(line: Line): void {
    const { scratch, terms, moment, bucket } = line;
    line.windowIsOver = false;
    line.setBack = false;
    if (line.fresh || bucket === 0) {
      scratch.level = 0;
      scratch.atMs = terms.kind === 'window' ? moment.startMs : moment.nowMs;
      scratch.drain = terms.limit;
      scratch.held = 0;
      scratch.version = 0;
      if (scratch.holds.length > 0) scratch.holds.length = 0;
      line.ended = 0;
      return;
    }
    line.ended = buckets.read(bucket, terms, moment, scratch);
    line.setBack = buckets.wasSetBack();
    line.windowIsOver = line.ended === EVERY;
    if (terms.kind === 'concurrency' && scratch.held > 0) {
      const last = holds.last(bucket);
      if (last !== undefined) scratch.holds.push(last);
    }
  }

  function write(line: Line, drainBefore: number, used: boolean): void {
    const { bucket, terms, scratch, ended, moment } = line;
    // Those who share a bucket may have limits of different size: it drains by the smallest of them.
    if (line.shared && used) scratch.drain = Math.min(drainBefore, scratch.drain);
    if (line.fresh) buckets.found(bucket, line.digest, terms, scratch);
    buckets.write(bucket, terms, scratch, ended, moment);
  }

  return {
    read: (at, terms, cost, place, now) => {
      const line = lineAt(at);
      line.terms = terms;
      line.cost = cost;
      line.shared = false;
      line.fresh = false;
      line.digest = place;
      line.node = 0;
      if (terms.kind === 'window' && terms.windows === undefined) throw new TypeError('a window without `windows`');
      setMoment(line, terms, now);
      chosenBefore = at;
      line.bucket = unlessGiven(buckets.find(place));
      if (line.bucket === 0) choose(line, place, terms, now);
      else if (!place.remembered) digests.remember(terms.id, place);
      if (at > 0 && isChosenDigest(line)) {
        throw new StoreFault('refused', 'two charges of one plan are counted in one bucket');
      }
      load(line);
      line.fits = line.bucket !== 0 && fits(line.scratch, terms, cost);
      return line;
    },
    readKnown: (at, terms, place, shared, now) => {
      const line = lineAt(at);
      line.terms = terms;
      line.cost = 0;
      line.shared = shared;
      line.fresh = false;
      line.digest = place;
      line.node = 0;
      const family = shared ? digests.familyOf(terms) : undefined;
      line.bucket = !shared ? buckets.find(place) : family === undefined ? 0 : buckets.findOverflow(place, family);
      setMoment(line, terms, now);
      load(line);
      return line;
    },
    admit: (line, charge) => {
      const { scratch, moment } = line;
      const drain = scratch.drain;
      const used = scratch.level > 0 || scratch.held > 0;
      admit(scratch, charge, '', moment.nowMs);
      write(line, drain, used);
      if (line.node !== 0) holds.link(line.bucket, line.node);
    },
    giveBack: (line, amount, startMs) => {
      const { scratch, terms } = line;
      const drain = scratch.drain;
      release(scratch, terms, { id: '', amount, startMs, refundable: true });
      write(line, drain, true);
    },
    readStored: (at, terms, held, bucket, now) => {
      const line = lineAt(at);
      line.terms = terms;
      line.cost = 0;
      line.shared = false;
      line.fresh = false;
      line.digest = held;
      line.node = 0;
      line.bucket = bucket;
      setMoment(line, terms, now);
      if (terms.kind === 'window') {
        // Without its calendar: what it was when it was written last.
        const span = (bucket === 0 ? undefined : buckets.windowOf(bucket)) ?? held;
        line.moment.startMs = span.startMs;
        line.moment.endMs = span.endMs;
      }
      load(line);
      line.windowIsOver = terms.kind === 'window' && now.epochMs >= line.moment.endMs;
      return line;
    },
    writeLevel: (line) => {
      if (line.fresh) buckets.found(line.bucket, line.digest, line.terms, line.scratch);
      line.fresh = false;
      buckets.writeLevel(line.bucket, line.terms, line.scratch, line.moment);
    },
    write: (line, node) => {
      if (node !== 0) {
        buckets.writeLevel(line.bucket, line.terms, line.scratch, line.moment);
        holds.unlink(line.bucket, node);
      }
      write(line, line.scratch.drain, false);
    },
    settle: (line, taken, used) => {
      settle(line.scratch, line.terms, taken, used);
    },
    makeRoom: (line, ways, now) => {
      chosenBefore = lines.indexOf(line);
      line.bucket = buckets.findFree(ways, line.shared ? OVERFLOWS : WAYS, now, isChosen);
      line.fresh = true;
      return line.bucket !== 0;
    },
    state: (line, fitted) => {
      const { scratch, terms, moment, bucket, ended } = line;
      if (!fitted && !line.fresh && bucket !== 0 && ended !== EVERY && scratch.held > 0) {
        scratch.holds.length = 0;
        holds.read(bucket, ended, EVERY, scratch.holds);
      }
      return toState(scratch, terms, moment, line.cost, fitted);
    },
  };
}

const NO_TERMS: BucketTerms = {
  id: '',
  kind: 'rate',
  limit: 1,
  burst: 1,
  periodMs: 1,
  region: 'callers',
  scope: 'tenant',
};

function newLine(): Line {
  return {
    terms: NO_TERMS,
    cost: 0,
    bucket: 0,
    fresh: false,
    shared: false,
    digest: { h0: 0, h1: 0, h2: 0, h3: 0 },
    moment: { nowMs: 0, startMs: 0, endMs: 0 },
    scratch: scratchBucket(),
    ended: 0,
    fits: false,
    node: 0,
    windowIsOver: false,
    setBack: false,
  };
}
