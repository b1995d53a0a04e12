import type { Clock } from '../../src/decision/ports.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';

/** The machine's own clocks and timers, for tests that run real doors. */
export { startSystemTimer, systemClock, threadCpuMs } from '../../src/telemetry/system-clock.ts';

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
