import type { Now } from './memory-buckets.ts';
import { ID_SET_WORDS, idLockOf, type MemoryTable, WAYS } from './memory-table.ts';

/**
 * Which ids took, or were released before they could. Sets of eight, where the oldest makes room unless it is open; entries are told from 1 on;
 * calls after {@link seek} are about the id that was sought, under its lock.
 */
export interface MemoryIds {
  /** Answers the number of the lock. */
  seek(id: string): number;
  /** The entry of the id that was sought; 0 where there is none. */
  find(): number;
  /** The entry that the id may have; 0 where all are open. Nothing is written. */
  findRoom(): number;
  write(entry: number, state: IdState, record: IdRecord, now: Now): void;
  stateOf(entry: number): IdState;
  read(entry: number): IdRecord & { readonly epochMs: number };
  setState(entry: number, state: IdState): void;
  /** The 128 bits of the id that was sought. */
  readonly sought: Int32Array;
}

/** `held`: what it took stands with the reservation. */
export type IdState = 'taken' | 'released' | 'held' | 'settled';

export interface IdRecord {
  readonly plan: number;
  /** Number of the reservation's slot, or -1; below 2^21. */
  readonly slot: number;
  /** Bit `n`: charge `n` of the plan was taken. */
  readonly taken: number;
  /** Bit `n`: from a bucket that newcomers share. */
  readonly shared: number;
}

export interface MemoryIdsOptions {
  readonly table: MemoryTable;
  /** Whether the reservation of an entry must be kept. */
  readonly isOpen: (slot: number, hash: Int32Array, at: number) => boolean;
}

const STATES = ['', 'taken', 'released', 'held', 'settled'] as const;
const HELD = STATES.indexOf('held');
/** A set begins with a cache line: the first 32 bits of each id, the states, and which entry makes room next. */
const STATES_AT = WAYS;
const HAND_AT = WAYS + 1;
const HEAD_WORDS = 16;
const ENTRY_WORDS = 8;
const PLAN_SHIFT = 21;

export function createMemoryIds({ table, isOpen }: MemoryIdsOptions): MemoryIds {
  const f64 = new Float64Array(table.buffer);
  const i32 = new Int32Array(table.buffer);
  const sought = new Int32Array(4);
  const seed = Buffer.from(table.key, 'hex');
  const seeds = [seed.readInt32LE(0), seed.readInt32LE(4), seed.readInt32LE(8), seed.readInt32LE(12)] as const;
  let set = 0;

  /** Ids are random and ours; the key is mixed in for those that somebody else makes up. */
  function mix(id: string): void {
    let [a, b, c, d] = seeds;
    for (let at = 0; at < id.length; at += 2) {
      const pair = id.charCodeAt(at) | (at + 1 < id.length ? id.charCodeAt(at + 1) << 16 : 0);
      a = b ^ Math.imul(a ^ pair, 597_399_067);
      b = c ^ Math.imul(b ^ pair, -1_425_107_063);
      c = d ^ Math.imul(c ^ pair, 951_274_213);
      d = a ^ Math.imul(d ^ pair, -1_578_923_117);
    }
    for (let round = 0; round < 2; round += 1) {
      a = Math.imul(c ^ (a >>> 18) ^ id.length, 597_399_067);
      b = Math.imul(d ^ (b >>> 22), -1_425_107_063);
      c = Math.imul(a ^ (c >>> 17), 951_274_213);
      d = Math.imul(b ^ (d >>> 19), -1_578_923_117);
    }
    sought[0] = a;
    sought[1] = b;
    sought[2] = c;
    sought[3] = d;
  }

  const entryAt = (entry: number): number => set * 2 + HEAD_WORDS + (entry - 1) * ENTRY_WORDS;
  const stateAt = (entry: number): number => ((i32[set * 2 + STATES_AT] ?? 0) >>> ((entry - 1) * 4)) & 0xf;

  function setState(entry: number, state: number): void {
    const at = set * 2 + STATES_AT;
    const shift = (entry - 1) * 4;
    i32[at] = ((i32[at] ?? 0) & ~(0xf << shift)) | (state << shift);
  }

  function isSought(entry: number): boolean {
    const at = entryAt(entry);
    return i32[at + 1] === sought[1] && i32[at + 2] === sought[2] && i32[at + 3] === sought[3] && stateAt(entry) !== 0;
  }

  function mayGo(entry: number): boolean {
    const at = entryAt(entry);
    return stateAt(entry) !== HELD || !isOpen(slotOf(i32[at + 4] ?? 0), i32, at);
  }

  return {
    sought,
    seek: (id) => {
      mix(id);
      const nth = (sought[1] ?? 0) & (table.idSets - 1);
      set = table.ids + nth * ID_SET_WORDS;
      return idLockOf(table, nth);
    },
    find: () => {
      const tags = set * 2;
      const tag = sought[0];
      for (let way = 0; way < WAYS; way += 1) if (i32[tags + way] === tag && isSought(way + 1)) return way + 1;
      return 0;
    },
    findRoom: () => {
      const hand = i32[set * 2 + HAND_AT] ?? 0;
      for (let step = 0; step < WAYS; step += 1) {
        const entry = ((hand + step) & (WAYS - 1)) + 1;
        if (mayGo(entry)) return entry;
      }
      return 0;
    },
    write: (entry, state, { plan, slot, taken, shared }, { epochMs }) => {
      const at = entryAt(entry);
      setState(entry, 0);
      i32[set * 2 + entry - 1] = sought[0] ?? 0;
      for (let nth = 0; nth < 4; nth += 1) i32[at + nth] = sought[nth] ?? 0;
      i32[at + 4] = (slot + 1) | (plan << PLAN_SHIFT);
      i32[at + 5] = taken | (shared << 16);
      f64[at / 2 + 3] = epochMs;
      i32[set * 2 + HAND_AT] = entry & (WAYS - 1);
      setState(entry, STATES.indexOf(state));
    },
    stateOf: (entry) => toState(stateAt(entry)),
    read: (entry) => {
      const at = entryAt(entry);
      const word = i32[at + 4] ?? 0;
      const masks = i32[at + 5] ?? 0;
      return {
        plan: word >>> PLAN_SHIFT,
        slot: slotOf(word),
        taken: masks & 0xffff,
        shared: masks >>> 16,
        epochMs: f64[at / 2 + 3] ?? 0,
      };
    },
    setState: (entry, state) => setState(entry, STATES.indexOf(state)),
  };
}

function slotOf(word: number): number {
  return (word & (2 ** PLAN_SHIFT - 1)) - 1;
}

function toState(nibble: number): IdState {
  const state = STATES[nibble];
  // What is no state is nothing that could be given back.
  return state === undefined || state === '' ? 'released' : state;
}
