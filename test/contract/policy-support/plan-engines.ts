import { createHash } from 'node:crypto';
import { BUILTINS } from '../../../src/policy/builtins/all.ts';
import { BuiltinFailure } from '../../../src/policy/builtins/builtin.ts';
import { createRandomness } from '../../../src/policy/decision-randomness.ts';
import { createHost } from '../../../src/policy/host.ts';
import { createWasmInstance, EvaluationFault as WasmFault } from '../../../src/policy/opa-wasm.ts';
import { createEvaluator } from '../../../src/policy/plan/evaluator.ts';
import { EvaluationFault } from '../../../src/policy/plan/fault.ts';
import { readPlan } from '../../../src/policy/plan/plan-reader.ts';
import { translatePlan } from '../../../src/policy/plan/translate.ts';
import type { Translation } from '../../../src/policy/plan/translation.ts';
import type { CompiledPolicy } from '../../../src/policy/policy-engine.ts';
import { parseJson } from '../../../src/policy/values/json.ts';
import { toJsonText } from '../../../src/policy/values/json-text.ts';
import { isObject, memberOf } from '../../../src/policy/values/object.ts';
import { RegoSet } from '../../../src/policy/values/set.ts';
import { parseRegoText } from '../../../src/policy/values/text.ts';
import type { Value } from '../../../src/policy/values/value.ts';
import { pagesOf } from '../../../src/policy/wasm-memory.ts';
import { AT } from './engine.ts';
import type { Answer } from './opa-server.ts';

/** One of our engines with one policy, below what the service puts around it. */
export interface PlanEngine {
  ask(entrypoint: string, input: Value | undefined, strict: boolean): Answer;
}

const UNDEFINED: Answer = { kind: 'undefined' };
const STEPS = 20_000_000;
const budget = (): { steps: number; exhausted(): void } => ({
  steps: STEPS,
  exhausted: () => {
    throw new Error('the case runs away');
  },
});
const randomBytes = (count: number): Uint8Array => createHash('shake256', { outputLength: count }).digest();

/** Evaluates a plan as JavaScript, on one evaluator, with what it remembers. */
export type JsEvaluation = (entrypoint: string, input: Value | undefined, data: Value, strict: boolean) => Answer;

export function createJsEvaluation(translation: Translation): JsEvaluation {
  const evaluator = createEvaluator({ translation, builtins: BUILTINS });
  const randomFor = createRandomness(randomBytes);
  return (entrypoint, input, data, strict) => {
    const context = { at: AT, strict, randomFor: (label: string) => randomFor(AT, label), budget: budget() };
    try {
      return answerOf(evaluator.evaluate(entrypoint, input, data, context));
    } catch (error) {
      if (error instanceof EvaluationFault) return { kind: 'error', code: error.code, text: error.message };
      throw error;
    }
  };
}

export function translationOf({ plan }: CompiledPolicy): Translation {
  return translatePlan(readPlan(plan));
}

export function createJsPlanEngine(policy: CompiledPolicy): PlanEngine {
  const evaluate = createJsEvaluation(translationOf(policy));
  const data = parseJson(Buffer.from(policy.data).toString('utf8')) ?? {};
  return { ask: (entrypoint, input, strict) => evaluate(entrypoint, input, data, strict) };
}

/** The policy's Wasm. Builtins that are native there fail in silence. */
export function createWasmPlanEngine(policy: CompiledPolicy): PlanEngine {
  const host = createHost({ builtins: BUILTINS, randomBytes });
  const module = new WebAssembly.Module(Uint8Array.from(policy.wasm));
  const parts = {
    module,
    initialPages: pagesOf(4 * MEGABYTE),
    maximumPages: pagesOf(512 * MEGABYTE),
    callBuiltin: host.call,
  };
  let instance = createWasmInstance(parts, policy.data);
  return {
    ask: (entrypoint, input, strict) => {
      const id = instance.entrypoints.get(entrypoint);
      if (id === undefined) throw new Error(`the module has no entrypoint \`${entrypoint}\``);
      host.begin(AT, strict, budget());
      try {
        const results = parseRegoText(instance.evaluate(id, input === undefined ? undefined : toJsonText(input)));
        return answerOf(results instanceof RegoSet ? results.list() : []);
      } catch (error) {
        if (!(error instanceof WasmFault)) instance = createWasmInstance(parts, policy.data);
        return toError(error);
      }
    },
  };
}

const MEGABYTE = 1_048_576;

function answerOf(results: readonly Value[]): Answer {
  const [first] = results;
  if (first === undefined) return UNDEFINED;
  const value = isObject(first) ? memberOf(first, 'result') : undefined;
  if (value === undefined || results.length !== 1) throw new Error('an engine gave something else than one result');
  return { kind: 'value', value };
}

function toError(thrown: unknown): Answer {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    if (error instanceof BuiltinFailure) return { kind: 'error', code: error.code, text: error.message };
  }
  const text = String(thrown);
  const conflict = /var assignment conflict|object insert conflict/.test(text);
  return { kind: 'error', code: conflict ? 'eval_conflict_error' : 'engine', text };
}
