import type { Outcome } from '../decision/ports.ts';
import { COMPARISON_RESULTS, type Comparison, type ComparisonResult, type Side } from './comparison.ts';

/** What was found so far by comparing; for people, and never what a caller sent. */
export interface FindingsReport {
  readonly compared: number;
  readonly results: Readonly<Record<ComparisonResult, number>>;
  /** Of those who showed no credential: told, but they have no vote. */
  readonly anonymous: Readonly<Record<ComparisonResult, number>>;
  /** Which parts differed, how often. */
  readonly parts: { readonly [part: string]: number };
  /** `allow → deny policy_denied: reason`, how often; what is beyond the bound is `other`. */
  readonly differences: { readonly [difference: string]: number };
  readonly examples: readonly DifferenceExample[];
  /** Of the last comparisons, in milliseconds; absent until there is one. */
  readonly timing?: { readonly stable: Percentiles; readonly candidate: Percentiles };
}

export interface DifferenceExample {
  readonly result: ComparisonResult;
  readonly decision_id: string;
  readonly route?: string;
  readonly tenant?: string;
  readonly stable: Side;
  readonly candidate: Side;
  readonly parts: readonly string[];
}

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

export interface Findings {
  add(outcome: Outcome, comparison: Comparison, timing?: { stableMs: number; candidateMs: number }): void;
  report(): FindingsReport;
}

const EXAMPLES_PER_RESULT = 5;
const MAX_DIFFERENCES = 64;
const TIMINGS = 512;

export function createFindings(): Findings {
  const results = noResults();
  const anonymous = noResults();
  const parts = new Map<string, number>();
  const differences = new Map<string, number>();
  const examples = new Map<ComparisonResult, DifferenceExample[]>();
  const stableMs = new Float64Array(TIMINGS);
  const candidateMs = new Float64Array(TIMINGS);
  let compared = 0;
  let timed = 0;

  return {
    add: (outcome, comparison, timing) => {
      const { result } = comparison;
      compared += 1;
      (outcome.principal === undefined ? anonymous : results)[result] += 1;
      if (timing !== undefined) {
        stableMs[timed % TIMINGS] = timing.stableMs;
        candidateMs[timed % TIMINGS] = timing.candidateMs;
        timed += 1;
      }
      if (result === 'same') return;
      for (const part of comparison.parts) parts.set(part, (parts.get(part) ?? 0) + 1);
      const name = nameOf(comparison);
      const known = differences.has(name) || differences.size < MAX_DIFFERENCES ? name : 'other';
      differences.set(known, (differences.get(known) ?? 0) + 1);
      const shown = examples.get(result) ?? [];
      if (shown.length < EXAMPLES_PER_RESULT) examples.set(result, [...shown, toExample(outcome, comparison)]);
    },
    report: () => {
      const count = Math.min(timed, TIMINGS);
      return {
        compared,
        results: { ...results },
        anonymous: { ...anonymous },
        parts: Object.fromEntries(parts),
        differences: Object.fromEntries(differences),
        examples: [...examples.values()].flat(),
        ...(count === 0
          ? {}
          : { timing: { stable: percentiles(stableMs, count), candidate: percentiles(candidateMs, count) } }),
      };
    },
  };
}

function noResults(): Record<ComparisonResult, number> {
  const [same, error, denied, allowed, changed] = COMPARISON_RESULTS;
  return { [same]: 0, [error]: 0, [denied]: 0, [allowed]: 0, [changed]: 0 };
}

function nameOf({ stable, candidate, parts }: Comparison): string {
  return `${sideText(stable)} → ${sideText(candidate)} (${parts.join(', ')})`;
}

function sideText({ decision, code, reasons }: Side): string {
  if (decision === 'allow') return 'allow';
  return reasons.length === 0 ? `deny ${code}` : `deny ${code}: ${reasons.join(', ')}`;
}

function toExample(outcome: Outcome, { result, stable, candidate, parts }: Comparison): DifferenceExample {
  const { decisionId, inspected, principal } = outcome;
  const route = inspected?.kind === 'inspected' ? inspected.route?.name : inspected?.route;
  const tenant = principal?.tenant;
  return {
    result,
    decision_id: decisionId,
    ...(route === undefined ? {} : { route }),
    ...(tenant === undefined ? {} : { tenant }),
    stable,
    candidate,
    parts,
  };
}

function percentiles(values: Float64Array, count: number): Percentiles {
  const ordered = values.slice(0, count).sort();
  const at = (part: number): number => Number((ordered[Math.floor((count - 1) * part)] ?? 0).toFixed(3));
  return { p50: at(0.5), p99: at(0.99) };
}
