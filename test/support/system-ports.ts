import type { Clock, StartTimer } from '../../src/decision/ports.ts';

/** The machine's own clocks, for tests that run real doors. */
export const systemClock: Clock = { now: () => ({ epochMs: Date.now(), monotonicMs: performance.now() }) };

export const startSystemTimer: StartTimer = (delayMs, late) => {
  const timer = setTimeout(late, delayMs);
  return () => clearTimeout(timer);
};

/**
 * The system’s clock, two months slow until `arrive` is called: what is made before began long ago. In the period of its
 * start a replica has no share of its own for when the quota store fails.
 */
export function createEarlierClock(): { readonly clock: Clock; readonly arrive: () => void } {
  let agoMs = 60 * 86_400_000;
  const clock = {
    now: () => {
      const { epochMs, monotonicMs } = systemClock.now();
      return { epochMs: epochMs - agoMs, monotonicMs: monotonicMs - agoMs };
    },
  };
  return {
    clock,
    arrive: () => {
      agoMs = 0;
    },
  };
}
