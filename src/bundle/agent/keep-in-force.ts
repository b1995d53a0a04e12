import type { Clock, StartTimer } from '../../decision/ports.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { KeptCopies } from './kept-copies.ts';
import { ageOf, type Watched } from './watched-state.ts';

export interface KeepOptions {
  /** Absent: no copy is kept, and only the mark is raised. */
  readonly copies: KeptCopies | undefined;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly logger: Pick<Logger, 'warn'>;
  readonly metrics: Pick<Metrics, 'bundleCopyFailed'>;
}

/** Writes what is in force to disk: its copy, then the mark below which nothing is believed. */
export interface KeepInForce {
  /** Never rejects, and waits no longer than some seconds: a disk that fails is warned of and counted. */
  readonly keep: (one: Watched) => Promise<void>;
  /** The same, when it is due: after a failure, or when the copy does not know by far how fresh it is. */
  readonly refresh: (one: Watched) => void;
}

export function createKeepInForce({ copies, clock, startTimer, logger, metrics }: KeepOptions): KeepInForce {
  const keepNow = async (one: Watched): Promise<void> => {
    const { active, name } = one;
    const last = active?.archives.at(-1);
    if (active === undefined || last === undefined) return;
    const at = clock.now();
    const results = await inOrder([
      // A copy first: after a crash between the two there is one that the mark lets through.
      () =>
        copies?.write(name, {
          archives: active.archives,
          confirmedAtEpochMs: at.epochMs - ageOf(one, at),
          ...(active.etag === undefined ? {} : { etag: active.etag }),
          ...(active.supersedes === undefined ? {} : { supersedes: active.supersedes }),
        }),
      () =>
        one.authority.raise({ sha256: last.sha256, ...(active.claims === undefined ? {} : { claims: active.claims }) }),
    ]);
    for (const error of results) {
      metrics.bundleCopyFailed(name);
      const text = error instanceof Error ? error.message : String(error);
      logger.warn(
        { bundle: name, error: text },
        'bundle in force, but not kept on disk: after a restart it may be missing, or an older one believed',
      );
    }
    one.triedAtMonotonicMs = at.monotonicMs;
  };

  const keep = (one: Watched): Promise<void> => {
    one.keeping = one.keeping.then(() => keepNow(one));
    return within(one.keeping, startTimer);
  };

  return {
    keep,
    refresh: (one) => {
      const last = one.triedAtMonotonicMs;
      if (last === undefined || clock.now().monotonicMs - last >= REFRESH_MS) void keep(one);
    },
  };
}

const REFRESH_MS = 60_000;
const MAX_WAIT_MS = 5_000;

/** Waits for the work, for some seconds at most. */
export function within(work: Promise<void>, startTimer: StartTimer): Promise<void> {
  return new Promise((resolve) => {
    const cancel = startTimer(MAX_WAIT_MS, resolve);
    void work.then(() => {
      cancel();
      resolve();
    });
  });
}

/** Each after the other, whatever becomes of it; answers what went wrong. */
async function inOrder(steps: readonly (() => Promise<void> | undefined)[]): Promise<readonly unknown[]> {
  const faults: unknown[] = [];
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      faults.push(error);
    }
  }
  return faults;
}
