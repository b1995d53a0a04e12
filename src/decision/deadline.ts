import { RequestFault } from './errors.ts';
import type { AuthorizePorts, Instant } from './ports.ts';

/** One request's deadline. A timer runs only while something is really waited for. */
export interface Deadline {
  /**
   * The value, or a `RequestFault` `deadline` when it does not come in time; `late` then receives it, so that what it
   * stands for can be undone.
   */
  wait<T>(value: Promise<T> | T, late?: (value: T) => void): Promise<T>;
  /** Throws a `RequestFault` `deadline` when the deadline has passed. */
  check(): void;
  /** Stops the timer, if one runs. */
  stop(): void;
}

type DeadlinePorts = Pick<AuthorizePorts, 'clock' | 'startTimer' | 'maxWaitMs'>;

export function createDeadline(ports: DeadlinePorts, start: Instant, deadlineMs: number | undefined): Deadline {
  const allowedMs = deadlineMs === undefined ? ports.maxWaitMs : Math.min(deadlineMs, ports.maxWaitMs);
  return new RequestDeadline(ports, start.monotonicMs + allowedMs);
}

/** A class, so that a request that waits for nothing costs no closures. */
class RequestDeadline implements Deadline {
  readonly #ports: DeadlinePorts;
  readonly #dueMs: number;
  #cancel: (() => void) | undefined;
  #passed: Promise<never> | undefined;

  constructor(ports: DeadlinePorts, dueMs: number) {
    this.#ports = ports;
    this.#dueMs = dueMs;
  }

  wait<T>(value: Promise<T> | T, late?: (value: T) => void): Promise<T> {
    if (!(value instanceof Promise)) return Promise.resolve(value);
    return new Promise((resolve, reject) => {
      // INVARIANT: a value that arrives is either handed on or given to `late`, never neither.
      let waiting = true;
      this.#startOnce().catch((error: unknown) => {
        if (waiting) reject(error);
        waiting = false;
      });
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
    });
  }

  check(): void {
    if (this.#ports.clock.now().monotonicMs > this.#dueMs) throw tooLate();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #startOnce(): Promise<never> {
    this.#passed ??= new Promise((_resolve, reject) => {
      const leftMs = this.#dueMs - this.#ports.clock.now().monotonicMs;
      this.#cancel = this.#ports.startTimer(Math.max(0, leftMs), () => reject(tooLate()));
    });
    return this.#passed;
  }
}

function tooLate(): RequestFault {
  return new RequestFault('deadline', 'no decision within the deadline of the caller');
}
