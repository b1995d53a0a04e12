import { Counter, Gauge, type Registry } from 'prom-client';
import { DurationHistogram } from './duration-histogram.ts';
import { createBoundLabel } from './label-values.ts';

/** What is counted of one limit. Plain numbers that the hot path adds to, and a scrape reads. */
export interface LimitCounts {
  /** In the limit's unit; a hold counts with what was held. */
  taken: number;
  /** Takes that did not fit, of an enforced and of a shadow charge. */
  enforced: number;
  shadow: number;
  /** The smallest part of a bucket that was left since the last scrape; above 1 when nothing was seen. */
  lowestRatio: number;
  /** The most that one bucket held since the last scrape; -1 when nothing was seen. */
  mostHeld: number;
  /** Admissions that no store verified, by what permitted them. */
  localShare: number;
  allow: number;
}

/** Quotas as metrics. No method throws, and none makes more series than its bound. */
export interface QuotaMetrics {
  /** The counts of one limit; those beyond the bound share one. Kept by the caller. */
  limit(name: string, unit: string): LimitCounts;
  storeAnswered(seconds: number): void;
  /** A store that did not do what it was asked; `operation` and `reason` are codes. */
  storeFailed(operation: 'take' | 'release' | 'charge', reason: string): void;
  /** A request that was denied although the store may have charged it. */
  deniedPerhapsCharged(): void;
  /** Refused from what the store said a moment ago. */
  refusedFromCache(): void;
  /** An answer of Envoy's rate limit service. */
  rateLimitAnswered(outcome: 'ok' | 'over_limit' | 'refused' | 'undecided'): void;
  /** A report of usage, or the end of a reservation that nobody reported; `outcome` is a code. */
  settled(outcome: string): void;
}

/** Each limit name is a label value; `valuesPerLabel` bounds how many there are. */
export function createQuotaMetrics(registry: Registry, valuesPerLabel: number): QuotaMetrics {
  const registers = [registry];
  const label = createBoundLabel(valuesPerLabel);
  const series = new Map<string, Series>();
  let perhapsCharged = 0;
  let cached = 0;

  const answers = { ok: 0, over_limit: 0, refused: 0, undecided: 0 };
  new Counter({
    name: 'sallyport_ratelimit_answers_total',
    help: 'Answers of Envoy’s rate limit service; `refused` and, by default, `undecided` ones say over limit too.',
    labelNames: ['outcome'] as const,
    registers,
    collect() {
      this.reset();
      for (const [outcome, count] of Object.entries(answers)) this.inc({ outcome }, count);
    },
  });
  const settlements = new Counter({
    name: 'sallyport_quota_settlements_total',
    help: 'Reservations that ended, and reports of usage that were refused, by outcome.',
    labelNames: ['outcome'] as const,
    registers,
  });
  new Counter({
    name: 'sallyport_quota_taken_total',
    help: 'What was taken, in the unit of the limit; a hold counts with what was held.',
    labelNames: ['limit', 'unit'] as const,
    registers,
    collect() {
      this.reset();
      for (const { limit, unit, counts } of series.values()) this.inc({ limit, unit }, counts.taken);
    },
  });
  new Counter({
    name: 'sallyport_quota_exhausted_total',
    help: 'Charges that did not fit; those of the mode `shadow` refused nothing.',
    labelNames: ['limit', 'mode'] as const,
    registers,
    collect() {
      this.reset();
      for (const { limit, counts } of series.values()) {
        this.inc({ limit, mode: 'enforce' }, counts.enforced);
        this.inc({ limit, mode: 'shadow' }, counts.shadow);
      }
    },
  });
  new Counter({
    name: 'sallyport_quota_unverified_total',
    help: 'Charges admitted while the store did not answer, by what permitted it.',
    labelNames: ['limit', 'how'] as const,
    registers,
    collect() {
      this.reset();
      for (const { limit, counts } of series.values()) {
        this.inc({ limit, how: 'local_share' }, counts.localShare);
        this.inc({ limit, how: 'allow' }, counts.allow);
      }
    },
  });
  new Gauge({
    name: 'sallyport_quota_remaining_ratio',
    help: 'The smallest part of one bucket of the limit that was left since the last scrape.',
    labelNames: ['limit'] as const,
    registers,
    collect() {
      const lowest = new Map<string, number>();
      for (const one of series.values()) {
        if (one.counts.lowestRatio <= 1) one.shownRatio = one.counts.lowestRatio;
        one.counts.lowestRatio = UNSEEN_RATIO;
        if (one.shownRatio <= 1) lowest.set(one.limit, Math.min(one.shownRatio, lowest.get(one.limit) ?? 1));
      }
      for (const [limit, ratio] of lowest) this.set({ limit }, ratio);
    },
  });
  new Gauge({
    name: 'sallyport_quota_held',
    help: 'The most that one bucket of the limit held since the last scrape.',
    labelNames: ['limit'] as const,
    registers,
    collect() {
      const most = new Map<string, number>();
      for (const one of series.values()) {
        if (one.counts.mostHeld >= 0) one.shownHeld = one.counts.mostHeld;
        one.counts.mostHeld = UNSEEN_HELD;
        if (one.shownHeld >= 0) most.set(one.limit, Math.max(one.shownHeld, most.get(one.limit) ?? 0));
      }
      for (const [limit, held] of most) this.set({ limit }, held);
    },
  });
  const latency = new DurationHistogram<never>({
    name: 'sallyport_quota_store_latency_seconds',
    help: 'How long a store that is not in this process took to answer a take.',
    labelNames: [],
    boundsSeconds: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
    registry,
  }).cell({});
  const failures = new Counter({
    name: 'sallyport_quota_store_failures_total',
    help: 'What the store was asked and did not do, by reason.',
    labelNames: ['operation', 'reason'] as const,
    registers,
  });
  const reasonLabel = createBoundLabel(16);
  new Counter({
    name: 'sallyport_quota_denied_perhaps_charged_total',
    help: 'Requests that were denied although the store may have charged them.',
    registers,
    collect() {
      this.reset();
      this.inc(perhapsCharged);
    },
  });
  new Counter({
    name: 'sallyport_quota_cached_refusals_total',
    help: 'Requests that were refused by what the store had said a moment ago.',
    registers,
    collect() {
      this.reset();
      this.inc(cached);
    },
  });

  return {
    limit: (name, unit) => {
      const limit = label(name);
      const key = `${unit} ${limit}`;
      const known = series.get(key);
      if (known !== undefined) return known.counts;
      const counts = noCounts();
      series.set(key, { limit, unit, counts, shownRatio: UNSEEN_RATIO, shownHeld: UNSEEN_HELD });
      return counts;
    },
    storeAnswered: (seconds) => latency.observe(seconds),
    storeFailed: (operation, reason) => failures.inc({ operation, reason: reasonLabel(reason) }),
    deniedPerhapsCharged: () => {
      perhapsCharged += 1;
    },
    refusedFromCache: () => {
      cached += 1;
    },
    rateLimitAnswered: (outcome) => {
      answers[outcome] += 1;
    },
    settled: (outcome) => settlements.inc({ outcome }),
  };
}

const UNSEEN_RATIO = 2;
const UNSEEN_HELD = -1;

/** What a scrape said stays said until something else was seen, so that scraping twice reads the same. */
interface Series {
  readonly limit: string;
  readonly unit: string;
  readonly counts: LimitCounts;
  shownRatio: number;
  shownHeld: number;
}

function noCounts(): LimitCounts {
  return {
    taken: 0,
    enforced: 0,
    shadow: 0,
    lowestRatio: UNSEEN_RATIO,
    mostHeld: UNSEEN_HELD,
    localShare: 0,
    allow: 0,
  };
}
