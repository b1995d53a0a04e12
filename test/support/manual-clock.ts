import type { Clock, Instant, StartTimer } from '../../src/decision/ports.ts';

/** A clock that stands still until it is told to move; both readings move together unless `setEpoch` parts them. */
export interface ManualClock extends Clock {
  /** The same clock as timers see it: `advance` calls what has come due, in order of due time. */
  readonly startTimer: StartTimer;
  advance(ms: number): void;
  /** Moves the wall clock alone, as an operator or NTP would. */
  setEpoch(epochMs: number): void;
  /** Timers started and neither called nor cancelled. */
  pendingTimers(): number;
}

export function createManualClock(start: Partial<Instant> = {}): ManualClock {
  let epochMs = start.epochMs ?? Date.UTC(2026, 10, 2, 12);
  let monotonicMs = start.monotonicMs ?? 1_000;
  const timers = new Set<{ readonly dueMs: number; readonly late: () => void }>();

  return {
    now: () => ({ epochMs, monotonicMs }),
    startTimer: (delayMs, late) => {
      const timer = { dueMs: monotonicMs + delayMs, late };
      timers.add(timer);
      return () => {
        timers.delete(timer);
      };
    },
    advance: (ms) => {
      const untilMs = monotonicMs + ms;
      for (;;) {
        const [next] = [...timers].filter((timer) => timer.dueMs <= untilMs).sort((a, b) => a.dueMs - b.dueMs);
        if (next === undefined) break;
        timers.delete(next);
        epochMs += Math.max(0, next.dueMs - monotonicMs);
        monotonicMs = Math.max(monotonicMs, next.dueMs);
        next.late();
      }
      epochMs += untilMs - monotonicMs;
      monotonicMs = untilMs;
    },
    setEpoch: (ms) => {
      epochMs = ms;
    },
    pendingTimers: () => timers.size,
  };
}
