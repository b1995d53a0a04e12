import { expect, test } from 'vitest';
import { BUILTINS } from '../../src/policy/builtins/all.ts';
import { createEvaluator, type PlanEvaluator } from '../../src/policy/plan/evaluator.ts';
import { EvaluationFault } from '../../src/policy/plan/fault.ts';
import { readPlan } from '../../src/policy/plan/plan-reader.ts';
import { translatePlan } from '../../src/policy/plan/translate.ts';
import { parseRegoText, toRegoText } from '../../src/policy/values/text.ts';
import type { Value } from '../../src/policy/values/value.ts';
import { describeWith } from '../support/describe-with.ts';
import { requireTool } from '../support/tools.ts';
import { type ConformanceCase, loadSuite } from './conformance-case.ts';
import { createBudget, refusalOf, SLEEP } from './surroundings.ts';

const BUILTINS_OF_CASES = new Map([...BUILTINS, SLEEP]);

interface Repeated {
  readonly repeatable: boolean;
  readonly text: string;
}

/** The same question at another moment, with other chances. */
function ask(evaluator: PlanEvaluator, { input, data, strict }: ConformanceCase, epochMs: number): Repeated {
  const context = {
    at: { epochMs, monotonicMs: epochMs },
    strict,
    randomFor: () => new Uint8Array(32).fill(epochMs % 251),
    budget: createBudget(),
  };
  let text: string;
  try {
    const results = evaluator.evaluate('eval', readValue(input), readValue(data) ?? {}, context);
    text = results.map(toRegoText).join();
  } catch (error) {
    if (!(error instanceof EvaluationFault)) throw error;
    text = `${error.code}: ${error.message}`;
  }
  return { repeatable: evaluator.isRepeatable(), text };
}

function readValue(text: string | undefined): Value | undefined {
  return text === undefined ? undefined : parseRegoText(text);
}

describeWith(['conformance'], 'an evaluation that calls itself repeatable', () => {
  test('answers the same at any other moment, in every case of OPA’s', () => {
    const wrong: string[] = [];
    const figures = { repeatable: 0, others: 0 };
    for (const subject of loadSuite(requireTool('conformance'))) {
      if (refusalOf(subject.builtins, BUILTINS_OF_CASES) !== undefined) continue;
      const translation = translatePlan(readPlan(subject.plan));
      const evaluator = createEvaluator({ translation, builtins: BUILTINS_OF_CASES });
      const first = ask(evaluator, subject, Date.UTC(2024, 1, 29, 12));
      const second = ask(evaluator, subject, Date.UTC(2040, 6, 1));
      if (first.repeatable) figures.repeatable += 1;
      else figures.others += 1;
      if (first.repeatable && !(second.repeatable && second.text === first.text)) wrong.push(subject.name);
    }
    console.info('repeatable evaluations', figures);
    expect(wrong).toEqual([]);
    expect(figures.repeatable).toBeGreaterThan(2_000);
    expect(figures.others).toBeGreaterThan(10);
  });
});
