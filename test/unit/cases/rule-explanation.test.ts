import { expect, test } from 'vitest';
import { linesText } from '../../../src/cases/explanation.ts';
import { rulesText } from '../../../src/cases/rule-explanation.ts';
import type { ExplainedEvaluation } from '../../../src/decision/explain-outcome.ts';
import type { RuleTrace, TracedRule } from '../../../src/decision/rule-trace.ts';

const place = (row: number, text?: string) => ({
  file: 'a.rego',
  row,
  col: 1,
  ...(text === undefined ? {} : { text }),
});
const rule = (name: string, depth: number, rest: Partial<TracedRule>): TracedRule => ({
  rule: `data.a.${name}`,
  depth,
  head: place(1),
  outcome: 'undefined',
  ...rest,
});
const evaluated = (rules: readonly TracedRule[], trace: Partial<RuleTrace> = {}): ExplainedEvaluation => ({
  entrypoint: 'a/decision',
  evaluation: { value: {}, overBudget: false },
  trace: { rules, left_out: 0, ...trace },
  evaluated: () => new Set(),
});
const DENIED = [
  rule('decision', 0, { outcome: 'held', head: place(3, 'decision := verdict') }),
  rule('allow', 1, { failed: { ...place(9, 'count(reasons) == 0'), how: 'not_true' } }),
  rule('reasons', 2, { outcome: 'held', head: place(20, 'reasons contains "late"') }),
  rule('early', 3, { failed: { ...place(30, 'input.x'), how: 'missing' } }),
  rule('some_of', 3, { failed: { ...place(31, 'some x in input.y'), how: 'nothing' } }),
  rule('reasons', 2, { failed: { ...place(22, 'not other'), how: 'not_true' } }),
  rule('allow', 1, { outcome: 'default', head: place(5, 'allow := false') }),
];
const text = (...given: Parameters<typeof rulesText>) => linesText(rulesText(...given));

test('a reason is told by the rule that gave it and what that asked for in vain', () => {
  const told = text([evaluated(DENIED)], { denied: true, reasons: ['late'] });
  expect(told.split('\n').slice(0, 4)).toEqual([
    'why        a.rego:20 `reasons contains "late"` held',
    'why          data.a.early: a.rego:30 `input.x` has no value',
    'why          data.a.some_of: a.rego:31 `some x in input.y` found nothing',
    'rules      a/decision: each rule that was entered, and what did not hold in it',
  ]);
  expect(told).toContain('               data.a.allow is its default: a.rego:5 `allow := false`\n');
});

test('a denial without a reason by what did not hold in the entrypoint, an Allow by its rules alone', () => {
  expect(text([evaluated(DENIED)], { denied: true, reasons: [] })).toMatch(
    /^why {10}data\.a\.allow: a\.rego:9 `count\(reasons\) == 0` was not true\nrules/,
  );
  expect(text([evaluated(DENIED)], { denied: false, reasons: [] })).toMatch(/^rules/);
});

test('a failure by where it happened; what is too much is said to be left out', () => {
  const failed = { ...evaluated([], { ended: place(7, 'x := 1'), left_out: 3 }), evaluation: new Error('conflict') };
  const told = text([failed], { denied: true, reasons: [] });
  expect(told).toMatch(/^why {8}a\/decision failed at a\.rego:7 `x := 1`: conflict\n/);
  expect(told).toContain('and 3 more that are not told');
  const many = Array.from({ length: 20 }, () => DENIED[1] ?? rule('x', 1, {}));
  expect(text([evaluated(many)], { denied: true, reasons: [] })).toContain('why        and 8 more, among the rules');
});
