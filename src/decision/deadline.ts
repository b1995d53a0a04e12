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
  const allowedMs = Math.min(deadlineMs ?? ports.maxWaitMs, ports.maxWaitMs);
  const dueMs = start.monotonicMs + allowedMs;
  let cancel: (() => void) | undefined;
  let passed: Promise<never> | undefined;

  function startOnce(): Promise<never> {
    passed ??= new Promise((_resolve, reject) => {
      cancel = ports.startTimer(Math.max(0, dueMs - ports.clock.now().monotonicMs), () => reject(tooLate()));
    });
    return passed;
  }

  return {
    wait(value, late) {
      if (!(value instanceof Promise)) return Promise.resolve(value);
      return new Promise((resolve, reject) => {
        // INVARIANT: a value that arrives is either handed on or given to `late`, never neither.
        let waiting = true;
        startOnce().catch((error: unknown) => {
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
    },
    check() {
      if (ports.clock.now().monotonicMs > dueMs) throw tooLate();
    },
    stop() {
      cancel?.();
    },
  };
}

function tooLate(): RequestFault {
  return new RequestFault('deadline', 'no decision within the deadline of the caller');
}
