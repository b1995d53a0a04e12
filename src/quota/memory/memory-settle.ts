import { renew } from '../arithmetic.ts';
import type { BucketCharge } from '../bucket.ts';
import type { Receipt, Renewed, Reservation, Settled } from '../bucket-store.ts';
import type { Place } from './bucket-digest.ts';
import type { Line } from './memory-lines.ts';
import type { HeldCharge, StoredReservation } from './memory-reservations.ts';
import { full, giveUnlinked, type MemoryView, seekId, writeId } from './memory-steps.ts';
import { endWithWindow, readHeld } from './memory-sweep.ts';

export interface MemorySettling {
  release(id: string, charges: readonly BucketCharge[]): void;
  /** Gives back a take that no id is kept for. */
  giveBack(charges: readonly BucketCharge[], receipt: Receipt): void;
  look(id: string): Reservation | undefined;
  settle(id: string, used: readonly number[]): Settled;
  renew(id: string, ttlMs: number): Renewed;
}

const NOTHING = { plan: 0, slot: -1, taken: 0, shared: 0 } as const;

/** Makes what follows a take, for one thread. */
export function createMemorySettling(view: MemoryView): MemorySettling {
  const { locks, ids, lines, digests, reservations, holds, now, journal } = view;

  /** Adds the locks of a reservation's buckets to those that are held; they are higher than those. */
  function open(entry: number): { readonly slot: number; readonly stored: StoredReservation } | undefined {
    const { slot } = ids.read(entry);
    const stored = reservations.read(slot, ids.sought);
    if (stored === undefined) return undefined;
    for (const { lock } of stored.held) locks.add(lock);
    locks.takeAll();
    return { slot, stored };
  }

  function locked<T>(step: () => T): T {
    locks.takeAll();
    try {
      const answer = step();
      giveUnlinked(view);
      return answer;
    } finally {
      locks.releaseAll();
    }
  }

  interface Change {
    readonly held: HeldCharge;
    readonly line: Line;
    readonly node: number;
    /** Whether nothing that was charged is given back. */
    readonly adds: boolean;
  }

  /** What a reservation's buckets become; nothing is written yet. */
  function settleAll({ name, held }: StoredReservation, used: readonly number[]): readonly Change[] {
    const changes: Change[] = [];
    held.forEach((charge, at) => {
      const units = used[at] ?? charge.amount;
      if (!charge.taken) return;
      const line = readHeld(view, at, charge);
      const { kind, amount, startMs, refundable, onExpiry } = charge;
      const node = line.bucket === 0 ? 0 : holds.find(line.bucket, name);
      const hold = node === 0 ? undefined : holds.at(node);
      const live = hold !== undefined && hold.deadlineMs > line.moment.nowMs;
      if (line.windowIsOver) {
        if (live) endWithWindow(line, hold.amount);
        // Nobody may ask for this bucket again, and its hold is not to stay for that.
        if (hold !== undefined) changes.push({ held: charge, line, node: live ? node : 0, adds: false });
        return;
      }
      const adds = live || onExpiry === 'release' || units >= amount;
      if (line.bucket === 0) {
        if (kind === 'concurrency') return;
        if (units <= (onExpiry === 'release' ? 0 : amount)) return;
        if (!lines.makeRoom(line, charge.ways, now)) throw full('another bucket');
      }
      line.scratch.holds.length = 0;
      if (live) line.scratch.holds.push({ ...hold, id: OWN });
      lines.settle(line, { id: OWN, amount, onExpiry, startMs, refundable }, units);
      changes.push({ held: charge, line, node: live ? node : 0, adds });
    });
    return changes;
  }

  /**
   * INVARIANT: what adds is written before the reservation is marked, what gives back after it: a writer that dies
   * between them, and a second try after it, charge too much and never too little.
   */
  function write(changes: readonly Change[], mark: () => void): void {
    for (const { line, adds } of changes) if (adds) lines.writeLevel(line);
    mark();
    for (const { held, line, node } of changes) {
      lines.write(line, node);
      if (journal !== undefined && held.kind === 'window') journal.note(line, held.lock);
    }
  }

  /** Gives back the plain charges of what was taken. INVARIANT: after the mark that this is done, where there is one. */
  function giveBackPlain(
    charges: readonly BucketCharge[],
    places: readonly Place[],
    { taken, shared, epochMs }: Receipt,
  ): void {
    charges.forEach(({ terms, cost, refundable, hold }, at) => {
      const place = places[at];
      if (place === undefined || hold !== undefined || !refundable || (taken & (1 << at)) === 0) return;
      const line = lines.readKnown(0, terms, place, (shared & (1 << at)) !== 0, now);
      if (line.bucket === 0) return;
      lines.giveBack(line, cost, terms.windows?.at(epochMs).startMs ?? 0);
      if (journal !== undefined && terms.kind === 'window') journal.note(line, place.lock);
    });
  }

  function release(id: string, charges: readonly BucketCharge[], withReservations: boolean): boolean {
    seekId(view, id, withReservations);
    const places = charges.map(({ terms }) => digests.placeOf(terms));
    for (const { lock } of places) locks.add(lock);
    return locked(() => {
      const entry = ids.find();
      if (entry === 0) {
        writeId(view, 'released', NOTHING);
        return true;
      }
      const state = ids.stateOf(entry);
      if (state === 'released' || state === 'settled') return true;
      const record = ids.read(entry);
      if (state === 'taken') {
        ids.setState(entry, 'released');
        giveBackPlain(charges, places, record);
        return true;
      }
      // Its locks come first, so this begins again with them.
      if (!withReservations) return false;
      const stored = reservations.read(record.slot, ids.sought);
      if (stored?.state !== 'open') return true;
      const used = stored.held.map(({ refundable, amount }) => (refundable ? 0 : amount));
      const changes = settleAll(stored, used);
      write(changes, () => reservations.setState(record.slot, 'released'));
      ids.setState(entry, 'released');
      giveBackPlain(charges, places, record);
      return true;
    });
  }

  return {
    release: (id, charges) => {
      const holding = charges.some(({ hold }) => hold !== undefined);
      if (!release(id, charges, holding)) release(id, charges, true);
    },

    giveBack: (charges, receipt) => {
      locks.clear();
      const places = charges.map(({ terms }) => digests.placeOf(terms));
      for (const { lock } of places) locks.add(lock);
      locked(() => giveBackPlain(charges, places, receipt));
    },

    look: (id) => {
      seekId(view, id, true);
      return locked(() => {
        const entry = ids.find();
        if (entry === 0) return undefined;
        const { slot, plan, epochMs } = ids.read(entry);
        const stored = reservations.read(slot, ids.sought);
        if (stored === undefined) {
          const state = ids.stateOf(entry);
          // Another reservation has its slot.
          if (state === 'held') return undefined;
          return { state: PLAIN[state], plan, note: '', amounts: [], expiresMs: epochMs };
        }
        const known = {
          state: stored.state,
          plan: stored.plan,
          note: stored.note,
          amounts: stored.held.map(({ amount }) => amount),
          expiresMs: stored.expiresMs,
        };
        return stored.state === 'settled' ? { ...known, used: stored.held.map(({ used }) => used) } : known;
      });
    },

    settle: (id, used) => {
      seekId(view, id, true);
      return locked(() => {
        const entry = ids.find();
        if (entry === 0) return 'unknown';
        const state = ids.stateOf(entry);
        if (state === 'released' || state === 'settled') return 'already';
        if (state === 'taken') {
          ids.setState(entry, 'settled');
          return 'settled';
        }
        const found = open(entry);
        if (found === undefined) return 'unknown';
        if (found.stored.state !== 'open') return 'already';
        const changes = settleAll(found.stored, used);
        write(changes, () => {
          reservations.setUsed(found.slot, used);
          reservations.setState(found.slot, 'settled');
        });
        return 'settled';
      });
    },

    renew: (id, ttlMs) => {
      seekId(view, id, true);
      return locked(() => {
        const entry = ids.find();
        if (entry === 0) return 'unknown';
        if (ids.stateOf(entry) !== 'held') return 'ended';
        const found = open(entry);
        if (found === undefined) return 'unknown';
        const { slot, stored } = found;
        if (stored.state !== 'open') return 'ended';
        let renewed = false;
        for (const held of stored.held) if (held.taken && renewOne(held, stored.name, ttlMs)) renewed = true;
        if (!renewed) return 'ended';
        reservations.setExpiry(slot, now.epochMs + ttlMs, now.steadyMs + ttlMs);
        return 'renewed';
      });
    },
  };

  function renewOne(held: HeldCharge, name: number, ttlMs: number): boolean {
    const line = readHeld(view, 0, held);
    if (line.bucket === 0 || line.windowIsOver) return false;
    const node = holds.find(line.bucket, name);
    const hold = node === 0 ? undefined : holds.at(node);
    if (hold === undefined || hold.deadlineMs <= line.moment.nowMs) return false;
    const deadlineMs = line.moment.nowMs + ttlMs;
    if (!locks.takeLast()) throw full('another hold at this moment');
    const next = holds.claim(name, hold.amount, deadlineMs, hold.onExpiry);
    locks.releaseLast();
    if (next === 0) throw full('another hold');
    line.scratch.holds.length = 0;
    line.scratch.holds.push({ ...hold, id: OWN });
    renew(line.scratch, OWN, deadlineMs);
    // INVARIANT: there is no moment without a hold.
    holds.link(line.bucket, next);
    lines.write(line, node);
    return true;
  }
}

const OWN = 'own';
const PLAIN = { taken: 'open', settled: 'settled', released: 'released' } as const;
