import type { Clock, Instant, MatchedRoute, StartTimer } from '../decision/ports.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { RolloutMetrics } from '../telemetry/rollout-metrics.ts';
import { MAX_OBSERVE_MS, type ObserveConfig, observeEndMs } from './config.ts';

/** Which routes are only watched, by local config; ends by itself. */
export interface Observe {
  /** Asked for each denial of a policy or quota; `true`: it is recorded and not made. */
  readonly observes: (route: MatchedRoute, at: Instant) => boolean;
  /** Says what is observed, and says it again every ten minutes until nothing is. */
  readonly start: () => void;
  readonly stop: () => void;
}

export interface ObserveParts {
  readonly config: readonly ObserveConfig[];
  readonly clock: Clock;
  /** The later of the clock and the newest time ever seen here, also before a restart; asked from `start` on. */
  readonly nowEpochMs: () => number;
  readonly startTimer: StartTimer;
  readonly logger: Pick<Logger, 'warn' | 'limited'>;
  readonly metrics: Pick<RolloutMetrics, 'observedDenial'>;
}

const REMIND_MS = 600_000;

export function createObserve({ config, clock, nowEpochMs, startTimer, logger, metrics }: ObserveParts): Observe {
  const routes = new Map<string, Observed>();
  let cancel: (() => void) | undefined;

  function begin(): void {
    const nowMs = nowEpochMs();
    const { monotonicMs } = clock.now();
    for (const { route, until } of config) {
      const endMs = observeEndMs(until);
      const leftMs = endMs === undefined ? 0 : endMs - nowMs;
      // What is over, and what no config check would have let through.
      if (endMs === undefined || leftMs <= 0 || leftMs > MAX_OBSERVE_MS) {
        logger.warn({ route, until }, 'a route is not observed: the end has passed, or it is unknown how late it is');
      } else routes.set(route, { until, endMs, endMonotonicMs: monotonicMs + leftMs });
    }
  }

  function isOver({ endMs, endMonotonicMs }: Observed, at: Instant): boolean {
    return at.monotonicMs >= endMonotonicMs || at.epochMs >= endMs || nowEpochMs() >= endMs;
  }

  function remind(): void {
    cancel = undefined;
    const now = clock.now();
    for (const [route, observed] of routes) {
      if (isOver(observed, now)) {
        routes.delete(route);
        logger.warn({ route, until: observed.until }, 'a route is observed no longer: its denials are made again');
      } else {
        logger.warn({ route, until: observed.until }, 'a route is observed: its denials are recorded and NOT made');
      }
    }
    if (routes.size === 0) return;
    const nextMs = Math.min(...[...routes.values()].map(({ endMonotonicMs }) => endMonotonicMs - now.monotonicMs));
    cancel = startTimer(Math.max(1, Math.min(REMIND_MS, nextMs + 1)), remind);
  }

  return {
    observes: ({ name }, at) => {
      const observed = routes.get(name);
      if (observed === undefined || isOver(observed, at)) return false;
      metrics.observedDenial(name);
      logger.limited('observe', 'warn', { route: name, until: observed.until }, 'a denial was recorded and not made');
      return true;
    },
    start: () => {
      begin();
      remind();
    },
    stop: () => cancel?.(),
  };
}

interface Observed {
  readonly until: string;
  readonly endMs: number;
  /** The same by a clock that nobody sets back. */
  readonly endMonotonicMs: number;
}
