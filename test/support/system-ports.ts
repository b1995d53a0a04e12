import type { Clock, StartTimer } from '../../src/decision/ports.ts';

/** The machine's own clocks, for tests that run real doors. */
export const systemClock: Clock = { now: () => ({ epochMs: Date.now(), monotonicMs: performance.now() }) };

export const startSystemTimer: StartTimer = (delayMs, late) => {
  const timer = setTimeout(late, delayMs);
  return () => clearTimeout(timer);
};
