import type { StartTimer } from '../decision/ports.ts';

/** What ends after a delay unless it was cancelled before. */
export interface Deadline {
  /** Also when it is over already. */
  cancel(): void;
}

/** The deadlines of many calls, of which nearly all are cancelled. */
export interface Deadlines<Call> {
  /** `late` is told of the call once it is over; never early. */
  start(delayMs: number, call: Call): Deadline;
  /** No timer is kept for what may still come. */
  close(): void;
}

/**
 * One timer for each delay and not for each call: gateways name the same few, and who waits equally long is due in the
 * order in which he came.
 */
export function createDeadlines<Call>(
  startTimer: StartTimer,
  late: (call: Call) => void,
  nowMs: () => number = () => performance.now(),
): Deadlines<Call> {
  const lines = new Map<number, Line<Call>>();
  let closed = false;

  function ring(line: Line<Call>): void {
    line.cancelTimer = undefined;
    try {
      for (let first = line.first; first !== undefined && first.dueMs <= nowMs(); first = line.first) {
        line.remove(first);
        late(first.call);
      }
    } finally {
      if (line.first === undefined) lines.delete(line.delayMs);
      else arm(line, line.first.dueMs - nowMs());
    }
  }

  function arm(line: Line<Call>, delayMs: number): void {
    line.cancelTimer = startTimer(Math.max(0, delayMs), () => ring(line));
  }

  function emptied(line: Line<Call>): void {
    // Else the timer stays: with the next call it is needed again.
    if (closed) drop(line);
  }

  function drop(line: Line<Call>): void {
    line.cancelTimer?.();
    line.cancelTimer = undefined;
    lines.delete(line.delayMs);
  }

  function dropIdle(): void {
    for (const line of [...lines.values()]) if (line.first === undefined) drop(line);
  }

  return {
    start(delayMs, call) {
      let line = lines.get(delayMs);
      if (line === undefined) {
        if (lines.size >= MAX_LINES) dropIdle();
        if (lines.size >= MAX_LINES) return { cancel: startTimer(delayMs, () => late(call)) };
        line = new Line(delayMs, emptied);
        lines.set(delayMs, line);
      }
      const wait = new Wait(nowMs() + delayMs, call, line);
      line.add(wait);
      if (line.cancelTimer === undefined) arm(line, delayMs);
      return wait;
    },
    close() {
      closed = true;
      dropIdle();
    },
  };
}

/** Callers choose their delays; beyond so many each call has a timer of its own. */
const MAX_LINES = 32;

/** All that wait equally long, in the order in which they are due. */
class Line<Call> {
  readonly delayMs: number;
  readonly #emptied: (line: Line<Call>) => void;
  first: Wait<Call> | undefined;
  #last: Wait<Call> | undefined;
  cancelTimer: (() => void) | undefined;

  constructor(delayMs: number, emptied: (line: Line<Call>) => void) {
    this.delayMs = delayMs;
    this.#emptied = emptied;
  }

  add(wait: Wait<Call>): void {
    wait.before = this.#last;
    if (this.#last === undefined) this.first = wait;
    else this.#last.after = wait;
    this.#last = wait;
  }

  remove(wait: Wait<Call>): void {
    const { before, after } = wait;
    if (before === undefined) this.first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    wait.line = undefined;
    wait.before = undefined;
    wait.after = undefined;
  }

  cancelled(wait: Wait<Call>): void {
    this.remove(wait);
    if (this.first === undefined) this.#emptied(this);
  }
}

class Wait<Call> implements Deadline {
  readonly dueMs: number;
  readonly call: Call;
  /** Until it is over. */
  line: Line<Call> | undefined;
  before: Wait<Call> | undefined;
  after: Wait<Call> | undefined;

  constructor(dueMs: number, call: Call, line: Line<Call>) {
    this.dueMs = dueMs;
    this.call = call;
    this.line = line;
  }

  cancel(): void {
    this.line?.cancelled(this);
  }
}
