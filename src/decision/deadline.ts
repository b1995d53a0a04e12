import { RequestFault } from './errors.ts';
import type { AuthorizePorts, Instant } from './ports.ts';

/** One request's deadline. A timer runs only while something is really waited for. */
export interface Deadline {
  /**
   * The value, or a `RequestFault` `deadline` when it does not come in time; `late` then receives it, so that what it
   * stands for can be undone.
   */
  wait<T>(value: Promise<T> | T, late?: (value: T) => void): Promise<T>;
  /** Throws a `RequestFault` `deadline` when the deadline has passed; `nowMs` is monotonic. */
  check(nowMs: number): void;
  /** Nothing is waited for any more. */
  stop(): void;
}

type DeadlinePorts = Pick<AuthorizePorts, 'clock' | 'startTimer' | 'maxWaitMs'>;

/** Starts the deadline of a request that began at `start`. */
export type StartDeadline = (start: Instant, deadlineMs: number | undefined) => Deadline;

/** One timer for all requests that wait and not for each: nearly all have their answer long before. */
export function createDeadlines(ports: DeadlinePorts): StartDeadline {
  const bell = new Bell(ports);
  return (start, deadlineMs) => {
    const allowedMs = deadlineMs === undefined ? ports.maxWaitMs : Math.min(deadlineMs, ports.maxWaitMs);
    return new RequestDeadline(bell, start.monotonicMs + allowedMs);
  };
}

/** A class, so that a request that waits for nothing costs no closures. */
class RequestDeadline implements Deadline {
  readonly #bell: Bell;
  readonly dueMs: number;
  #passed = false;
  /** What waits is told, each once at the most. */
  #waiting: (() => void)[] | undefined;

  constructor(bell: Bell, dueMs: number) {
    this.#bell = bell;
    this.dueMs = dueMs;
  }

  wait<T>(value: Promise<T> | T, late?: (value: T) => void): Promise<T> {
    if (!(value instanceof Promise)) return Promise.resolve(value);
    return new Promise((resolve, reject) => {
      // INVARIANT: a value that arrives is either handed on or given to `late`, never neither.
      let waiting = true;
      value.then(
        (arrived) => {
          if (waiting) resolve(arrived);
          else late?.(arrived);
          waiting = false;
        },
        (error: unknown) => {
          if (waiting) reject(error);
          waiting = false;
        },
      );
      const give = (fault: unknown): void => {
        if (waiting) reject(fault);
        waiting = false;
      };
      try {
        this.#tellWhenPassed(() => give(tooLate()));
      } catch (error) {
        give(error);
      }
    });
  }

  check(nowMs: number): void {
    if (nowMs > this.dueMs) throw tooLate();
  }

  stop(): void {
    if (this.#waiting !== undefined) this.#bell.remove(this);
    this.#waiting = undefined;
  }

  /** To be called once it is over. */
  pass(): void {
    this.#passed = true;
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const tell of waiting) tell();
  }

  #tellWhenPassed(tell: () => void): void {
    if (this.#passed) {
      tell();
    } else if (this.#waiting === undefined) {
      this.#waiting = [tell];
      this.#bell.add(this);
    } else {
      this.#waiting.push(tell);
    }
  }
}

/** Rings for each deadline that is over, by one timer, which is set for the first of them. */
class Bell {
  readonly #ports: DeadlinePorts;
  readonly #waiting = new Set<RequestDeadline>();
  #setMs = Number.POSITIVE_INFINITY;
  #cancel: (() => void) | undefined;

  constructor(ports: DeadlinePorts) {
    this.#ports = ports;
  }

  add(deadline: RequestDeadline): void {
    this.#waiting.add(deadline);
    // Asked so that one of a clock that reads no number is over at once.
    if (!(deadline.dueMs >= this.#setMs)) this.#set(deadline.dueMs);
  }

  /** The timer stays while others wait: it rings, and is set anew, when the first of them was due. */
  remove(deadline: RequestDeadline): void {
    if (this.#waiting.delete(deadline) && this.#waiting.size === 0) this.#stop();
  }

  /** It is `sinceMs` at least, whatever the clock says. Throws where that cannot be read; the timer then stays as it was. */
  #set(dueMs: number, sinceMs = Number.NEGATIVE_INFINITY): void {
    const leftMs = dueMs - Math.max(sinceMs, this.#ports.clock.now().monotonicMs);
    this.#stop();
    this.#setMs = dueMs;
    this.#cancel = this.#ports.startTimer(leftMs > 0 ? leftMs : 0, () => this.#ring());
  }

  #stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#setMs = Number.POSITIVE_INFINITY;
  }

  #ring(): void {
    // Timers are never early: no clock has to be asked what is over.
    const untilMs = this.#setMs;
    const nextMs = this.#tell(untilMs);
    this.#cancel = undefined;
    this.#setMs = Number.POSITIVE_INFINITY;
    if (nextMs === undefined) return;
    try {
      // A clock that stands still must not make the others wait longer.
      this.#set(nextMs, untilMs);
    } catch {
      // INVARIANT: nobody waits without a timer.
      this.#tell(Number.POSITIVE_INFINITY);
    }
  }

  /** Tells all that are due until then, and answers when the next one is. */
  #tell(untilMs: number): number | undefined {
    let nextMs: number | undefined;
    for (const deadline of this.#waiting) {
      if (deadline.dueMs > untilMs) {
        nextMs = nextMs === undefined || deadline.dueMs < nextMs ? deadline.dueMs : nextMs;
      } else {
        this.#waiting.delete(deadline);
        deadline.pass();
      }
    }
    return nextMs;
  }
}

function tooLate(): RequestFault {
  return new RequestFault('deadline', 'no decision within the deadline of the caller');
}
