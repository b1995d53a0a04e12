import { freeLock, locksOf } from './memory-locks.ts';
import { createMemoryView } from './memory-steps.ts';
import { type MemoryTable, RESERVATION_LOCK, type Region } from './memory-table.ts';
import { bucketsOf } from './memory-windows.ts';

/**
 * Frees the locks that a dead worker left behind, and counts anew what its buckets hold and which reservations are live.
 * For the main thread of a process that runs workers, once the worker has ended; a process of one thread has no use for
 * it. Answers how many locks there were.
 */
export function clearLocksOf(table: MemoryTable, workerId: number): number {
  const { holds, buckets, reservations } = createMemoryView({ table, workerId, patienceMs: 0 });
  const left = locksOf(table, workerId);
  for (const lock of left) {
    // INVARIANT: the dead worker's lock is kept until its buckets are whole again.
    for (const bucket of bucketsUnder(table, lock)) {
      holds.recount(bucket);
      buckets.setHeld(bucket, holds.sum(bucket, false));
    }
    if (lock === RESERVATION_LOCK) reservations.rebuild();
    freeLock(table, lock, workerId);
  }
  return left.length;
}

function bucketsUnder({ callers, outsiders }: MemoryTable, lock: number): readonly number[] {
  const isUnder = ({ firstLock, groups }: Region): boolean => lock >= firstLock && lock < firstLock + groups;
  for (const region of [callers, outsiders]) if (isUnder(region)) return bucketsOf(region, lock - region.firstLock);
  return [];
}
