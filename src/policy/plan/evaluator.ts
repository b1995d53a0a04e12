import { Script } from 'node:vm';
import type { Instant } from '../../decision/ports.ts';
import type { Builtins } from '../builtins/builtin.ts';
import type { Value } from '../values/value.ts';
import { countWorkBy } from '../values/work.ts';
import { internalFault } from './fault.ts';
import { type Budget, createRuntime, type PlanFunction, type PlanObserver, type Runtime } from './runtime.ts';
import { RUNTIME_NAMES } from './source.ts';
import type { Translation } from './translation.ts';

/** One evaluation's circumstances. */
export interface EvaluationContext {
  readonly at: Instant;
  /** Whether a builtin that fails fails the evaluation. */
  readonly strict: boolean;
  /** 32 random bytes, the same for a label throughout a decision. */
  readonly randomFor: (label: string) => Uint8Array;
  readonly budget: Budget;
  /** For a translation with `trace`. */
  readonly observer?: PlanObserver;
}

/** A policy that can be asked, one question at a time. */
export interface PlanEvaluator {
  readonly entrypoints: readonly string[];
  /**
   * The result set: nothing where the entrypoint is undefined. What is true of `data` alone is remembered as long as it
   * is the same object. Throws an {@link EvaluationFault}, or what the budget throws.
   */
  evaluate(entrypoint: string, input: Value | undefined, data: Value, context: EvaluationContext): readonly Value[];
  /** Whether nothing but input and data, under the same strictness, decided the evaluation that ended last. */
  isRepeatable(): boolean;
  /** V8's compiled form of what ran so far, for `cachedData`. */
  createCachedData(): Uint8Array;
}

export interface EvaluatorOptions {
  readonly translation: Translation;
  readonly builtins: Builtins;
  /** Of the same translation and the same V8; anything else is ignored by V8. */
  readonly cachedData?: Uint8Array;
}

/** What generated source returns: what sets input and data, entrypoints, and functions for dynamic calls. */
type GeneratedPolicy = readonly [
  (input: number, data: number, strict: boolean) => void,
  readonly PlanFunction[],
  readonly PlanFunction[],
];

/** Throws a `PolicyLoadError` `unknown_builtin` where one of the plan's is missing. */
export function createEvaluator({ translation, builtins, cachedData }: EvaluatorOptions): PlanEvaluator {
  const runtime = createRuntime(translation, builtins);
  const script = new Script(translation.source, {
    filename: 'policy.js',
    ...(cachedData === undefined ? {} : { cachedData: Buffer.from(cachedData) }),
  });
  // The translator writes one function expression, which returns these.
  const build = script.runInThisContext() as (...names: unknown[]) => GeneratedPolicy;
  const [enter, plans, dynamic] = build(...RUNTIME_NAMES.map((name) => runtime.names[name]));
  for (const [index, { path, takes }] of translation.dynamic.entries()) {
    const callee = dynamic[index];
    if (callee !== undefined) runtime.register(path, takes, callee);
  }
  const byEntrypoint = new Map<string, PlanFunction>();
  for (const [index, name] of translation.entrypoints.entries()) {
    const plan = plans[index];
    if (plan !== undefined) byEntrypoint.set(name, plan);
  }
  return {
    entrypoints: translation.entrypoints,
    isRepeatable: () => !runtime.differed,
    createCachedData: () => script.createCachedData(),
    evaluate(entrypoint, input, data, context) {
      const plan = byEntrypoint.get(entrypoint);
      if (plan === undefined) throw internalFault(`there is no entrypoint \`${entrypoint}\``);
      return evaluate(runtime, enter, plan, input, data, context);
    },
  };
}

function evaluate(
  runtime: Runtime,
  enter: GeneratedPolicy[0],
  plan: PlanFunction,
  input: Value | undefined,
  data: Value,
  { at, strict, randomFor, budget, observer }: EvaluationContext,
): readonly Value[] {
  const { context, meter, worlds } = runtime;
  worlds.begin(input, data, strict);
  context.at = at;
  context.strict = strict;
  context.randomFor = randomFor;
  meter.steps = budget.steps;
  meter.budget = budget;
  runtime.observer = observer;
  runtime.differed = false;
  const results: Value[] = [];
  runtime.results = results;
  enter(worlds.input, worlds.data, strict);
  countWorkBy(context.charge);
  try {
    plan(input, data);
    return results;
  } catch (error) {
    if (error instanceof RangeError) throw internalFault('the evaluation goes too deep', { cause: error });
    throw error;
  } finally {
    budget.steps = meter.steps;
    meter.budget = undefined;
    countWorkBy(undefined);
    worlds.end();
  }
}
