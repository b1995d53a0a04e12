import type { StartTimer } from '../../decision/ports.ts';
import { createPoller, type Poller, type PollResult } from '../poller.ts';
import type { Watched } from './watched-state.ts';

export interface AskSourcesOptions {
  readonly startTimer: StartTimer;
  /** In [0, 1). */
  readonly random: () => number;
  /** Asks the bundle's source; `waitSeconds` is asked when its turn has come. */
  readonly attempt: (one: Watched, signal: AbortSignal, waitSeconds: () => number) => Promise<PollResult>;
  /** Asks for what is tried beside it. */
  readonly attemptTrial: (one: Watched, signal: AbortSignal, waitSeconds: number) => Promise<PollResult>;
}

/** The pollers of one bundle: of its url, and of its candidate's. None is started. */
export function pollersOf(one: Watched, options: AskSourcesOptions): readonly Poller[] {
  const { minDelayMs, maxDelayMs, longPollSeconds = 0, trial } = one;
  const { startTimer, random, attempt, attemptTrial } = options;
  const timing = { minDelayMs, maxDelayMs, random, startTimer };
  // Nothing is held before the source was heard, and nothing after a fault: the answer is wanted at once.
  const waitSeconds = (): number => (one.heard && one.lastError === undefined ? longPollSeconds : 0);
  const trialWaitSeconds = (): number => (one.candidate?.heard() === true ? longPollSeconds : 0);
  const poll = (attemptOnce: (signal: AbortSignal) => Promise<PollResult>): Poller =>
    createPoller({ ...timing, attempt: attemptOnce });
  return [
    ...(one.source.kind === 'url' ? [poll((signal) => attempt(one, signal, waitSeconds))] : []),
    ...(trial !== undefined && (trial.kind === 'orders' || trial.source.kind === 'url')
      ? [poll((signal) => attemptTrial(one, signal, trialWaitSeconds()))]
      : []),
  ];
}
