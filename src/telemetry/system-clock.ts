import type { Clock, StartTimer } from '../decision/ports.ts';

/** The machine's own clocks. */
export const systemClock: Clock = { now: () => ({ epochMs: Date.now(), monotonicMs: performance.now() }) };

/** Node's timers. */
export const startSystemTimer: StartTimer = (delayMs, late) => {
  const timer = setTimeout(late, delayMs);
  return () => clearTimeout(timer);
};
