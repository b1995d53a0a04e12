import { type MemoryTable, RESERVATION_WORDS } from './memory-table.ts';

/**
 * In which order slots of reservations become free, so that neither a take nor a refusal looks through them all; under
 * the first lock. A slot is fresh, `live` (its holds may count), `ended` (none of them does, and it may still be
 * settled) or `done`.
 */
export interface MemorySlots {
  /** Which slot another reservation may have; -1 where there is none. Nothing is written. */
  findRoom(owner: SlotOwner, nodes: number, steadyMs: number): number;
  /** Makes a slot that {@link findRoom} named a live one; its expiry is written already. */
  open(slot: number, owner: SlotOwner, nodes: number): void;
  /** After the expiry of a live one was written. */
  moved(slot: number): void;
  /** The live one whose holds have ended, the first of them; -1 where there is none. */
  firstEnded(steadyMs: number): number;
  end(slot: number): void;
  close(slot: number): void;
  /** Orders all anew by what the slots say, after a writer died: `isOpen` tells which are not done. */
  rebuild(isOpen: (slot: number) => boolean): void;
}

export type SlotOwner = 'callers' | 'outsiders';

export interface MemorySlotsOptions {
  readonly table: MemoryTable;
  /** Steady, in milliseconds. */
  readonly expiryOf: (slot: number) => number;
  /** Whether nobody may settle it any more. */
  readonly isOver: (slot: number, steadyMs: number) => boolean;
}

/** In 32-bit words of a slot: where it stands, nodes of an outsider and one more, and its neighbours or place. */
const STANDING = 16;
const NODES = 17;
const BEFORE = 18;
const AFTER = 19;
const LIVE = 1;
const DONE = 2;
const ENDED_CALLERS = 3;
const ENDED_OUTSIDERS = 4;
/** In 32-bit words of the counters; a queue has its first slot and its last there. Slots are written as one more. */
const USED = 6;
const LIVE_COUNT = 7;
const QUEUES = 8;
const OUTSIDER_SLOTS = 14;
const OUTSIDER_NODES = 15;
/** What outsiders may have of slots and nodes. */
const OUTSIDER_PART = 4;

export function createMemorySlots({ table, expiryOf, isOver }: MemorySlotsOptions): MemorySlots {
  const { buffer, reservations, reservationCount, nodeCount, counters, liveOrder } = table;
  const i32 = new Int32Array(buffer);
  const counter = counters * 2;
  const heap = liveOrder * 2;

  const wordOf = (slot: number): number => (reservations + slot * RESERVATION_WORDS) * 2;
  const get = (word: number): number => i32[word] ?? 0;
  const count = (word: number, more: number): void => {
    i32[word] = get(word) + more;
  };
  const firstWord = (queue: number): number => counter + QUEUES + (queue - DONE) * 2;
  const firstOf = (queue: number): number => get(firstWord(queue)) - 1;

  function append(queue: number, slot: number): void {
    const first = firstWord(queue);
    const last = get(first + 1);
    const word = wordOf(slot);
    i32[word + STANDING] = queue;
    i32[word + BEFORE] = last;
    i32[word + AFTER] = 0;
    i32[last === 0 ? first : wordOf(last - 1) + AFTER] = slot + 1;
    i32[first + 1] = slot + 1;
  }

  function cutOut(queue: number, slot: number): void {
    const first = firstWord(queue);
    const before = get(wordOf(slot) + BEFORE);
    const after = get(wordOf(slot) + AFTER);
    i32[before === 0 ? first : wordOf(before - 1) + AFTER] = after;
    i32[after === 0 ? first + 1 : wordOf(after - 1) + BEFORE] = before;
  }

  function put(at: number, slot: number): void {
    i32[heap + at] = slot;
    i32[wordOf(slot) + BEFORE] = at;
  }

  function sift(from: number, slot: number): void {
    const size = get(counter + LIVE_COUNT);
    const key = expiryOf(slot);
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const other = get(heap + above);
      if (expiryOf(other) <= key) break;
      put(at, other);
      at = above;
    }
    for (let below = at * 2 + 1; below < size; below = at * 2 + 1) {
      if (below + 1 < size && expiryOf(get(heap + below + 1)) < expiryOf(get(heap + below))) below += 1;
      const other = get(heap + below);
      if (expiryOf(other) >= key) break;
      put(at, other);
      at = below;
    }
    put(at, slot);
  }

  function addLive(slot: number): void {
    const size = get(counter + LIVE_COUNT);
    i32[counter + LIVE_COUNT] = size + 1;
    i32[wordOf(slot) + STANDING] = LIVE;
    sift(size, slot);
  }

  function removeLive(slot: number): void {
    const size = get(counter + LIVE_COUNT) - 1;
    i32[counter + LIVE_COUNT] = size;
    const last = get(heap + size);
    if (last !== slot) sift(get(wordOf(slot) + BEFORE), last);
  }

  /** Takes a slot out of where it stands, and out of what is counted of outsiders. */
  function leave(slot: number): void {
    const word = wordOf(slot);
    const standing = get(word + STANDING);
    const nodes = get(word + NODES) - 1;
    if (standing === LIVE) removeLive(slot);
    else if (standing !== 0) cutOut(standing, slot);
    if (nodes < 0 || standing === 0 || standing === DONE) return;
    count(counter + OUTSIDER_SLOTS, -1);
    if (standing === LIVE) count(counter + OUTSIDER_NODES, -nodes);
  }

  return {
    findRoom: (owner, nodes, steadyMs) => {
      const ended = firstOf(ENDED_OUTSIDERS);
      if (owner === 'outsiders') {
        if (get(counter + OUTSIDER_NODES) + nodes > nodeCount / OUTSIDER_PART) return -1;
        if (get(counter + OUTSIDER_SLOTS) >= Math.floor(reservationCount / OUTSIDER_PART)) return ended;
      }
      const used = get(counter + USED);
      if (used < reservationCount) return used;
      const callers = firstOf(ENDED_CALLERS);
      if (ended !== -1 && isOver(ended, steadyMs)) return ended;
      if (callers !== -1 && isOver(callers, steadyMs)) return callers;
      const done = firstOf(DONE);
      if (done !== -1) return done;
      return ended !== -1 || owner === 'outsiders' ? ended : callers;
    },
    open: (slot, owner, nodes) => {
      if (slot === get(counter + USED)) count(counter + USED, 1);
      else leave(slot);
      i32[wordOf(slot) + NODES] = owner === 'outsiders' ? nodes + 1 : 0;
      if (owner === 'outsiders') {
        count(counter + OUTSIDER_SLOTS, 1);
        count(counter + OUTSIDER_NODES, nodes);
      }
      addLive(slot);
    },
    moved: (slot) => {
      if (get(wordOf(slot) + STANDING) === LIVE) sift(get(wordOf(slot) + BEFORE), slot);
    },
    firstEnded: (steadyMs) => {
      if (get(counter + LIVE_COUNT) === 0) return -1;
      const slot = get(heap);
      return expiryOf(slot) <= steadyMs ? slot : -1;
    },
    end: (slot) => {
      removeLive(slot);
      const nodes = get(wordOf(slot) + NODES) - 1;
      if (nodes >= 0) count(counter + OUTSIDER_NODES, -nodes);
      append(nodes >= 0 ? ENDED_OUTSIDERS : ENDED_CALLERS, slot);
    },
    close: (slot) => {
      leave(slot);
      append(DONE, slot);
    },
    rebuild: (isOpen) => {
      i32.fill(0, counter + LIVE_COUNT, counter + OUTSIDER_NODES + 1);
      i32[counter + USED] = reservationCount;
      for (let slot = 0; slot < reservationCount; slot += 1) {
        if (!isOpen(slot)) {
          append(DONE, slot);
          continue;
        }
        const nodes = get(wordOf(slot) + NODES) - 1;
        if (nodes >= 0) {
          count(counter + OUTSIDER_SLOTS, 1);
          count(counter + OUTSIDER_NODES, nodes);
        }
        addLive(slot);
      }
    },
  };
}
