import type { StartTimer } from '../decision/ports.ts';

/** What came of an attempt. `again`: it went well and the next one is to follow at once, as long polls do. */
export type PollResult = 'good' | 'failed' | 'again';

export interface PollerOptions {
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  /** In [0, 1). */
  readonly random: () => number;
  readonly startTimer: StartTimer;
  /** One attempt. Must not throw. */
  readonly attempt: (signal: AbortSignal) => Promise<PollResult>;
}

export interface Poller {
  /** Makes the first attempt at once and goes on until `stop`; one attempt at a time. */
  start(): void;
  /** Aborts the attempt under way and waits for it. */
  stop(): Promise<void>;
}

/**
 * Attempts again and again: after a good one at a random time between the two delays; after a bad one soon, then ever
 * later up to the longest delay, so that a source that comes back is found without being stormed.
 */
export function createPoller({ minDelayMs, maxDelayMs, random, startTimer, attempt }: PollerOptions): Poller {
  const stopping = new AbortController();
  let cancelTimer = (): void => {};
  let running: Promise<void> = Promise.resolve();
  let failures = 0;

  const turn = async (): Promise<void> => {
    const result = await attempt(stopping.signal);
    failures = result === 'failed' ? failures + 1 : 0;
    if (!stopping.signal.aborted) cancelTimer = startTimer(nextDelayMs(result), begin);
  };
  const begin = (): void => {
    running = turn();
  };
  const nextDelayMs = (result: PollResult): number => {
    // Drawn, because all instances are answered in the same moment.
    if (result === 'again') return AGAIN_MS * (0.1 + 0.9 * random());
    if (result === 'good') return minDelayMs + random() * (maxDelayMs - minDelayMs);
    const ceilingMs = Math.min(maxDelayMs, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 20));
    return ceilingMs * (0.5 + random() / 2);
  };

  return {
    start: begin,
    stop: async () => {
      stopping.abort();
      cancelTimer();
      await running;
    },
  };
}

const FIRST_RETRY_MS = 500;
const AGAIN_MS = 500;
