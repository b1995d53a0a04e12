import type { Clock, StartTimer } from '../decision/ports.ts';

/** The machine's own clocks. */
export const systemClock: Clock = { now: () => ({ epochMs: Date.now(), monotonicMs: performance.now() }) };

/** What the thread that asks has had of a processor, in milliseconds. */
export function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

/**
 * Node's timers, and never early: Node counts from when its loop last read the clock, so that one which is started after
 * a stall in the same turn would be over at once, and would say of somebody healthy that he did not answer in time.
 */
export const startSystemTimer: StartTimer = (delayMs, late) => {
  const dueMs = performance.now() + delayMs;
  const ring = (): void => {
    const leftMs = dueMs - performance.now();
    if (leftMs > 1) timer = setTimeout(ring, leftMs);
    else late();
  };
  let timer = setTimeout(ring, Math.max(0, delayMs));
  return () => clearTimeout(timer);
};
