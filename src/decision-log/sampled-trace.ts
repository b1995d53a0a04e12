import type { ExplainedEvaluation } from '../decision/explain-outcome.ts';
import type { Outcome } from '../decision/ports.ts';
import type { FailedExpression, TracedRule } from '../decision/rule-trace.ts';
import { quoteSafe } from '../telemetry/json-line.ts';
import type { TraceConfig } from './config.ts';

/** How a decision came about: one of the decision's evaluations, with the rules that it entered. */
export interface LoggedTrace {
  /** The entrypoint. */
  readonly path: string;
  /** In the order in which they were entered; of more than 3,000 characters the outermost. */
  readonly rules: readonly LoggedRule[];
  readonly left_out?: number;
}

/** A rule of the policy. Nothing of input, data or the policy's own texts is in it. */
export interface LoggedRule {
  readonly rule: string;
  readonly file: string;
  /** Where the rule begins, or the expression in it that did not hold. */
  readonly line: number;
  readonly outcome: TracedRule['outcome'];
  readonly failed?: FailedExpression['how'];
}

/** Evaluates a decision once more, watched; `undefined` where there is nothing to say. */
export type ExplainNow = (outcome: Outcome) => readonly ExplainedEvaluation[] | undefined;

export interface SampledTraceParts {
  readonly config: TraceConfig;
  readonly explain: ExplainNow;
  /** In [0, 1). */
  readonly random: () => number;
  readonly monotonicMs: () => number;
}

/** What an event gets of a decision that was chosen by chance: `,"trace":[…]`; the empty text of any other. Never throws. */
export function createSampledTrace(parts: SampledTraceParts): (outcome: Outcome) => string {
  const { config, explain, random, monotonicMs } = parts;
  let left: number = config.per_second;
  let atMs = monotonicMs();

  function isChosen(): boolean {
    if (random() >= config.rate) return false;
    const nowMs = monotonicMs();
    left = Math.min(config.per_second, left + ((nowMs - atMs) * config.per_second) / 1000);
    atMs = nowMs;
    if (left < 1) return false;
    left -= 1;
    return true;
  }

  return (outcome) => {
    if (outcome.generation?.explain === undefined || !isChosen()) return '';
    try {
      const evaluations = explain(outcome) ?? [];
      return evaluations.length === 0 ? '' : `,"trace":[${evaluations.map(writeEvaluation).join(',')}]`;
    } catch {
      // An event without its trace is still an event.
      return '';
    }
  };
}

const MOST_CHARACTERS = 3_000;

function writeEvaluation({ entrypoint, trace }: ExplainedEvaluation): string {
  const written = trace.rules.map((rule) => ({ rule, text: writeRule(rule) }));
  const kept = new Set<TracedRule>();
  let characters = 0;
  for (const { rule, text } of [...written].sort((a, b) => a.rule.depth - b.rule.depth)) {
    characters += text.length;
    if (characters > MOST_CHARACTERS) break;
    kept.add(rule);
  }
  const rules = written.flatMap(({ rule, text }) => (kept.has(rule) ? [text] : []));
  const leftOut = trace.left_out + written.length - kept.size;
  const left = leftOut === 0 ? '' : `,"left_out":${leftOut}`;
  return `{"path":${quoteSafe(entrypoint)},"rules":[${rules.join(',')}]${left}}`;
}

function writeRule({ rule, head, outcome, failed }: TracedRule): string {
  const { file, row } = failed ?? head;
  const how = failed === undefined ? '' : `,"failed":"${failed.how}"`;
  return `{"rule":${quoteSafe(rule)},"file":${quoteSafe(file)},"line":${row},"outcome":"${outcome}"${how}}`;
}
