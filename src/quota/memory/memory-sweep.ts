import type { BucketTerms } from '../bucket.ts';
import type { Place } from './bucket-digest.ts';
import type { Line } from './memory-lines.ts';
import type { HeldCharge } from './memory-reservations.ts';
import { giveUnlinked, type MemoryView } from './memory-steps.ts';
import { RESERVATION_LOCK } from './memory-table.ts';

/** As many as one take may need holds, so that the room for it is there if holds of enough reservations have ended. */
const MOST_AT_ONCE = 16;

/**
 * Unlinks holds that have ended of buckets that nobody asks for, a few at a time. Before a step takes its locks. What
 * another thread has locked is left for the next time.
 */
export function sweepEnded(view: MemoryView): void {
  const { reservations, locks, now } = view;
  // Read without the lock: it may be missed this once.
  if (reservations.firstEnded(now.steadyMs) === -1 || !locks.tryTake(RESERVATION_LOCK)) return;
  try {
    for (let swept = 0; swept < MOST_AT_ONCE; swept += 1) {
      const slot = reservations.firstEnded(now.steadyMs);
      if (slot === -1 || !endOne(view, slot)) break;
    }
  } finally {
    locks.release(RESERVATION_LOCK);
  }
  giveUnlinked(view);
}

/** The bucket where a held charge was counted, now, as line `at`; its bucket is 0 where it is gone. */
export function readHeld({ buckets, lines, now }: MemoryView, at: number, held: HeldCharge): Line {
  const place: Place = { ...held, set: held.ways, overflow: held.ways, bucket: 0, remembered: true };
  const bucket = held.shared ? buckets.findOverflow(place, held) : buckets.find(place);
  const limit = bucket !== 0 && held.kind === 'rate' ? buckets.drainOf(bucket) : held.limit;
  const terms: BucketTerms = {
    id: '',
    kind: held.kind,
    limit,
    burst: limit,
    periodMs: held.periodMs,
    region: 'callers',
    scope: 'tenant',
  };
  const line = lines.readStored(at, terms, held, bucket, now);
  line.shared = held.shared;
  return line;
}

/** Makes a hold of a window that is over a charge: it counts only where the clock is set back. Nothing is written. */
export function endWithWindow({ scratch }: Line, amount: number): void {
  scratch.held = Math.max(0, scratch.held - amount);
  scratch.level = Math.min(Number.MAX_SAFE_INTEGER, scratch.level + amount);
}

/** Answers whether its buckets could be had. */
function endOne(view: MemoryView, slot: number): boolean {
  const { reservations, locks, now } = view;
  const { name, held } = reservations.heldOf(slot);
  let leftMs = 0;
  for (const charge of held) {
    if (!charge.taken) continue;
    if (!locks.tryTake(charge.lock)) return false;
    try {
      leftMs = Math.max(leftMs, endHold(view, charge, name));
    } finally {
      locks.release(charge.lock);
    }
  }
  // The clock of a window was set back: its hold counts longer.
  if (leftMs > 0) reservations.postpone(slot, now.steadyMs + leftMs);
  else reservations.end(slot);
  return true;
}

/** Answers for how long the hold still counts. */
function endHold(view: MemoryView, held: HeldCharge, name: number): number {
  const { holds, lines } = view;
  const line = readHeld(view, 0, held);
  const node = line.bucket === 0 ? 0 : holds.find(line.bucket, name);
  if (node === 0) return 0;
  const { deadlineMs, amount } = holds.at(node);
  const leftMs = deadlineMs - line.moment.nowMs;
  if (leftMs > 0 && !line.windowIsOver) return leftMs;
  if (leftMs > 0) endWithWindow(line, amount);
  // Those that have ended are unlinked by the write itself.
  lines.write(line, leftMs > 0 ? node : 0);
  return 0;
}
