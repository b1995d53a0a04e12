import type { BucketCharge, BucketState } from '../bucket.ts';
import type { StoreTake, StoreTaken } from '../bucket-store.ts';
import type { Place } from './bucket-digest.ts';
import type { Line } from './memory-lines.ts';
import { type HeldCharge, isNote } from './memory-reservations.ts';
import type { SlotOwner } from './memory-slots.ts';
import { full, giveUnlinked, type MemoryView, seekId } from './memory-steps.ts';
import { sweepEnded } from './memory-sweep.ts';
import { MOST_HELD, MOST_HOLDS } from './memory-table.ts';

const NO_STATES: readonly (readonly BucketState[])[] = [];

/** Makes `take` for one thread. */
export function createMemoryTake(view: MemoryView): (request: StoreTake) => StoreTaken {
  const { locks, ids, lines, digests, buckets, reservations, holds, now, journal } = view;
  // Of each step anew; what is beyond `placed` and `planned` is of one before. Lists that are emptied lose their room.
  const places: Place[] = [];
  let placed = 0;
  const plan: Line[] = [];
  let planned = 0;
  /** Whether the id is to be known afterwards. */
  let recorded = true;

  /** Asks for all locks, and says whether any charge holds. */
  function seek({ id, plans, note, unrecorded = false }: StoreTake): void {
    let holding = false;
    let windows = false;
    for (const charges of plans) {
      if (charges.length > MOST_HELD) throw new RangeError(`a plan has at most ${MOST_HELD} charges`);
      for (const { hold, terms } of charges) {
        if (hold !== undefined) holding = true;
        else if (terms.kind === 'concurrency') throw new TypeError('a concurrency limit is counted by holds');
        if (terms.kind === 'window') windows = true;
      }
    }
    if (holding && !isNote(note)) throw new RangeError('the note of a reservation has at most 1 KiB');
    if (windows) journal?.demand(now);
    recorded = holding || !unrecorded;
    if (recorded) seekId(view, id, holding);
    else locks.clear();
    placed = 0;
    for (const charges of plans) {
      for (const { terms } of charges) {
        const place = digests.placeOf(terms);
        places[placed] = place;
        placed += 1;
        locks.add(place.lock);
      }
    }
  }

  function takeLocked({ plans, note }: StoreTake): StoreTaken {
    const known = recorded ? ids.find() : 0;
    if (known !== 0) return { kind: ids.stateOf(known) === 'released' ? 'released' : 'duplicate' };
    let refused: (readonly BucketState[])[] | undefined;
    let first = 0;
    for (let nth = 0; nth < plans.length; nth += 1) {
      const charges = plans[nth] ?? [];
      let fitting = true;
      planned = 0;
      for (let at = 0; at < charges.length; at += 1) {
        const charge = charges[at];
        const place = places[first + at];
        if (charge === undefined || place === undefined) continue;
        const line = lines.read(at, charge.terms, charge.cost, place, now);
        plan[planned] = line;
        planned += 1;
        if (
          charge.hold !== undefined &&
          line.fits &&
          !line.fresh &&
          holds.count(line.bucket) - line.ended >= MOST_HOLDS
        ) {
          if (charge.enforced)
            throw full('another hold of one limit', 'let fewer wait for their end, or for a shorter time');
          line.fits = false;
        }
        if (line.fits || !charge.enforced) continue;
        if (line.bucket === 0) throw full('another bucket');
        fitting = false;
      }
      if (fitting) return admitPlan(nth, charges, first, note);
      refused ??= [];
      refused.push(refusedStates());
      first += charges.length;
    }
    return { kind: 'exceeded', states: refused ?? NO_STATES };
  }

  function refusedStates(): readonly BucketState[] {
    const refusing = plan.slice(0, planned);
    const states = refusing.map((line) => lines.state(line, line.fits));
    for (const line of refusing) if (line.setBack) lines.write(line, 0);
    return states;
  }

  function admitPlan(nth: number, charges: readonly BucketCharge[], first: number, note: string): StoreTaken {
    const entry = recorded ? ids.findRoom() : 0;
    if (recorded && entry === 0) throw full('another id');
    let holding = 0;
    let taken = 0;
    let shared = 0;
    for (let at = 0; at < planned; at += 1) {
      if (charges[at]?.hold !== undefined) holding += 1;
      if (plan[at]?.fits) taken |= 1 << at;
      if (plan[at]?.shared) shared |= 1 << at;
    }
    const slot = holding === 0 ? -1 : reserve(charges);
    // As long as it will be: pushed one by one, they would have room for sixteen more.
    const states = new Array<BucketState>(planned);
    for (let at = 0; at < planned; at += 1) {
      const line = plan[at];
      const charge = charges[at];
      if (line === undefined || charge === undefined) throw new RangeError('there are as many lines as charges');
      if (line.fits) {
        lines.admit(line, charge);
        if (journal !== undefined && charge.terms.kind === 'window') journal.note(line, places[first + at]?.lock ?? 0);
      }
      states[at] = lines.state(line, line.fits);
    }
    if (slot !== -1) writeReservation(slot, nth, charges, first, note);
    if (recorded) ids.write(entry, slot === -1 ? 'taken' : 'held', { plan: nth, slot, taken, shared }, now);
    giveUnlinked(view);
    if (recorded) return { kind: 'taken', plan: nth, states };
    return { kind: 'taken', plan: nth, states, receipt: { taken, shared, epochMs: now.epochMs } };
  }

  let name = 0;
  let owner: SlotOwner = 'callers';

  /** Finds a slot and claims the holds, so that nothing is written where there is no room for all of it. */
  function reserve(charges: readonly BucketCharge[]): number {
    let claims = 0;
    owner = 'outsiders';
    for (let at = 0; at < planned; at += 1) {
      if (charges[at]?.hold === undefined) continue;
      if (plan[at]?.fits) claims += 1;
      if (charges[at]?.terms.region === 'callers') owner = 'callers';
    }
    const slot = reservations.findRoom(owner, claims, now.steadyMs);
    if (slot === -1) throw full('another open reservation');
    name = reservations.nextName();
    if (!locks.takeLast()) throw full('another hold at this moment');
    let complete = true;
    for (let at = 0; at < planned && complete; at += 1) {
      const line = plan[at];
      const hold = charges[at]?.hold;
      if (line === undefined || hold === undefined || !line.fits) continue;
      line.node = holds.claim(name, line.cost, line.moment.nowMs + hold.ttlMs, hold.onExpiry);
      complete = line.node !== 0;
    }
    if (!complete) for (const line of plan.slice(0, planned)) if (line.node !== 0) holds.give(line.node);
    locks.releaseLast();
    if (!complete) throw full('another hold');
    return slot;
  }

  function writeReservation(
    slot: number,
    nth: number,
    charges: readonly BucketCharge[],
    first: number,
    note: string,
  ): void {
    const held: HeldCharge[] = [];
    let ttlMs = 0;
    for (let at = 0; at < planned; at += 1) {
      const line = plan[at];
      const charge = charges[at];
      const place = places[first + at];
      if (line === undefined || place === undefined || charge?.hold === undefined) continue;
      ttlMs = Math.max(ttlMs, charge.hold.ttlMs);
      held.push(toHeld(line, charge, place));
    }
    const head = {
      plan: nth,
      name,
      note,
      expiresMs: now.epochMs + ttlMs,
      expiresSteadyMs: now.steadyMs + ttlMs,
      createdSteadyMs: now.steadyMs,
    };
    reservations.write(slot, ids.sought, head, held, owner);
  }

  function toHeld(line: Line, charge: BucketCharge, place: Place): HeldCharge {
    const { terms, digest, scratch, fits, shared, cost } = line;
    const window = fits && terms.kind === 'window' ? buckets.windowOf(line.bucket) : undefined;
    return {
      h0: digest.h0,
      h1: digest.h1,
      h2: digest.h2,
      h3: digest.h3,
      kind: terms.kind,
      taken: fits,
      shared,
      refundable: charge.refundable,
      onExpiry: charge.hold?.onExpiry ?? 'charge',
      lock: place.lock,
      ways: shared ? place.overflow : place.set,
      startMs: window?.startMs ?? scratch.atMs,
      endMs: window?.endMs ?? 0,
      amount: fits ? cost : 0,
      used: 0,
      periodMs: terms.periodMs,
      limit: terms.limit,
    };
  }

  return (request) => {
    sweepEnded(view);
    seek(request);
    locks.takeAll();
    try {
      return takeLocked(request);
    } finally {
      locks.releaseAll();
    }
  };
}
