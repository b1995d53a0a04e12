import { StoreFault } from '../bucket-store.ts';
import { LOCK_WORDS, type MemoryTable } from './memory-table.ts';

/** Locks of a table as one thread takes them: always from the lowest number to the highest, so that none waits in a ring. */
export interface MemoryLocks {
  /** Forgets what was added; nothing must be taken. */
  clear(): void;
  /** Adds a lock to those that {@link takeAll} takes; while some are taken, only higher ones. */
  add(lock: number): void;
  /** Takes all that were added, or frees all and throws a {@link StoreFault} `overloaded`. */
  takeAll(): void;
  releaseAll(): void;
  /** The last lock of all, for a few words only; `false` where it is not free in time. */
  takeLast(): boolean;
  releaseLast(): void;
  /** One lock, in any order and not waited for; `false` where somebody has it, and be it this thread. */
  tryTake(lock: number): boolean;
  release(lock: number): void;
}

export interface MemoryLocksOptions {
  readonly table: MemoryTable;
  /** 0 for the main thread; no two threads have the same. */
  readonly workerId: number;
  /** How long a lock may keep a take waiting. */
  readonly patienceMs: number;
}

const SPINS = 2000;
const SLEEP_MS = 0.2;

export function createMemoryLocks({ table, workerId, patienceMs }: MemoryLocksOptions): MemoryLocks {
  const words = new Int32Array(table.buffer, 0, table.lockCount * LOCK_WORDS);
  const mine = workerId + 1;
  const sleeps = Math.ceil(patienceMs / SLEEP_MS);
  const last = (table.lockCount - 1) * LOCK_WORDS;
  let wanted = new Int32Array(64);
  let count = 0;
  let taken = 0;

  function waitFor(word: number): boolean {
    for (let spin = 0; spin < SPINS; spin += 1) {
      if (Atomics.load(words, word) === 0 && Atomics.compareExchange(words, word, 0, mine) === 0) return true;
    }
    for (let sleep = 0; sleep < sleeps; sleep += 1) {
      const holder = Atomics.load(words, word);
      if (holder !== 0) Atomics.wait(words, word, holder, SLEEP_MS);
      if (Atomics.compareExchange(words, word, 0, mine) === 0) return true;
    }
    return false;
  }

  function take(word: number): boolean {
    return Atomics.compareExchange(words, word, 0, mine) === 0 || waitFor(word);
  }

  function releaseAll(): void {
    for (let at = 0; at < taken; at += 1) Atomics.store(words, wanted[at] ?? 0, 0);
    taken = 0;
    count = 0;
  }

  return {
    clear: () => {
      count = 0;
    },
    add: (lock) => {
      const word = lock * LOCK_WORDS;
      let at = count;
      while (at > 0 && (wanted[at - 1] ?? 0) > word) at -= 1;
      if (at > 0 && wanted[at - 1] === word) return;
      if (count === wanted.length) {
        const more = new Int32Array(count * 2);
        more.set(wanted);
        wanted = more;
      }
      for (let from = count; from > at; from -= 1) wanted[from] = wanted[from - 1] ?? 0;
      wanted[at] = word;
      count += 1;
    },
    takeAll: () => {
      while (taken < count) {
        if (!take(wanted[taken] ?? 0)) {
          releaseAll();
          throw new StoreFault('overloaded', `a lock of the quota table was not free within ${patienceMs} ms`);
        }
        taken += 1;
      }
    },
    releaseAll,
    takeLast: () => take(last),
    releaseLast: () => {
      Atomics.store(words, last, 0);
    },
    tryTake: (lock) => Atomics.compareExchange(words, lock * LOCK_WORDS, 0, mine) === 0,
    release: (lock) => {
      Atomics.store(words, lock * LOCK_WORDS, 0);
    },
  };
}

/** The locks that a dead worker left behind. */
export function locksOf(table: MemoryTable, workerId: number): readonly number[] {
  const words = new Int32Array(table.buffer, 0, table.lockCount * LOCK_WORDS);
  const left: number[] = [];
  for (let lock = 0; lock < table.lockCount; lock += 1) {
    if (Atomics.load(words, lock * LOCK_WORDS) === workerId + 1) left.push(lock);
  }
  return left;
}

/** Frees a lock that a dead worker holds. */
export function freeLock(table: MemoryTable, lock: number, workerId: number): void {
  const words = new Int32Array(table.buffer, 0, table.lockCount * LOCK_WORDS);
  Atomics.compareExchange(words, lock * LOCK_WORDS, workerId + 1, 0);
}
