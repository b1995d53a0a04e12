import type { Bucket, Hold } from '../bucket.ts';
import { HEAD_AND_KIND, type MemoryTable, NODE_WORDS, TAIL_AND_COUNT } from './memory-table.ts';

/**
 * Holds in a table: a list for each bucket, in the order in which they expire, guarded by the bucket's lock. A hold is
 * named by the number of its reservation, and told without it. Node 0 is none.
 */
export interface MemoryHolds {
  /** How many of a bucket's holds have ended. */
  ended(bucket: number, nowMs: number): number;
  /** Copies holds out, from the `first`th on. */
  read(bucket: number, first: number, count: number, into: Hold[]): void;
  last(bucket: number): Hold | undefined;
  count(bucket: number): number;
  /** Counts anew, where a writer died. */
  recount(bucket: number): void;
  /** The node of a reservation's hold; 0 where it has none. */
  find(bucket: number, name: number): number;
  at(node: number): Hold;
  link(bucket: number, node: number): void;
  /** Unlinks the first holds of a bucket; they are free when {@link give} was called. */
  unlinkFirst(bucket: number, count: number): void;
  unlink(bucket: number, node: number): void;
  /** A free node, filled; 0 where there is none. Only under the last lock, like {@link give}. */
  claim(name: number, amount: number, deadlineMs: number, onExpiry: Hold['onExpiry']): number;
  /** Puts back what was claimed and not linked. */
  give(node: number): void;
  giveUnlinked(): void;
  hasUnlinked(): boolean;
  /** What a bucket holds, or of it what becomes a charge. */
  sum(bucket: number, onlyCharges: boolean): number;
}

const NEXT = 6;
const FLAGS = 7;
const CHARGE = 1;
const FREE_HEAD = 0;
const FRESH = 1;
export const EVERY: number = Number.MAX_SAFE_INTEGER;

export function createMemoryHolds({ buffer, nodes, nodeCount, counters }: MemoryTable): MemoryHolds {
  const f64 = new Float64Array(buffer);
  const i32 = new Int32Array(buffer);
  const counter = counters * 2;
  const unlinked: number[] = [];

  const wordOf = (node: number): number => nodes + (node - 1) * NODE_WORDS;
  const headOf = (bucket: number): number => (bucket + HEAD_AND_KIND) * 2;
  const tailOf = (bucket: number): number => (bucket + TAIL_AND_COUNT) * 2;
  const countOf = (bucket: number): number => (bucket + TAIL_AND_COUNT) * 2 + 1;
  const nextOf = (node: number): number => i32[wordOf(node) * 2 + NEXT] ?? 0;
  const deadlineOf = (node: number): number => f64[wordOf(node) + 2] ?? 0;

  function toHold(node: number): Hold {
    const word = wordOf(node);
    return {
      id: '',
      amount: f64[word + 1] ?? 0,
      deadlineMs: f64[word + 2] ?? 0,
      onExpiry: i32[word * 2 + FLAGS] === CHARGE ? 'charge' : 'release',
    };
  }

  function nodeOf(bucket: number, name: number): number {
    let node = i32[headOf(bucket)] ?? 0;
    while (node !== 0 && f64[wordOf(node)] !== name) node = nextOf(node);
    return node;
  }

  /** The last hold; 0 where it is not known. A writer may have died before he said that there is one more. */
  function knownTail(bucket: number): number {
    const tail = i32[tailOf(bucket)] ?? 0;
    return tail !== 0 && nextOf(tail) === 0 ? tail : 0;
  }

  function lastOf(bucket: number): number {
    let last = knownTail(bucket);
    if (last === 0) for (let node = i32[headOf(bucket)] ?? 0; node !== 0; node = nextOf(node)) last = node;
    return last;
  }

  function addToCount(bucket: number, more: number): void {
    i32[countOf(bucket)] = Math.max(0, (i32[countOf(bucket)] ?? 0) + more);
  }

  function give(node: number): void {
    i32[wordOf(node) * 2 + NEXT] = i32[counter + FREE_HEAD] ?? 0;
    i32[counter + FREE_HEAD] = node;
  }

  return {
    ended: (bucket, nowMs) => {
      let count = 0;
      for (let node = i32[headOf(bucket)] ?? 0; node !== 0 && deadlineOf(node) <= nowMs; node = nextOf(node))
        count += 1;
      return count;
    },
    read: (bucket, first, count, into) => {
      let at = 0;
      for (let node = i32[headOf(bucket)] ?? 0; node !== 0 && at < first + count; node = nextOf(node), at += 1) {
        if (at >= first) into.push(toHold(node));
      }
    },
    last: (bucket) => {
      const last = lastOf(bucket);
      return last === 0 ? undefined : toHold(last);
    },
    count: (bucket) => i32[countOf(bucket)] ?? 0,
    recount: (bucket) => {
      let linked = 0;
      for (let node = i32[headOf(bucket)] ?? 0; node !== 0; node = nextOf(node)) linked += 1;
      i32[tailOf(bucket)] = lastOf(bucket);
      i32[countOf(bucket)] = linked;
    },
    find: nodeOf,
    at: toHold,
    // INVARIANT: each list is whole after every single store below, because the writer may die between any two.
    link: (bucket, node) => {
      const deadlineMs = deadlineOf(node);
      const tail = knownTail(bucket);
      let at = tail !== 0 && deadlineOf(tail) <= deadlineMs ? wordOf(tail) * 2 + NEXT : headOf(bucket);
      let next = i32[at] ?? 0;
      while (next !== 0 && deadlineOf(next) <= deadlineMs) {
        at = wordOf(next) * 2 + NEXT;
        next = i32[at] ?? 0;
      }
      i32[wordOf(node) * 2 + NEXT] = next;
      i32[at] = node;
      if (next === 0) i32[tailOf(bucket)] = node;
      addToCount(bucket, 1);
    },
    unlinkFirst: (bucket, count) => {
      const at = headOf(bucket);
      for (let ended = 0; ended < count; ended += 1) {
        const node = i32[at] ?? 0;
        if (node === 0) return;
        const next = nextOf(node);
        if (next === 0) i32[tailOf(bucket)] = 0;
        i32[at] = next;
        addToCount(bucket, -1);
        unlinked.push(node);
      }
    },
    unlink: (bucket, gone) => {
      let at = headOf(bucket);
      let before = 0;
      for (let node = i32[at] ?? 0; node !== 0; node = i32[at] ?? 0) {
        if (node === gone) {
          const next = nextOf(node);
          // INVARIANT: the tail never names a node that is not linked.
          if (next === 0) i32[tailOf(bucket)] = before;
          i32[at] = next;
          addToCount(bucket, -1);
          unlinked.push(node);
          return;
        }
        before = node;
        at = wordOf(node) * 2 + NEXT;
      }
    },
    claim: (name, amount, deadlineMs, onExpiry) => {
      let node = i32[counter + FREE_HEAD] ?? 0;
      if (node !== 0) {
        i32[counter + FREE_HEAD] = nextOf(node);
      } else {
        const used = i32[counter + FRESH] ?? 0;
        if (used >= nodeCount) return 0;
        i32[counter + FRESH] = used + 1;
        node = used + 1;
      }
      const word = wordOf(node);
      f64[word] = name;
      f64[word + 1] = amount;
      f64[word + 2] = deadlineMs;
      i32[word * 2 + FLAGS] = onExpiry === 'charge' ? CHARGE : 0;
      return node;
    },
    give,
    giveUnlinked: () => {
      for (const node of unlinked) give(node);
      unlinked.length = 0;
    },
    hasUnlinked: () => unlinked.length > 0,
    sum: (bucket, onlyCharges) => {
      let sum = 0;
      for (let node = i32[headOf(bucket)] ?? 0; node !== 0; node = nextOf(node)) {
        if (!onlyCharges || i32[wordOf(node) * 2 + FLAGS] === CHARGE) sum += f64[wordOf(node) + 1] ?? 0;
      }
      return sum;
    },
  };
}

/** A bucket to compute with; its holds are only those that the computation asks for. */
export function scratchBucket(): Bucket {
  return { level: 0, atMs: 0, drain: 1, held: 0, holds: [], version: 0 };
}
