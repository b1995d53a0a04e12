import type { QuotaConfig } from '../config.ts';

/** The memory store's counts, to be posted to worker threads as it is. Its numbers say where in the buffer what lies. */
export interface MemoryTable {
  readonly buffer: SharedArrayBuffer;
  /** Keys all digests, so that nobody can aim at a set. Hexadecimal. */
  readonly key: string;
  readonly callers: Region;
  readonly outsiders: Region;
  /** In 32-bit words: lock `n` is the word at `n × LOCK_WORDS`. */
  readonly idLocks: number;
  readonly bucketLocks: number;
  readonly lockCount: number;
  /** In 64-bit words, like all that follow. */
  readonly ids: number;
  readonly idSets: number;
  readonly nodes: number;
  readonly nodeCount: number;
  readonly reservations: number;
  readonly reservationCount: number;
  /** Which reservations are live, in the order of `memory-slots.ts`. */
  readonly liveOrder: number;
  readonly counters: number;
  readonly settleHorizonMs: number;
}

/** Buckets in groups, one lock each: sets of {@link WAYS}, and after them {@link OVERFLOWS} that newcomers share. */
export interface Region {
  readonly at: number;
  readonly groups: number;
  readonly setsPerGroup: number;
  /** Number of the first group's lock. */
  readonly firstLock: number;
}

export const WAYS = 8;
export const OVERFLOWS = 16;
/** A cache line, so that two threads do not fight over neighbouring locks. */
export const LOCK_WORDS = 16;

/** A bucket, in 64-bit words; two of them hold 32-bit ones: the first hold and the kind, the last hold and how many. */
export const BUCKET_WORDS = 10;
export const LEVEL = 2;
export const AT = 3;
/** Of a rate its drain, of a window its end. */
export const DRAIN_OR_END = 4;
export const HELD = 5;
export const VERSION = 6;
export const HEAD_AND_KIND = 7;
export const PERIOD = 8;
export const TAIL_AND_COUNT = 9;
/** Of one bucket: what a settle, a refusal and the journal walk through. */
export const MOST_HOLDS = 8192;

/** Of a set of ids, see `memory-ids.ts`. */
export const ID_SET_WORDS = 40;
export const NODE_WORDS = 4;
/** What one reservation holds: its head, up to {@link MOST_HELD} charges, the note. */
export const RESERVATION_HEAD_WORDS = 10;
export const HELD_WORDS = 10;
export const MOST_HELD = 16;
export const NOTE_BYTES = 1024;
export const RESERVATION_WORDS: number = RESERVATION_HEAD_WORDS + HELD_WORDS * MOST_HELD + NOTE_BYTES / 8;

/** Lock 0 is taken before all others by whatever reads or writes reservations, the last one after all others. */
export const RESERVATION_LOCK = 0;
const ID_LOCKS = 256;
/** So many that two threads seldom want the same lock: to have it from another core costs as much as half a take. */
const MOST_GROUPS = 2048;
const NODES_PER_RESERVATION = 4;

export interface MemoryTableOptions {
  readonly store: Pick<QuotaConfig['store'], 'max_buckets' | 'max_outsider_buckets' | 'max_reservations'>;
  readonly settleHorizonSeconds: number;
  /** 16 random bytes, or those that the journal was kept with. */
  readonly key: Buffer;
}

/** Takes address space only: a page counts from its first use on. */
export function createMemoryTable({ store, settleHorizonSeconds, key }: MemoryTableOptions): MemoryTable {
  const bucketLocks = 1 + ID_LOCKS;
  const groups = [groupsFor(store.max_buckets), groupsFor(store.max_outsider_buckets)] as const;
  const lockCount = bucketLocks + groups[0] + groups[1] + 1;
  let next = (lockCount * LOCK_WORDS) / 2;
  const claim = (words: number): number => {
    const at = next;
    // Whole cache lines.
    next += Math.ceil(words / 8) * 8;
    return at;
  };
  const region = (buckets: number, count: number, firstLock: number): Region => {
    const setsPerGroup = Math.ceil(buckets / WAYS / count);
    return { at: claim(count * groupWords(setsPerGroup)), groups: count, setsPerGroup, firstLock };
  };
  const callers = region(store.max_buckets, groups[0], bucketLocks);
  const outsiders = region(store.max_outsider_buckets, groups[1], bucketLocks + groups[0]);
  // Eight entries for each reservation: that more of those that are open meet in one set than it has ways is next to
  // impossible, and refused where it happens.
  const idSets = powerOfTwo(Math.max(65_536, store.max_reservations * WAYS)) / WAYS;
  const nodeCount = store.max_reservations * NODES_PER_RESERVATION;
  const layout = {
    callers,
    outsiders,
    idLocks: 1,
    bucketLocks,
    lockCount,
    ids: claim(idSets * ID_SET_WORDS),
    idSets,
    nodes: claim(nodeCount * NODE_WORDS),
    nodeCount,
    reservations: claim(store.max_reservations * RESERVATION_WORDS),
    reservationCount: store.max_reservations,
    liveOrder: claim(Math.ceil(store.max_reservations / 2)),
    counters: claim(8),
    settleHorizonMs: settleHorizonSeconds * 1000,
  };
  return { buffer: new SharedArrayBuffer(next * 8), key: key.toString('hex'), ...layout };
}

export function groupWords(setsPerGroup: number): number {
  return (setsPerGroup * WAYS + OVERFLOWS) * BUCKET_WORDS;
}

/** The lock of a set of ids. */
export function idLockOf({ idLocks }: MemoryTable, set: number): number {
  return idLocks + (set & (ID_LOCKS - 1));
}

function groupsFor(buckets: number): number {
  return Math.min(MOST_GROUPS, powerOfTwo(Math.ceil(buckets / (WAYS * WAYS))));
}

function powerOfTwo(least: number): number {
  return 2 ** Math.ceil(Math.log2(least));
}
