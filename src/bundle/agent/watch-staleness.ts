import type { Clock, StartTimer } from '../../decision/ports.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { type Staleness, WARN_ONLY, worstOf } from './staleness.ts';
import { staleOf, type Watched } from './watched-state.ts';

export interface StalenessWatchOptions {
  readonly watched: readonly Watched[];
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  readonly onStaleness: (staleness: Staleness) => void;
  /** Each second, for what else becomes due by time alone. */
  readonly onTick: () => void;
}

/** Looks once a second whether time has made something stale. */
export interface StalenessWatch {
  readonly start: () => void;
  readonly stop: () => void;
  /** Looks now. */
  readonly refresh: () => void;
  /** As it was last seen: may be asked at every request. */
  readonly current: () => Staleness;
}

export function createStalenessWatch(options: StalenessWatchOptions): StalenessWatch {
  const { watched, clock, startTimer, logger, onStaleness, onTick } = options;
  let told: Staleness = { level: 'fresh', reasons: [] };
  let cancel = (): void => {};

  const judged = (): Staleness => {
    const at = clock.now();
    return worstOf(
      watched.flatMap((one) => {
        const cause = staleOf(one, at);
        return cause === undefined ? [] : [{ name: one.name, cause, level: (one.stale ?? WARN_ONLY).level }];
      }),
    );
  };

  const refresh = (): void => {
    const now = judged();
    if (now.level !== told.level || now.reasons.join() !== told.reasons.join()) {
      told = now;
      if (now.level === 'fresh') logger.info({}, 'bundles are fresh again');
      else logger.warn({ reasons: now.reasons, level: now.level }, 'bundles are stale');
      onStaleness(now);
    }
  };

  const look = (): void => {
    refresh();
    onTick();
    cancel = startTimer(TICK_MS, look);
  };

  return { start: look, stop: () => cancel(), refresh, current: () => told };
}

const TICK_MS = 1_000;
