import { Cells } from './constants.ts';
import type { Plan } from './plan.ts';
import { factsOf } from './plan-facts.ts';
import { withinStack } from './plan-json.ts';
import { joined, js, listed, RUNTIME_NAMES, Source } from './source.ts';
import { translateEntrypoint, translateFunction } from './translate-unit.ts';
import type { RuleTable, TracePosition, Translation } from './translation.ts';
import type { PlanContext } from './unit-context.ts';

export interface TranslationOptions {
  /** Calls an observer at every statement; slow. */
  readonly trace?: boolean;
  /** Whether rules are chosen by what they demand of input and data; true without it. */
  readonly index?: boolean;
  /** How many rules a function must have for that; smaller for tests. */
  readonly leastIndexed?: number;
}

/** Fewer are as fast one after the other. */
const LEAST_INDEXED = 16;

/** The plan as JavaScript. Pure; needs nothing of the process. Throws `invalid_plan` for what is nested too deeply. */
export function translatePlan(plan: Plan, options: TranslationOptions = {}): Translation {
  return withinStack(() => translate(plan, options));
}

function translate(plan: Plan, options: TranslationOptions): Translation {
  const { trace = false, index: indexed = true } = options;
  const leastIndexed = indexed ? (options.leastIndexed ?? LEAST_INDEXED) : Number.POSITIVE_INFINITY;
  const cells = new Cells();
  const conflicts: string[] = [];
  const positions: TracePosition[] | undefined = trace ? [] : undefined;
  const inputCell = cells.variable();
  const dataCell = cells.variable();
  const strictCell = cells.variable();
  const tables: RuleTable[] = [];
  const context: PlanContext = {
    plan,
    cells,
    unitLocals: new Map(),
    conflicts,
    tables,
    leastIndexed,
    positions,
    inputCell,
    dataCell,
    strictCell,
  };
  const facts = factsOf(plan);
  const firstEntrypoint = plan.functions.length;
  let functions = firstEntrypoint + plan.plans.length;
  const enter = functions++;
  const newFunction = (): number => functions++;
  const pieces: Source[] = [];
  for (const [index, unit] of plan.functions.entries()) {
    const own = facts[index] ?? { input: true, data: true, evaluation: true };
    pieces.push(translateFunction(context, unit, index, own, newFunction));
  }
  for (const [index, unit] of plan.plans.entries()) {
    pieces.push(translateEntrypoint(context, unit, firstEntrypoint + index));
  }
  pieces.push(js`function f${enter}(l0,l1,l2){${inputCell}=l0;${dataCell}=l1;${strictCell}=l2;}\n`);
  const dynamic = plan.functions.flatMap((unit, index) => (unit.path.length > 0 ? [{ unit, index }] : []));
  const entrypoints = listed(plan.plans.map((_, index) => js`f${firstEntrypoint + index}`));
  const found = listed(dynamic.map(({ index }) => js`f${index}`));
  const body = joined([cells.declarations(), ...pieces, js`return [f${enter},[${entrypoints}],[${found}]];`]);
  return {
    source: String(js`(function(${listed(RUNTIME_NAMES.map((name) => new Source(name)))}){\n${body}})`),
    constants: cells.constants,
    builtins: cells.builtins,
    entrypoints: plan.plans.map(({ name }) => name),
    dynamic: dynamic.map(({ unit }) => ({ path: unit.path, takes: unit.params.length })),
    conflicts,
    tables,
    positions: positions ?? [],
    files: plan.files,
  };
}
