import type { Clock, Instant, StartTimer } from '../decision/ports.ts';
import type { KeySet } from './key-set.ts';

/** Where one issuer's keys come from: the last good set, refreshed behind the requests. */
export interface KeySource {
  /** The set in force; `undefined` when none was ever loaded or the last good one is too old. */
  current(at: Instant): KeySet | undefined;
  /**
   * Asks for newer keys. Resolves when they are there, or after a short wait, never rejects; `undefined` when the
   * cool-down forbids another attempt.
   */
  refresh(): Promise<void> | undefined;
  /** Resolves when the first attempt is over, well or not. */
  start(): Promise<void>;
  stop(): void;
  /** Why there is no set in force, `undefined` when there is one. */
  fault(at: Instant): string | undefined;
}

export interface KeySourceOptions {
  /** Reads the set's text; must give up when the signal aborts. */
  readonly load: (signal: AbortSignal) => Promise<string>;
  readonly parse: (text: string) => Promise<KeySet>;
  readonly timing: KeySourceTiming;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  /** In [0, 1): spreads the refreshes of many processes. */
  readonly random: () => number;
  readonly report: (refreshed: Refreshed) => void;
}

export interface KeySourceTiming {
  /** At most one attempt begins in this span, whatever tokens ask for. */
  readonly cooldownMs: number;
  readonly refreshMs: number;
  /** How long a set stays in force without being confirmed. */
  readonly maxAgeMs: number;
  readonly timeoutMs: number;
}

/** What an attempt came to, for logs and metrics. */
export type Refreshed =
  | { readonly kind: 'loaded'; readonly keys: number; readonly changed: boolean }
  | { readonly kind: 'failed'; readonly cause: string };

/** How long a request waits for a refresh that its token caused: a gateway's deadline is a fraction of a second. */
const WAIT_MS = 100;

/**
 * Keeps one issuer's key set: one attempt in flight, at most one per cool-down, the last good set kept through
 * failures up to its maximum age. An answer that comes after its attempt was given up is dropped.
 */
export function createKeySource(options: KeySourceOptions): KeySource {
  const { load, parse, timing, clock, startTimer, random, report } = options;
  let loaded: Loaded | undefined;
  let attemptedAtMs = Number.NEGATIVE_INFINITY;
  let attempt: Attempt | undefined;
  let lastFault = 'its keys were never loaded';
  let running = false;
  let cancelNext = (): void => {};

  function begin(): Attempt {
    cancelNext();
    attemptedAtMs = clock.now().monotonicMs;
    const controller = new AbortController();
    const over = run(controller, attemptedAtMs);
    const started: Attempt = { controller, over, wait: orAfter(over, WAIT_MS, startTimer) };
    attempt = started;
    return started;
  }

  async function run(controller: AbortController, startedAtMs: number): Promise<void> {
    const cancelTimeout = startTimer(timing.timeoutMs, () => {
      controller.abort(new Error(`no answer within ${timing.timeoutMs} ms`));
    });
    try {
      const answer = await orAborted(loadSet(controller.signal), controller.signal);
      if (attempt?.controller !== controller) return;
      const changed = answer.set.digest !== loaded?.set.digest;
      // An equal set keeps its identity, so that what was verified with it stays verified.
      loaded = {
        ...answer,
        set: changed || loaded === undefined ? answer.set : loaded.set,
        confirmedAtMs: startedAtMs,
      };
      report({ kind: 'loaded', keys: answer.set.keys.length, changed });
      endAttempt(timing.refreshMs * (0.9 + 0.2 * random()));
    } catch (error) {
      if (attempt?.controller !== controller) return;
      lastFault = faultText(error);
      report({ kind: 'failed', cause: lastFault });
      endAttempt(timing.cooldownMs * (1 + 0.1 * random()));
    } finally {
      cancelTimeout();
    }
  }

  async function loadSet(signal: AbortSignal): Promise<{ text: string; set: KeySet }> {
    const text = await load(signal);
    return { text, set: loaded?.text === text ? loaded.set : await parse(text) };
  }

  function endAttempt(nextMs: number): void {
    attempt = undefined;
    cancelNext = startTimer(Math.max(nextMs, timing.cooldownMs), begin);
  }

  function current(at: Instant): KeySet | undefined {
    if (loaded === undefined || !(at.monotonicMs - loaded.confirmedAtMs <= timing.maxAgeMs)) return undefined;
    return loaded.set;
  }

  return {
    current,
    refresh: () => {
      if (attempt !== undefined) return attempt.wait;
      if (!running || clock.now().monotonicMs - attemptedAtMs < timing.cooldownMs) return undefined;
      return begin().wait;
    },
    start: () => {
      running = true;
      return (attempt ?? begin()).over;
    },
    stop: () => {
      running = false;
      cancelNext();
      attempt?.controller.abort(new Error('stopped'));
      attempt = undefined;
    },
    fault: (at) => {
      const set = current(at);
      if (set !== undefined) return set.keys.length === 0 ? 'its key set has no usable key' : undefined;
      return loaded === undefined ? lastFault : `its keys are too old: ${lastFault}`;
    },
  };
}

/** A source whose one set never changes: the demo issuer's own key. */
export function createFixedKeySource(set: KeySet): KeySource {
  return {
    current: () => set,
    refresh: () => undefined,
    start: () => Promise.resolve(),
    stop: () => {},
    fault: () => undefined,
  };
}

interface Loaded {
  readonly text: string;
  readonly set: KeySet;
  readonly confirmedAtMs: number;
}

interface Attempt {
  readonly controller: AbortController;
  readonly over: Promise<void>;
  /** As `over`, but no longer than {@link WAIT_MS}. */
  readonly wait: Promise<void>;
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  return Promise.race([work, aborted]);
}

function orAfter(work: Promise<void>, delayMs: number, startTimer: StartTimer): Promise<void> {
  return new Promise((resolve) => {
    const cancel = startTimer(delayMs, resolve);
    const end = (): void => {
      cancel();
      resolve();
    };
    work.then(end, end);
  });
}

function faultText(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown failure';
  const { cause } = error;
  return cause instanceof Error ? `${error.message}: ${cause.message}` : error.message;
}
