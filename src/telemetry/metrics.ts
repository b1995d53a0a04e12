import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Authorize, Outcome } from '../decision/ports.ts';
import { type CardinalityBounds, createDecisionCounts } from './decision-counts.ts';
import { createDecisionLogMetrics, type DecisionLogMetrics } from './decision-log-metrics.ts';
import { createBoundLabel } from './label-values.ts';
import { createQuotaMetrics, type QuotaMetrics } from './quota-metrics.ts';
import { createRolloutMetrics, type RolloutMetrics } from './rollout-metrics.ts';

/** Everything that is counted. No method throws, and none makes more series than its bound. */
export interface Metrics {
  readonly contentType: string;
  /** What the quota's limiter counts. */
  readonly quota: QuotaMetrics;
  readonly rollout: RolloutMetrics;
  /** What the decision log counts beside the totals below. */
  readonly decisionLog: DecisionLogMetrics;
  /** The Prometheus text format. */
  text(): Promise<string>;
  decisionStarted(door: string): void;
  decisionEnded(door: string): void;
  countDecision(outcome: Outcome): void;
  bundleActivated(bundle: string, revision: string, epochMs: number): void;
  /** An activation or download that did not happen; `result` is a code. */
  bundleRefused(bundle: string, result: string): void;
  /** What is in force could not be kept on disk. */
  bundleCopyFailed(bundle: string): void;
  /** Seconds since each source last confirmed what is in force; asked at each scrape. */
  trackBundleAges(ages: () => ReadonlyMap<string, number>): void;
  jwksRefreshed(issuer: string, result: 'refreshed' | 'failed'): void;
  /** Decisions whose event a sink did not get; one that two sinks did not get counts twice. */
  decisionLogDropped(events: number): void;
  decisionLogSinkFailed(sink: string): void;
  /** Asked at each scrape. */
  trackDecisionLogQueue(length: () => number): void;
}

export interface MetricsOptions {
  readonly bounds?: CardinalityBounds;
  /** Node's own metrics of heap, event loop and garbage collection; on by default. */
  readonly processMetrics?: boolean;
}

export function createMetrics({ bounds = DEFAULT_BOUNDS, processMetrics = true }: MetricsOptions = {}): Metrics {
  const registry = new Registry();
  const registers = [registry];
  if (processMetrics) collectDefaultMetrics({ register: registry });
  const decisions = createDecisionCounts(registry, bounds);
  const bundles = createBundleMetrics(registry, createBoundLabel(bounds.valuesPerLabel));
  const issuerLabel = createBoundLabel(bounds.valuesPerLabel);
  let queueLength = (): number => 0;

  const budgetOverruns = new Counter({
    name: 'sallyport_policy_budget_overruns_total',
    help: 'Decisions with an evaluation over `policy.budget_ms` or a tenant over `policy.tenant_share`: denied, by `wasm` only counted.',
    registers,
  });
  const demoDecisions = new Counter({
    name: 'sallyport_demo_decisions_total',
    help: 'Decisions about tokens of the demo issuer.',
    registers,
  });
  const takes = { taken: 0, exceeded: 0, unavailable: 0 };
  new Counter({
    name: 'sallyport_quota_takes_total',
    help: 'Attempts to take charges, by result.',
    labelNames: ['result'] as const,
    registers,
    collect() {
      this.reset();
      for (const [result, count] of Object.entries(takes)) this.inc({ result }, count);
    },
  });
  const jwksRefreshes = new Counter({
    name: 'sallyport_jwks_refresh_total',
    help: 'Fetches of an issuer’s key set, by result.',
    labelNames: ['issuer', 'result'] as const,
    registers,
  });
  const dropped = new Counter({
    name: 'sallyport_decision_log_dropped_total',
    help: 'Decisions whose event a sink did not get; `sequence` shows the gaps.',
    registers,
  });
  const sinkFailures = new Counter({
    name: 'sallyport_decision_log_sink_failures_total',
    help: 'Writes that a sink refused.',
    labelNames: ['sink'] as const,
    registers,
  });
  new Gauge({
    name: 'sallyport_decision_log_queue_length',
    help: 'Decision events that wait for a sink.',
    registers,
    collect() {
      this.set(queueLength());
    },
  });

  return {
    contentType: registry.contentType,
    quota: createQuotaMetrics(registry, bounds.valuesPerLabel),
    decisionLog: createDecisionLogMetrics(registry),
    rollout: createRolloutMetrics(registry, bounds.valuesPerLabel),
    text: () => registry.metrics(),
    decisionStarted: (door) => decisions.started(door),
    decisionEnded: (door) => decisions.ended(door),
    countDecision: (outcome) => {
      decisions.count(outcome);
      if (outcome.overBudget) budgetOverruns.inc();
      if (outcome.principal?.demo === true) demoDecisions.inc();
      if (outcome.quota !== undefined) takes[takeResult(outcome)] += 1;
    },
    ...bundles,
    jwksRefreshed: (issuer, result) => jwksRefreshes.inc({ issuer: issuerLabel(issuer), result }),
    decisionLogDropped: (events) => dropped.inc(events),
    decisionLogSinkFailed: (sink) => sinkFailures.inc({ sink }),
    trackDecisionLogQueue: (length) => {
      queueLength = length;
    },
  };
}

/** Counts every outcome and its duration. The reply is what `authorize` answered, also when counting fails. */
export function withMetrics(authorize: Authorize, metrics: Metrics): Authorize {
  const ended = (door: string, outcome: Outcome): Outcome => {
    count(metrics, outcome);
    metrics.decisionEnded(door);
    return outcome;
  };
  const failed = (door: string, error: unknown): never => {
    metrics.decisionEnded(door);
    throw error;
  };
  return (request) => {
    const { door } = request;
    metrics.decisionStarted(door);
    let outcome: Outcome | Promise<Outcome>;
    try {
      outcome = authorize(request);
    } catch (error) {
      return failed(door, error);
    }
    if (!(outcome instanceof Promise)) return ended(door, outcome);
    return outcome.then(
      (late) => ended(door, late),
      (error: unknown) => failed(door, error),
    );
  };
}

const DEFAULT_BOUNDS: CardinalityBounds = { valuesPerLabel: 200, decisionSeries: 5000 };

function count(metrics: Metrics, outcome: Outcome): void {
  try {
    metrics.countDecision(outcome);
  } catch {
    // INVARIANT: a decision that was made is answered; a missing count is the smaller fault.
  }
}

function takeResult({ quota, decision }: Outcome): 'taken' | 'exceeded' | 'unavailable' {
  if (quota?.taken === true) return 'taken';
  return decision.kind === 'deny' && decision.code === 'quota_unavailable' ? 'unavailable' : 'exceeded';
}

function createBundleMetrics(
  registry: Registry,
  bundleLabel: (bundle: string) => string,
): Pick<Metrics, 'bundleActivated' | 'bundleRefused' | 'bundleCopyFailed' | 'trackBundleAges'> {
  const registers = [registry];
  const revisions = new Map<string, string>();
  const activations = new Counter({
    name: 'sallyport_bundle_activations_total',
    help: 'Attempts to activate a bundle, by result.',
    labelNames: ['bundle', 'result'] as const,
    registers,
  });
  const activatedAt = new Gauge({
    name: 'sallyport_bundle_last_activation_timestamp_seconds',
    help: 'When the revision in force was activated.',
    labelNames: ['bundle'] as const,
    registers,
  });
  const inForce = new Gauge({
    name: 'sallyport_bundle_info',
    help: 'Always 1; its labels name the revision in force.',
    labelNames: ['bundle', 'revision'] as const,
    registers,
  });
  const copyFailures = new Counter({
    name: 'sallyport_bundle_copy_failures_total',
    help: 'Times that what is in force could not be kept on disk.',
    labelNames: ['bundle'] as const,
    registers,
  });
  let ages = (): ReadonlyMap<string, number> => new Map();
  new Gauge({
    name: 'sallyport_bundle_age_seconds',
    help: 'Time since the source last confirmed what is in force.',
    labelNames: ['bundle'] as const,
    registers,
    collect() {
      this.reset();
      for (const [name, seconds] of ages()) this.set({ bundle: bundleLabel(name) }, seconds);
    },
  });
  return {
    bundleCopyFailed: (name) => copyFailures.inc({ bundle: bundleLabel(name) }),
    trackBundleAges: (track) => {
      ages = track;
    },
    bundleActivated: (name, revision, epochMs) => {
      const bundle = bundleLabel(name);
      const former = revisions.get(bundle);
      if (former !== undefined) inForce.remove({ bundle, revision: former });
      revisions.set(bundle, revision);
      inForce.set({ bundle, revision }, 1);
      activatedAt.set({ bundle }, epochMs / 1000);
      activations.inc({ bundle, result: 'activated' });
    },
    bundleRefused: (name, result) => activations.inc({ bundle: bundleLabel(name), result }),
  };
}
