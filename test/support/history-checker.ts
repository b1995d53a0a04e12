import { overAdmitted } from './quota-history/admission-bound.ts';
import { type BucketEvent, type BucketHistory, toBucketEvents } from './quota-history/bucket-events.ts';
import { replayBucket } from './quota-history/bucket-replay.ts';
import type { RecordedOperation } from './quota-history/history.ts';

/** What a history of a bucket store was found to be. */
export interface HistoryVerdict {
  readonly operations: number;
  readonly buckets: number;
  readonly taken: number;
  readonly refused: number;
  /** Units admitted above burst and refill in some interval, or above a window's limit; summed over all buckets. */
  readonly over: number;
  /** Nothing where the history is linearisable and every answer is the arithmetic's. */
  readonly faults: readonly string[];
}

export interface HistoryOptions {
  /** Whether the store tells rates and windows by one clock, as a server does. */
  readonly oneClock: boolean;
}

/**
 * Decides whether recorded operations of many clients could have happened one after the other, in an order that agrees
 * with real time, with the answers that they had. Takes tell versions and levels; for writes that tell nothing a place
 * is searched. Per bucket that is exact; across buckets the order of what told a version must have no cycle.
 */
export function checkHistory(history: readonly RecordedOperation[], { oneClock }: HistoryOptions): HistoryVerdict {
  const { buckets, faults: early } = toBucketEvents(history, oneClock);
  const faults = [...early];
  let over = 0;
  for (const [id, bucket] of buckets) {
    const { fault, order } = replayBucket(bucket);
    if (fault !== undefined) faults.push(`bucket \`${id}\` after version ${fault.version}: ${fault.message}`);
    const units = overAdmitted(order);
    if (units > 0) faults.push(`bucket \`${id}\`: ${units} units were admitted above its limit`);
    over += units;
  }
  const stuck = firstOutOfOrder(history, buckets.values());
  if (stuck !== undefined) faults.push(`operation ${stuck}: the orders of two buckets contradict each other or time`);
  let taken = 0;
  let refused = 0;
  for (const { step } of history) {
    if (step.kind !== 'take') continue;
    if (step.answer?.kind === 'taken') taken += 1;
    else if (step.answer?.kind === 'exceeded') refused += 1;
  }
  return { operations: history.length, buckets: buckets.size, taken, refused, over, faults };
}

/** The versions of all buckets at once: an operation that no order of all can hold; `undefined` where there is one. */
function firstOutOfOrder(history: readonly RecordedOperation[], buckets: Iterable<BucketHistory>): number | undefined {
  const next: number[][] = history.map(() => []);
  const before = new Uint32Array(history.length);
  const involved = new Set<number>();
  const follows = (one: BucketEvent | undefined, other: BucketEvent): void => {
    if (one === undefined || one.operation === other.operation) return;
    next[one.operation]?.push(other.operation);
    before[other.operation] = (before[other.operation] ?? 0) + 1;
  };
  for (const { writes, reads } of buckets) {
    const ordered = [...writes].sort(byVersion);
    const lookers = [...reads].sort(byVersion);
    for (const { operation } of [...ordered, ...lookers]) involved.add(operation);
    let at = 0;
    let last: BucketEvent | undefined;
    for (const write of ordered) {
      for (
        let looker = lookers[at];
        looker !== undefined && versionOf(looker) < versionOf(write);
        looker = lookers[at]
      ) {
        follows(last, looker);
        follows(looker, write);
        at += 1;
      }
      follows(last, write);
      last = write;
    }
    for (const looker of lookers.slice(at)) follows(last, looker);
  }
  return emitAll(history, involved, next, before);
}

function emitAll(
  history: readonly RecordedOperation[],
  involved: ReadonlySet<number>,
  next: readonly (readonly number[])[],
  before: Uint32Array,
): number | undefined {
  const startOf = (operation: number): number => history[operation]?.startUs ?? 0;
  const endOf = (operation: number): number => history[operation]?.endUs ?? Number.POSITIVE_INFINITY;
  const byEnd = [...involved].sort((one, other) => endOf(one) - endOf(other));
  const emitted = new Uint8Array(history.length);
  const ready = createHeap(startOf);
  for (const operation of involved) if (before[operation] === 0) ready.push(operation);
  let firstLeft = 0;
  for (let count = 0; count < involved.size; count += 1) {
    while (emitted[byEnd[firstLeft] ?? 0] === 1) firstLeft += 1;
    const operation = ready.pop();
    const left = byEnd[firstLeft] ?? 0;
    if (operation === undefined || startOf(operation) > endOf(left)) return left;
    emitted[operation] = 1;
    for (const follower of next[operation] ?? []) {
      const remaining = (before[follower] ?? 0) - 1;
      before[follower] = remaining;
      if (remaining === 0) ready.push(follower);
    }
  }
  return undefined;
}

function byVersion(one: BucketEvent, other: BucketEvent): number {
  return versionOf(one) - versionOf(other);
}

function versionOf({ state }: BucketEvent): number {
  return state?.version ?? 0;
}

function createHeap(rank: (item: number) => number): { push(item: number): void; pop(): number | undefined } {
  const items: number[] = [];
  const at = (place: number): number => items[place] ?? 0;
  const isLess = (one: number, other: number): boolean => rank(at(one)) < rank(at(other));
  const swap = (one: number, other: number): void => {
    const item = at(one);
    items[one] = at(other);
    items[other] = item;
  };
  return {
    push: (item) => {
      items.push(item);
      for (let place = items.length - 1; place > 0; ) {
        const parent = (place - 1) >> 1;
        if (!isLess(place, parent)) break;
        swap(place, parent);
        place = parent;
      }
    },
    pop: () => {
      if (items.length === 0) return undefined;
      swap(0, items.length - 1);
      const first = items.pop();
      for (let place = 0; ; ) {
        let least = place;
        for (const child of [2 * place + 1, 2 * place + 2])
          if (child < items.length && isLess(child, least)) least = child;
        if (least === place) return first;
        swap(place, least);
        place = least;
      }
    },
  };
}
