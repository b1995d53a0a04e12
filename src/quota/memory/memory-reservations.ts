import type { BucketTerms } from '../bucket.ts';
import type { Reservation } from '../bucket-store.ts';
import type { Digest } from './bucket-digest.ts';
import { createMemorySlots, type SlotOwner } from './memory-slots.ts';
import {
  HELD_WORDS,
  type MemoryTable,
  MOST_HELD,
  NOTE_BYTES,
  RESERVATION_HEAD_WORDS,
  RESERVATION_WORDS,
} from './memory-table.ts';

/** What reservations hold, kept apart from their holds so that a settle knows where to look; under the first lock. */
export interface MemoryReservations {
  /**
   * A slot for another one with so many holds: one that is not open, else the one whose holds ended first; -1 where holds
   * of all count, or outsiders have their part.
   */
  findRoom(owner: SlotOwner, holds: number, steadyMs: number): number;
  /** The next number, by which holds know their reservation. */
  nextName(): number;
  write(slot: number, id: Int32Array, head: ReservationHead, held: readonly HeldCharge[], owner: SlotOwner): void;
  /** `undefined` where another reservation has taken the slot. */
  read(slot: number, id: Int32Array): StoredReservation | undefined;
  setState(slot: number, state: Reservation['state']): void;
  setUsed(slot: number, used: readonly number[]): void;
  setExpiry(slot: number, expiresMs: number, expiresSteadyMs: number): void;
  /** Puts off when its holds are looked for, and nothing else. */
  postpone(slot: number, expiresSteadyMs: number): void;
  isOpen(slot: number, words: Int32Array, at: number, steadyMs: number): boolean;
  /** One whose holds have ended and may still be linked; -1 where there is none. */
  firstEnded(steadyMs: number): number;
  /** What such a one holds. */
  heldOf(slot: number): { readonly name: number; readonly held: readonly HeldCharge[] };
  /** Its holds are unlinked: its slot may be had when there is no other. */
  end(slot: number): void;
  /** After a writer died. */
  rebuild(): void;
}

export interface ReservationHead {
  readonly plan: number;
  readonly name: number;
  readonly note: string;
  readonly expiresMs: number;
  readonly expiresSteadyMs: number;
  readonly createdSteadyMs: number;
}

/** One charge that holds, or would: a shadow charge that did not fit is not `taken`. */
export interface HeldCharge extends Digest {
  readonly kind: BucketTerms['kind'];
  readonly taken: boolean;
  readonly shared: boolean;
  readonly refundable: boolean;
  readonly onExpiry: 'charge' | 'release';
  readonly lock: number;
  /** First word of the set, or of the overflow buckets, where the bucket is. */
  readonly ways: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly amount: number;
  readonly used: number;
  readonly periodMs: number;
  readonly limit: number;
}

export interface StoredReservation extends ReservationHead {
  readonly state: Reservation['state'];
  readonly held: readonly HeldCharge[];
}

const STATES = ['', 'open', 'settled', 'released'] as const;
const OPEN = STATES.indexOf('open');
const KINDS = ['rate', 'window', 'concurrency'] as const;
const NAME = 1;

/** Whether a note is short enough to be kept. */
export function isNote(note: string): boolean {
  return note.length <= NOTE_BYTES && Buffer.byteLength(note) <= NOTE_BYTES;
}

export function createMemoryReservations(table: MemoryTable): MemoryReservations {
  const { buffer, reservations, counters, settleHorizonMs } = table;
  const f64 = new Float64Array(buffer);
  const i32 = new Int32Array(buffer);
  const bytes = Buffer.from(buffer);

  const wordOf = (slot: number): number => reservations + slot * RESERVATION_WORDS;
  const noteOf = (slot: number): number => (wordOf(slot) + RESERVATION_HEAD_WORDS + HELD_WORDS * MOST_HELD) * 8;

  function mustStay(slot: number, steadyMs: number): boolean {
    const word = wordOf(slot);
    if (i32[word * 2 + 4] !== OPEN) return false;
    return steadyMs < (f64[word + 5] ?? 0) || steadyMs - (f64[word + 6] ?? 0) < settleHorizonMs;
  }

  const slots = createMemorySlots({
    table,
    expiryOf: (slot) => f64[wordOf(slot) + 5] ?? 0,
    isOver: (slot, steadyMs) => !mustStay(slot, steadyMs),
  });

  function readAllHeld(slot: number): readonly HeldCharge[] {
    const word = wordOf(slot);
    const held: HeldCharge[] = [];
    const count = i32[word * 2 + 14] ?? 0;
    for (let nth = 0; nth < count; nth += 1) held.push(readHeld(word + RESERVATION_HEAD_WORDS + nth * HELD_WORDS));
    return held;
  }

  function isOf(slot: number, words: Int32Array, at: number): boolean {
    const word = wordOf(slot) * 2;
    for (let nth = 0; nth < 4; nth += 1) if (i32[word + nth] !== words[at + nth]) return false;
    return true;
  }

  function readHeld(word: number): HeldCharge {
    const at = word * 2;
    const flags = i32[at + 4] ?? 0;
    return {
      h0: i32[at] ?? 0,
      h1: i32[at + 1] ?? 0,
      h2: i32[at + 2] ?? 0,
      h3: i32[at + 3] ?? 0,
      kind: KINDS[flags & 3] ?? 'rate',
      taken: (flags & 4) !== 0,
      shared: (flags & 8) !== 0,
      refundable: (flags & 16) !== 0,
      onExpiry: (flags & 32) === 0 ? 'release' : 'charge',
      lock: i32[at + 5] ?? 0,
      ways: i32[at + 6] ?? 0,
      startMs: f64[word + 4] ?? 0,
      endMs: f64[word + 5] ?? 0,
      amount: f64[word + 6] ?? 0,
      used: f64[word + 7] ?? 0,
      periodMs: f64[word + 8] ?? 1,
      limit: f64[word + 9] ?? 1,
    };
  }

  function writeHeld(word: number, held: HeldCharge): void {
    const at = word * 2;
    i32[at] = held.h0;
    i32[at + 1] = held.h1;
    i32[at + 2] = held.h2;
    i32[at + 3] = held.h3;
    i32[at + 4] =
      KINDS.indexOf(held.kind) |
      (held.taken ? 4 : 0) |
      (held.shared ? 8 : 0) |
      (held.refundable ? 16 : 0) |
      (held.onExpiry === 'charge' ? 32 : 0);
    i32[at + 5] = held.lock;
    i32[at + 6] = held.ways;
    f64[word + 4] = held.startMs;
    f64[word + 5] = held.endMs;
    f64[word + 6] = held.amount;
    f64[word + 7] = held.used;
    f64[word + 8] = held.periodMs;
    f64[word + 9] = held.limit;
  }

  return {
    findRoom: (owner, holds, steadyMs) => slots.findRoom(owner, holds, steadyMs),
    nextName: () => {
      const name = (f64[counters + NAME] ?? 0) + 1;
      f64[counters + NAME] = name;
      return name;
    },
    write: (slot, id, head, held, owner) => {
      const word = wordOf(slot);
      const at = word * 2;
      i32[at + 4] = 0;
      for (let nth = 0; nth < 4; nth += 1) i32[at + nth] = id[nth] ?? 0;
      i32[at + 5] = head.plan;
      f64[word + 3] = head.name;
      f64[word + 4] = head.expiresMs;
      f64[word + 5] = head.expiresSteadyMs;
      f64[word + 6] = head.createdSteadyMs;
      i32[at + 14] = held.length;
      i32[at + 15] = bytes.write(head.note, noteOf(slot), NOTE_BYTES, 'utf8');
      held.forEach((charge, nth) => {
        writeHeld(word + RESERVATION_HEAD_WORDS + nth * HELD_WORDS, charge);
      });
      i32[at + 4] = OPEN;
      slots.open(slot, owner, held.filter(({ taken }) => taken).length);
    },
    read: (slot, id) => {
      if (slot < 0 || !isOf(slot, id, 0)) return undefined;
      const word = wordOf(slot);
      const state = STATES[i32[word * 2 + 4] ?? 0];
      if (state === undefined || state === '') return undefined;
      const note = noteOf(slot);
      return {
        state,
        plan: i32[word * 2 + 5] ?? 0,
        name: f64[word + 3] ?? 0,
        expiresMs: f64[word + 4] ?? 0,
        expiresSteadyMs: f64[word + 5] ?? 0,
        createdSteadyMs: f64[word + 6] ?? 0,
        note: bytes.toString('utf8', note, note + (i32[word * 2 + 15] ?? 0)),
        held: readAllHeld(slot),
      };
    },
    setState: (slot, state) => {
      i32[wordOf(slot) * 2 + 4] = STATES.indexOf(state);
      if (state !== 'open') slots.close(slot);
    },
    setUsed: (slot, used) => {
      used.forEach((units, nth) => {
        f64[wordOf(slot) + RESERVATION_HEAD_WORDS + nth * HELD_WORDS + 7] = units;
      });
    },
    setExpiry: (slot, expiresMs, expiresSteadyMs) => {
      f64[wordOf(slot) + 4] = expiresMs;
      f64[wordOf(slot) + 5] = expiresSteadyMs;
      slots.moved(slot);
    },
    postpone: (slot, expiresSteadyMs) => {
      f64[wordOf(slot) + 5] = expiresSteadyMs;
      slots.moved(slot);
    },
    firstEnded: (steadyMs) => slots.firstEnded(steadyMs),
    heldOf: (slot) => ({ name: f64[wordOf(slot) + 3] ?? 0, held: readAllHeld(slot) }),
    end: (slot) => slots.end(slot),
    rebuild: () => slots.rebuild((slot) => i32[wordOf(slot) * 2 + 4] === OPEN),
    isOpen: (slot, words, at, steadyMs) => slot >= 0 && isOf(slot, words, at) && mustStay(slot, steadyMs),
  };
}
