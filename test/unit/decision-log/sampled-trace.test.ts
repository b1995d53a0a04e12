import { expect, test } from 'vitest';
import type { TracedRule } from '../../../src/decision/rule-trace.ts';
import { createSampledTrace, type ExplainNow } from '../../../src/decision-log/sampled-trace.ts';
import { generation } from '../../support/core.ts';
import { allowOutcome } from '../../support/outcome.ts';

const explain: Parameters<typeof generation>[1] = {
  explain: () => ({
    evaluation: new Error('never asked'),
    trace: { rules: [], left_out: 0 },
    evaluated: () => new Set(),
  }),
};
const DECIDED = allowOutcome({ generation: generation({}, explain) });
const rule = (depth: number): TracedRule => ({
  rule: 'data.authz.allow',
  depth,
  head: { file: 'authz.rego', row: 3, col: 1, text: 'allow' },
  outcome: 'undefined',
  failed: { file: 'authz.rego', row: 9, col: 2, text: 'input.secret == "hunter2"', how: 'not_true' },
});
const told =
  (rules: readonly TracedRule[]): ExplainNow =>
  () => [
    {
      entrypoint: 'authz/decision',
      evaluation: { value: {}, overBudget: false },
      trace: { rules, left_out: 0 },
      evaluated: () => new Set(),
    },
  ];

test('says file, line, rule and outcome, and nothing of the texts', () => {
  const trace = createSampledTrace({
    config: { rate: 1, per_second: 1 },
    explain: told([rule(0)]),
    random: () => 0.5,
    monotonicMs: () => 0,
  });
  const [evaluation] = JSON.parse(`{${trace(DECIDED).slice(1)}}`).trace;
  expect(evaluation).toEqual({
    path: 'authz/decision',
    rules: [{ rule: 'data.authz.allow', file: 'authz.rego', line: 9, outcome: 'undefined', failed: 'not_true' }],
  });
});

test('is short: the outermost rules stay, in their order, and the others are counted', () => {
  const rules = Array.from({ length: 400 }, (_, index) => rule(index % 100 === 0 ? 0 : 7));
  const trace = createSampledTrace({
    config: { rate: 1, per_second: 1 },
    explain: told(rules),
    random: () => 0,
    monotonicMs: () => 0,
  });
  const text = trace(DECIDED);
  expect(text.length).toBeLessThan(3_300);
  const [evaluation] = JSON.parse(`{${text.slice(1)}}`).trace;
  expect(evaluation.rules.length + evaluation.left_out).toBe(400);
});

test('is made for the part that was asked for, and never for more in a second', () => {
  let nowMs = 0;
  let drawn = 0;
  let asked = 0;
  const counted: ExplainNow = (decided) => {
    asked += 1;
    return told([rule(0)])(decided);
  };
  const config = { rate: 0.5, per_second: 2 };
  const random = (): number => (drawn++ % 2 === 0 ? 0.2 : 0.7);
  const trace = createSampledTrace({ config, explain: counted, random, monotonicMs: () => nowMs });
  const made = () => Array.from({ length: 10 }, () => trace(DECIDED)).filter((text) => text !== '').length;
  expect(made()).toBe(2);
  nowMs = 499;
  expect(made()).toBe(0);
  nowMs = 500;
  expect(made()).toBe(1);
  nowMs = 100_000;
  expect(made()).toBe(2);
  expect(asked).toBe(5);
});

test('is left out where nothing can be said, and where saying it fails', () => {
  const parts = { config: { rate: 1, per_second: 10 }, random: () => 0, monotonicMs: () => 0 };
  const failing = createSampledTrace({
    ...parts,
    explain: () => {
      throw new Error('gone');
    },
  });
  expect(failing(DECIDED)).toBe('');
  expect(createSampledTrace({ ...parts, explain: () => undefined })(DECIDED)).toBe('');
  expect(createSampledTrace({ ...parts, explain: told([rule(0)]) })(allowOutcome({ generation: generation({}) }))).toBe(
    '',
  );
});
