/** A bounded queue between the reply path and the work that may wait. */
export interface Queue<Item> {
  /** Takes constant time and does none of the work; `false` when the queue is full and the item is not in it. */
  push(item: Item): boolean;
  readonly length: number;
  /** Consumes all that is waiting, now. */
  drain(): void;
}

export interface QueueOptions<Item> {
  readonly maxItems: number;
  /** Must not throw. */
  readonly consume: (item: Item) => void;
  /** Calls back once, after the work that is under way; `setImmediate` in a service. */
  readonly schedule: (run: () => void) => void;
  readonly monotonicMs: () => number;
  /** After a batch was consumed: there is room again. */
  readonly onProgress?: () => void;
}

/** Consumes in batches of about a millisecond between two turns of the event loop, longer when it is filling up. */
export function createQueue<Item>(options: QueueOptions<Item>): Queue<Item> {
  const { maxItems, consume, schedule, monotonicMs, onProgress } = options;
  let waiting: Item[] = [];
  let batch: readonly Item[] = [];
  let next = 0;
  let scheduled = false;

  const length = (): number => waiting.length + batch.length - next;
  const one = (): boolean => {
    if (next === batch.length) {
      if (waiting.length === 0) {
        // Consumed items are not held until the next batch.
        batch = [];
        next = 0;
        return false;
      }
      batch = waiting;
      waiting = [];
      next = 0;
    }
    const item = batch[next];
    next += 1;
    // `next` was in bounds, and an item is never undefined by the caller's type or it is consumed as such.
    consume(item as Item);
    return true;
  };
  const run = (): void => {
    scheduled = false;
    const budgetMs = length() * 2 > maxItems ? LONG_BATCH_MS : BATCH_MS;
    const untilMs = monotonicMs() + budgetMs;
    let consumed = 0;
    while (one()) {
      consumed += 1;
      if (consumed % ITEMS_BETWEEN_CLOCK_READINGS === 0 && monotonicMs() >= untilMs) break;
    }
    if (length() > 0) plan();
    onProgress?.();
  };
  const plan = (): void => {
    if (scheduled) return;
    scheduled = true;
    schedule(run);
  };

  return {
    push: (item) => {
      if (length() >= maxItems) return false;
      waiting.push(item);
      plan();
      return true;
    },
    get length() {
      return length();
    },
    drain: () => {
      while (one());
    },
  };
}

const BATCH_MS = 1;
const LONG_BATCH_MS = 5;
const ITEMS_BETWEEN_CLOCK_READINGS = 8;
