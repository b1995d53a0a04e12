import { BUILTINS } from '../../src/policy/builtins/all.ts';
import { createRandomness } from '../../src/policy/decision-randomness.ts';
import { createEvaluator, type PlanEvaluator } from '../../src/policy/plan/evaluator.ts';
import { EvaluationFault } from '../../src/policy/plan/fault.ts';
import { readPlan } from '../../src/policy/plan/plan-reader.ts';
import { translatePlan } from '../../src/policy/plan/translate.ts';
import { parseRegoText } from '../../src/policy/values/text.ts';
import type { ConformanceCase } from './conformance-case.ts';
import type { ConformanceEngine } from './engine.ts';
import { createBudget, refusalOf, SLEEP, underTest } from './surroundings.ts';

/** The plan translated to JavaScript, with every builtin of ours. */
export function createJsUnderTest(): ConformanceEngine {
  const { at, randomBytes } = underTest();
  const builtins = new Map([...BUILTINS, SLEEP]);
  const randomFor = createRandomness(randomBytes);

  function evaluatorOf({ plan }: ConformanceCase): PlanEvaluator {
    return createEvaluator({ translation: translatePlan(readPlan(plan)), builtins });
  }

  return {
    name: 'js',
    silentFailures: false,
    evaluate: (subject, strict) => {
      const refused = refusalOf(subject.builtins, builtins);
      if (refused !== undefined) return refused;
      try {
        const input = subject.input === undefined ? undefined : parseRegoText(subject.input);
        const data = parseRegoText(subject.data);
        const context = { at, strict, randomFor: (label: string) => randomFor(at, label), budget: createBudget() };
        return { kind: 'results', results: evaluatorOf(subject).evaluate('eval', input, data, context) };
      } catch (error) {
        if (error instanceof EvaluationFault) return { kind: 'error', code: error.code, text: error.message };
        return { kind: 'error', code: 'engine', text: error instanceof Error ? String(error.stack) : String(error) };
      }
    },
  };
}
