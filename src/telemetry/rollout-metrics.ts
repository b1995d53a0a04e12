import { Counter, Gauge, type Registry } from 'prom-client';
import { createBoundLabel } from './label-values.ts';

/** Rollouts as metrics. No method throws, and none makes more series than its bound. */
export interface RolloutMetrics {
  /** A denial that was recorded and not made. */
  observedDenial(route: string): void;
  /** One request decided by old and new; `result` is a code. */
  compared(result: string): void;
  /** Requests that were to be compared and were not. */
  comparisonDropped(reason: string): void;
  /** What a rollout came to: `rolled_back`, `promoted` …; `reason` is a code. */
  rolloutChanged(bundle: string, state: string, reason: string): void;
  /** Of the verified tenants, how many in a hundred a candidate decides for now. */
  canaryPercent(percent: number): void;
}

export function createRolloutMetrics(registry: Registry, valuesPerLabel: number): RolloutMetrics {
  const registers = [registry];
  const routeLabel = createBoundLabel(valuesPerLabel);
  const bundleLabel = createBoundLabel(valuesPerLabel);
  const observed = new Counter({
    name: 'sallyport_observed_denials_total',
    help: 'Denials of observed routes: recorded and not made.',
    labelNames: ['route'] as const,
    registers,
  });
  const comparisons = new Counter({
    name: 'sallyport_rollout_comparisons_total',
    help: 'Requests decided by the bundle in force and by the candidate, by what differed.',
    labelNames: ['result'] as const,
    registers,
  });
  const dropped = new Counter({
    name: 'sallyport_rollout_comparisons_dropped_total',
    help: 'Requests that were to be compared and were not, by reason.',
    labelNames: ['reason'] as const,
    registers,
  });
  const changes = new Counter({
    name: 'sallyport_rollout_changes_total',
    help: 'What rollouts came to, by reason.',
    labelNames: ['bundle', 'state', 'reason'] as const,
    registers,
  });
  const percent = new Gauge({
    name: 'sallyport_rollout_canary_percent',
    help: 'Of the verified tenants, how many in a hundred the candidate decides for.',
    registers,
  });
  return {
    observedDenial: (route) => observed.inc({ route: routeLabel(route) }),
    compared: (result) => comparisons.inc({ result }),
    comparisonDropped: (reason) => dropped.inc({ reason }),
    rolloutChanged: (bundle, state, reason) => changes.inc({ bundle: bundleLabel(bundle), state, reason }),
    canaryPercent: (value) => percent.set(value),
  };
}
