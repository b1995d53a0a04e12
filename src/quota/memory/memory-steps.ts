import { StoreFault } from '../bucket-store.ts';
import { type BucketDigests, createBucketDigests } from './bucket-digest.ts';
import { createMemoryBuckets, type MemoryBuckets, type Now } from './memory-buckets.ts';
import { createMemoryHolds, type MemoryHolds } from './memory-holds.ts';
import { createMemoryIds, type IdRecord, type IdState, type MemoryIds } from './memory-ids.ts';
import { createMemoryLines, type Line, type MemoryLines } from './memory-lines.ts';
import { createMemoryLocks, type MemoryLocks } from './memory-locks.ts';
import { createMemoryReservations, type MemoryReservations } from './memory-reservations.ts';
import { type MemoryTable, RESERVATION_LOCK } from './memory-table.ts';

/** Hears of every window bucket that was written, under its lock. */
export interface WindowJournal {
  /** Throws a `StoreFault` while nothing can be kept. */
  demand(now: Now): void;
  note(line: Pick<Line, 'bucket' | 'digest' | 'shared'>, lock: number): void;
}

/** One thread's view of a table. */
export interface MemoryView {
  readonly table: MemoryTable;
  readonly digests: BucketDigests;
  readonly locks: MemoryLocks;
  readonly holds: MemoryHolds;
  readonly buckets: MemoryBuckets;
  readonly ids: MemoryIds;
  readonly reservations: MemoryReservations;
  readonly lines: MemoryLines;
  /** Of the step that runs. */
  readonly now: { -readonly [K in keyof Now]: Now[K] };
  readonly journal: WindowJournal | undefined;
}

export interface MemoryViewOptions {
  readonly table: MemoryTable;
  readonly workerId: number;
  readonly patienceMs: number;
  readonly journal?: WindowJournal | undefined;
}

export function createMemoryView({ table, workerId, patienceMs, journal }: MemoryViewOptions): MemoryView {
  const now = { steadyMs: 0, epochMs: 0 };
  const digests = createBucketDigests(table);
  const holds = createMemoryHolds(table);
  const buckets = createMemoryBuckets(table, holds);
  const reservations = createMemoryReservations(table);
  const isOpen = (slot: number, hash: Int32Array, at: number): boolean =>
    reservations.isOpen(slot, hash, at, now.steadyMs);
  return {
    table,
    digests,
    locks: createMemoryLocks({ table, workerId, patienceMs }),
    holds,
    buckets,
    ids: createMemoryIds({ table, isOpen }),
    reservations,
    lines: createMemoryLines({ buckets, holds, digests }),
    now,
    journal,
  };
}

/** Begins a step about one id: its lock, and that of the reservations where they are read or written. */
export function seekId({ locks, ids }: MemoryView, id: string, withReservations: boolean): void {
  locks.clear();
  if (withReservations) locks.add(RESERVATION_LOCK);
  locks.add(ids.seek(id));
}

/** Records an id of which nothing is known. */
export function writeId({ ids, now }: MemoryView, state: IdState, record: IdRecord): void {
  const entry = ids.findRoom();
  if (entry === 0) throw full('another reservation');
  ids.write(entry, state, record, now);
}

/** Puts unlinked holds back, if that is possible now; else with the next step. */
export function giveUnlinked({ holds, locks }: MemoryView): void {
  if (!holds.hasUnlinked() || !locks.takeLast()) return;
  holds.giveUnlinked();
  locks.releaseLast();
}

export function full(what: string, advice = 'raise its `quota.store.max_…`'): StoreFault {
  return new StoreFault('full', `the memory store has no room for ${what}: ${advice}`);
}
