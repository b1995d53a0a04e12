import { RequestFault } from '../decision/errors.ts';
import type { PolicyInput } from '../decision/input.ts';
import type { Evaluation, Instant } from '../decision/ports.ts';
import { BUILTINS } from './builtins/all.ts';
import { loggableFailure } from './builtins/builtin.ts';
import type { PolicyConfig } from './config.ts';
import { createRandomness, type RandomFor } from './decision-randomness.ts';
import { RenewedBudget } from './evaluation-budget.ts';
import { createInputReader, type ReadInput } from './input-values.ts';
import { createKnownResults, type KnownResults } from './known-results.ts';
import { toPlain } from './plain-result.ts';
import { createEvaluator, type EvaluationContext, type PlanEvaluator } from './plan/evaluator.ts';
import { EvaluationFault } from './plan/fault.ts';
import { dataText, demandEntrypoints, neededOf, refuseForbidden, refuseUnknown } from './policy-checks.ts';
import { type CompiledPolicy, type LoadedPolicy, type PolicyEngine, PolicyLoadError } from './policy-engine.ts';
import { type PreparedPolicy, preparePolicy } from './prepared-policy.ts';
import { projectedPaths } from './projection.ts';
import { parseJson } from './values/json.ts';
import { isObject, memberOf } from './values/object.ts';
import type { Value } from './values/value.ts';

export interface JsEngineParts {
  readonly config: Pick<PolicyConfig, 'budget_ms' | 'decisions'>;
  /** Cryptographic randomness, for `rand.intn` and `uuid.rfc4122`. */
  readonly randomBytes: (count: number) => Uint8Array;
  /** CPU time of this thread in milliseconds. */
  readonly cpuMs: () => number;
}

/**
 * Evaluates policies as JavaScript that their plan was translated to. An evaluation that uses up `budget_ms` is ended
 * with a `RequestFault` `policy_budget`. A policy whose `limits` make a builtin fail has no answer (strict errors).
 */
export function createJsEngine({ config, randomBytes, cpuMs }: JsEngineParts): PolicyEngine {
  const randomFor = createRandomness(randomBytes);
  const { names, strict, charging } = neededOf(config.decisions);
  return {
    load: async (policy) => {
      const prepared = policy.prepared ?? preparePolicy(policy.plan);
      refuseForbidden(prepared.builtins);
      refuseUnknown(prepared.builtins, BUILTINS);
      demandEntrypoints(names, prepared.entrypoints);
      const data = policy.dataValue ?? readData(policy);
      const evaluator = createEvaluator({ translation: prepared.translation, builtins: BUILTINS });
      const budget = new RenewedBudget({ cpuMs, budgetMs: config.budget_ms });
      return toLoadedPolicy({ prepared, evaluator, data, strict, charging, budget, randomFor });
    },
  };
}

function readData({ data }: CompiledPolicy): Value {
  const value = parseJson(dataText(data));
  if (value === undefined) throw new PolicyLoadError('invalid_data', '`data.json` is not JSON');
  return value;
}

interface Entrypoint {
  readonly name: string;
  readonly read: ReadInput;
  /** Whether a builtin that fails is a fault. */
  readonly strict: boolean;
  /** `undefined` for what decides: no decision is remembered. */
  readonly known: KnownResults | undefined;
}

interface LoadedParts {
  readonly prepared: PreparedPolicy;
  readonly evaluator: PlanEvaluator;
  readonly data: Value;
  readonly strict: ReadonlySet<string>;
  readonly charging: ReadonlySet<string>;
  readonly budget: RenewedBudget;
  readonly randomFor: RandomFor;
}

function toLoadedPolicy({ prepared, evaluator, data, strict, charging, budget, randomFor }: LoadedParts): LoadedPolicy {
  const entrypoints = new Map<string, Entrypoint>();
  for (const [name, projection] of prepared.projections) {
    entrypoints.set(name, {
      name,
      read: createInputReader(projection),
      strict: strict.has(name),
      known: charging.has(name) ? createKnownResults(projection) : undefined,
    });
  }
  const context = new Context(budget, randomFor);
  let overruns = 0;
  /** `undefined` once it was closed. */
  let held: Value | undefined = data;

  function entrypointOf(name: string): Entrypoint {
    const entrypoint = entrypoints.get(name);
    if (entrypoint === undefined) throw new RequestFault('policy_error', `the policy has no entrypoint \`${name}\``);
    return entrypoint;
  }

  function answer({ name, strict }: Entrypoint, input: Value, at: Instant): Evaluation {
    if (held === undefined) throw new RequestFault('policy_error', 'the policy was closed');
    context.begin(at, strict);
    let value: unknown;
    try {
      const [first] = evaluator.evaluate(name, input, held, context);
      const result = first === undefined || !isObject(first) ? undefined : memberOf(first, 'result');
      value = result === undefined ? undefined : toPlain(result);
    } catch (thrown) {
      const fault = thrown instanceof RequestFault ? thrown : faultOf(thrown, '');
      fault.steps = context.budget.used();
      if (fault === thrown) overruns += 1;
      throw fault;
    }
    const steps = context.budget.used();
    return { value, overBudget: false, steps };
  }

  return {
    entrypoints: prepared.entrypoints,
    evaluate: (name, input, at) => {
      const entrypoint = entrypointOf(name);
      const known = held === undefined ? undefined : entrypoint.known;
      const found = known === undefined ? undefined : readInput(known.find, input);
      if (found !== undefined) return { value: found.value, overBudget: false, steps: 0 };
      const nth = known?.asked() ?? 0;
      const answered = answer(entrypoint, readInput(entrypoint.read, input), at);
      if (known !== undefined && evaluator.isRepeatable()) known.keep(answered.value, nth);
      return answered;
    },
    evaluateText: (name, text, at) => {
      const entrypoint = entrypointOf(name);
      const input = parseJson(text);
      if (input === undefined) throw new RequestFault('policy_error', 'the recorded `input` is no JSON');
      return answer(entrypoint, input, at);
    },
    inputPaths: (name) => {
      const projection = prepared.projections.get(name);
      return projection === undefined ? [] : projectedPaths(projection);
    },
    isPolicyConstant: (text) => prepared.texts.has(text),
    budgetOverruns: () => overruns,
    close: () => {
      held = undefined;
    },
  };
}

/** One for all evaluations of a policy, which come one after the other. */
class Context implements EvaluationContext {
  at: Instant = { epochMs: 0, monotonicMs: 0 };
  strict = false;
  readonly budget: RenewedBudget;
  readonly randomFor: (label: string) => Uint8Array;

  constructor(budget: RenewedBudget, randomFor: RandomFor) {
    this.budget = budget;
    this.randomFor = (label) => randomFor(this.at, label);
  }

  begin(at: Instant, strict: boolean): void {
    this.at = at;
    this.strict = strict;
    this.budget.restart();
  }
}

/** A member of `input` may be a fault of its own (`malformed_request`); that one is passed on. */
function readInput<Read>(read: (input: PolicyInput) => Read, input: PolicyInput): Read {
  try {
    return read(input);
  } catch (thrown) {
    throw thrown instanceof RequestFault ? thrown : faultOf(thrown, '`input` cannot be read: ');
  }
}

function faultOf(thrown: unknown, what: string): RequestFault {
  if (thrown instanceof EvaluationFault && thrown.builtin !== undefined) {
    return new RequestFault('policy_error', loggableFailure(thrown.builtin, thrown.code, thrown.message));
  }
  const cause = thrown instanceof Error ? thrown : new Error(String(thrown));
  return new RequestFault('policy_error', `${what}${cause.message}`, { cause });
}
