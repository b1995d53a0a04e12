import { RequestFault } from '../decision/errors.ts';
import type { Explain, Explained } from '../decision/rule-trace.ts';
import { BUILTINS } from './builtins/all.ts';
import type { PolicyConfig } from './config.ts';
import { createRandomness } from './decision-randomness.ts';
import { RenewedBudget } from './evaluation-budget.ts';
import { createInputReader, type ReadInput } from './input-values.ts';
import { toPlain } from './plain-result.ts';
import { createEvaluator, type PlanEvaluator } from './plan/evaluator.ts';
import type { Statement } from './plan/plan.ts';
import { readPlan } from './plan/plan-reader.ts';
import { rolesOf, type StatementRole } from './plan/rule-bodies.ts';
import { createRuleTracer } from './plan/rule-tracer.ts';
import { createPlaces, type PlaceOf } from './plan/source-places.ts';
import { translatePlan } from './plan/translate.ts';
import type { TracePosition } from './plan/translation.ts';
import { neededOf } from './policy-checks.ts';
import { projectInput } from './projection.ts';
import { isObject, memberOf } from './values/object.ts';
import type { Value } from './values/value.ts';

/** What of a bundle is explained. */
export interface ExplainedPolicy {
  readonly plan: Uint8Array;
  readonly entrypoints: readonly string[];
  /** Sources by file name. */
  readonly rego: ReadonlyMap<string, string>;
}

export interface ExplainerParts {
  readonly policies: readonly ExplainedPolicy[];
  readonly data: Value;
  readonly config: Pick<PolicyConfig, 'budget_ms' | 'decisions'>;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly cpuMs: () => number;
}

export interface Explainer {
  readonly explain: Explain;
  /** Lets go of everything; later questions are answered by a fault. */
  readonly close: () => void;
}

/** Being watched makes an evaluation slower. */
const SLOWER = 10;

/**
 * Says how evaluations come about. Watched code is made of a plan when it is first asked for, and costs nothing before.
 * Both engines answer as the plan does, so that this holds for either.
 */
export function createExplainer({ policies, data, config, randomBytes, cpuMs }: ExplainerParts): Explainer {
  const { strict } = neededOf(config.decisions);
  const randomFor = createRandomness(randomBytes);
  const made = new Map<ExplainedPolicy, Watched>();
  let held: { readonly policies: readonly ExplainedPolicy[]; readonly data: Value } | undefined = { policies, data };

  function watchedOf(policy: ExplainedPolicy): Watched {
    const known = made.get(policy);
    if (known !== undefined) return known;
    const watched = watch(policy);
    made.set(policy, watched);
    return watched;
  }

  return {
    explain: (name, input, at) => {
      const policy = held?.policies.find(({ entrypoints }) => entrypoints.includes(name));
      const read = policy && watchedOf(policy).readers.get(name);
      if (held === undefined || policy === undefined || read === undefined) {
        return unknown(`there is no entrypoint \`${name}\` to explain`);
      }
      const { evaluator, positions, roles, placeOf } = watchedOf(policy);
      const tracer = createRuleTracer({ positions, roles, placeOf });
      const budget = new RenewedBudget({ cpuMs, budgetMs: config.budget_ms * SLOWER });
      const context = { at, strict: strict.has(name), budget, randomFor: (label: string) => randomFor(at, label) };
      let evaluation: Explained['evaluation'];
      try {
        const [first] = evaluator.evaluate(name, read(input), held.data, { ...context, observer: tracer });
        const result = first === undefined || !isObject(first) ? undefined : memberOf(first, 'result');
        evaluation = { value: result === undefined ? undefined : toPlain(result), overBudget: false };
      } catch (error) {
        evaluation = error instanceof RequestFault ? error : new RequestFault('policy_error', messageOf(error));
      }
      return { evaluation, trace: tracer.trace(evaluation instanceof Error), evaluated: () => tracer.evaluated() };
    },
    close: () => {
      held = undefined;
      made.clear();
    },
  };
}

interface Watched {
  readonly evaluator: PlanEvaluator;
  readonly readers: ReadonlyMap<string, ReadInput>;
  readonly positions: readonly TracePosition[];
  readonly roles: ReadonlyMap<Statement, StatementRole>;
  readonly placeOf: PlaceOf;
}

function watch({ plan: bytes, rego }: ExplainedPolicy): Watched {
  const plan = readPlan(bytes);
  // Rules that an index leaves out would not be seen to fail.
  const translation = translatePlan(plan, { trace: true, index: false });
  const readers = [...projectInput(plan)].map(([name, projection]) => [name, createInputReader(projection)] as const);
  return {
    evaluator: createEvaluator({ translation, builtins: BUILTINS }),
    readers: new Map(readers),
    positions: translation.positions,
    roles: rolesOf(plan),
    placeOf: createPlaces(plan.files, rego),
  };
}

function unknown(message: string): Explained {
  return {
    evaluation: new RequestFault('policy_error', message),
    trace: { rules: [], left_out: 0 },
    evaluated: () => new Set(),
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
