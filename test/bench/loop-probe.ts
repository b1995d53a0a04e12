import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

// Loaded into a service before its own code (`node --import`): on SIGUSR2 it says for how long its event loop was
// blocked at the longest since it was last asked. Its workers load this too, and are left alone.
const RESOLUTION_MS = 1;

if (isMainThread) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  let asked = 0;
  process.on('SIGUSR2', () => {
    asked += 1;
    console.error(`${LINE} ${asked} ${Math.max(0, delay.max / 1e6 - RESOLUTION_MS)}`);
    delay.reset();
  });
}

/** How the line begins that says so; then the number of the question, and milliseconds. */
export const LINE = 'event-loop-blocked';
