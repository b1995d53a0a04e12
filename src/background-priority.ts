import { setPriority } from 'node:os';

/**
 * Makes the thread that calls it wait where one that answers requests wants its processor. On Linux alone a priority is a
 * thread's (setpriority(2)); elsewhere it would be the whole process's, and nothing is done.
 */
export function yieldToRequests(): void {
  if (process.platform !== 'linux') return;
  try {
    setPriority(NICE);
  } catch {
    // Where a sandbox forbids it, the thread works as it did: no answer depends on it.
  }
}

/** A third of the weight of a usual thread. */
const NICE = 5;
