import type { ExplainedEvaluation } from '../decision/explain-outcome.ts';
import type { FailedExpression, RulePlace, RuleTrace, TracedRule } from '../decision/rule-trace.ts';

type Line = readonly [string, string];

/** Lines for each decision; more are for a program. */
const MOST_WHY = 12;

/**
 * Why it was decided so, in the policy's own lines: first the rules that gave the decision's reasons with what did not
 * hold in them, or, of a denial without reasons, what did not hold in the entrypoint; then all that was entered.
 */
export function rulesText(
  evaluations: readonly ExplainedEvaluation[],
  { denied, reasons }: { readonly denied: boolean; readonly reasons: readonly string[] },
): readonly Line[] {
  const lines: Line[] = [];
  const decision = evaluations.at(-1);
  for (const { entrypoint, evaluation, trace } of evaluations) {
    if (evaluation instanceof Error)
      lines.push(['why', `${entrypoint} failed${endText(trace)}: ${evaluation.message}`]);
  }
  if (denied && decision !== undefined && !(decision.evaluation instanceof Error)) {
    lines.push(...whyLines(decision.trace, reasons).map((text): Line => ['why', text]));
  }
  for (const { entrypoint, trace } of evaluations) {
    lines.push(['rules', `${entrypoint}: each rule that was entered, and what did not hold in it`]);
    for (const rule of trace.rules) lines.push(['', `${'  '.repeat(rule.depth + 1)}${ruleText(rule)}`]);
    if (trace.left_out > 0) lines.push(['', `  and ${trace.left_out} more that are not told`]);
  }
  return lines;
}

/** What did not hold, in words: ``authz/authz.rego:53 `count(reasons) == 0` was not true``. */
export function failedText(failed: FailedExpression): string {
  return `${placeText(failed)} ${WORDS[failed.how]}`;
}

const WORDS: Readonly<Record<FailedExpression['how'], string>> = {
  not_true: 'was not true',
  missing: 'has no value',
  nothing: 'found nothing',
};

function whyLines({ rules }: RuleTrace, reasons: readonly string[]): readonly string[] {
  const lines = reasons.flatMap((reason) => reasonLines(rules, reason));
  const told = lines.length > 0 ? lines : rules.filter(({ depth }) => depth <= 1).flatMap(failedLines);
  if (told.length <= MOST_WHY) return told;
  return [...told.slice(0, MOST_WHY), `and ${told.length - MOST_WHY} more, among the rules`];
}

/** The rules whose head names the reason, and what they asked for in vain. */
function reasonLines(rules: readonly TracedRule[], reason: string): readonly string[] {
  const named = JSON.stringify(reason);
  const lines: string[] = [];
  for (const [index, rule] of rules.entries()) {
    if (rule.outcome !== 'held' || rule.head.text?.includes(named) !== true) continue;
    lines.push(`${placeText(rule.head)} held`);
    for (const asked of rules.slice(index + 1)) {
      if (asked.depth <= rule.depth) break;
      lines.push(...failedLines(asked));
    }
  }
  return lines;
}

function failedLines({ rule, failed }: TracedRule): readonly string[] {
  return failed === undefined ? [] : [`  ${rule}: ${failedText(failed)}`];
}

function ruleText({ rule, head, outcome, failed }: TracedRule): string {
  if (outcome === 'held') return `${rule} held: ${placeText(head)}`;
  if (outcome === 'default') return `${rule} is its default: ${placeText(head)}`;
  return `${rule} undefined: ${failed === undefined ? placeText(head) : failedText(failed)}`;
}

function endText({ ended }: RuleTrace): string {
  return ended === undefined ? '' : ` at ${placeText(ended)}`;
}

function placeText({ file, row, text }: RulePlace): string {
  return `${file}:${row}${text === undefined ? '' : ` \`${text}\``}`;
}
