import type { Builtins } from '../../../src/policy/builtins/builtin.ts';
import { createEvaluator, type EvaluationContext } from '../../../src/policy/plan/evaluator.ts';
import { planOf } from '../../../src/policy/plan/plan-reader.ts';
import { translatePlan } from '../../../src/policy/plan/translate.ts';
import type { Value } from '../../../src/policy/values/value.ts';

/** A statement as `plan.json` has it. */
export interface RawStatement {
  readonly type: string;
  readonly stmt: Readonly<Record<string, unknown>>;
}

export type RawOperand = { readonly type: string; readonly value: unknown };

export interface RawFunction {
  readonly name: string;
  readonly params?: readonly number[];
  readonly returns?: number;
  readonly path?: readonly string[];
  readonly blocks: readonly (readonly RawStatement[])[];
}

/** Numbers by their text, statements by their kind: `stmt('DotStmt', { source: local(0), … })`. */
export function stmt(type: string, fields: Readonly<Record<string, unknown>> = {}, row = 1): RawStatement {
  return { type, stmt: { ...fields, file: 0, row, col: 1, end_row: row, end_col: 1 } };
}

export function local(value: number): RawOperand {
  return { type: 'local', value };
}

export function bool(value: boolean): RawOperand {
  return { type: 'bool', value };
}

export function block(...stmts: readonly RawStatement[]): { readonly stmts: readonly RawStatement[] } {
  return { stmts };
}

export interface RawDynamicCall {
  /** Operands of the path whose function is called, with input and data alone. */
  readonly path: readonly RawOperand[];
  readonly result: number;
  /** Where there is no such function. */
  readonly otherwise: RawStatement;
}

/** What OPA plans around a call whose function is found at run time, and of what depends on it. */
export function dynamicCall({ path, result, otherwise }: RawDynamicCall, ...then: readonly RawStatement[]) {
  const called = [stmt('CallDynamicStmt', { args: [0, 1], path, result }), stmt('BreakStmt', { index: 1 })];
  const choice = stmt('BlockStmt', {
    blocks: [block(...called), block(otherwise, stmt('BreakStmt', { index: 1 }))],
  });
  const call = stmt('BlockStmt', { blocks: [block(choice, stmt('BreakStmt', { index: 2 }))] });
  return stmt('BlockStmt', { blocks: [block(call, ...then)] });
}

/** Makes one plan: `text('x')` gives the operand of a constant, `texts.index('x')` its number. */
export function createTexts() {
  const list: string[] = [];
  const index = (text: string): number => {
    const known = list.indexOf(text);
    return known >= 0 ? known : list.push(text) - 1;
  };
  return { list, index, text: (value: string): RawOperand => ({ type: 'string_index', value: index(value) }) };
}

export interface RawPlanParts {
  readonly strings: readonly string[];
  readonly builtins?: readonly string[];
  readonly functions?: readonly RawFunction[];
  /** The blocks of the one entrypoint, `main`. */
  readonly main: readonly (readonly RawStatement[])[];
}

/** A document like OPA's `plan.json`. */
export function rawPlan({ strings, builtins = [], functions = [], main }: RawPlanParts) {
  return {
    static: {
      strings: strings.map((value) => ({ value })),
      builtin_funcs: builtins.map((name) => ({ name, decl: { args: [], result: { type: 'any' }, type: 'function' } })),
      files: [{ value: 'policy.rego' }],
    },
    plans: { plans: [{ name: 'main', blocks: main.map((stmts) => ({ stmts })) }] },
    funcs: {
      funcs: functions.map(({ name, params = [0, 1], returns = 2, path = [], blocks }) => ({
        name,
        params,
        return: returns,
        blocks: blocks.map((stmts) => ({ stmts })),
        path,
      })),
    },
  };
}

/** Statements that put a local into the result set, as `{"x": …}`; they use two locals beyond. */
export function found(x: RawOperand, value: number, scratch: number): readonly RawStatement[] {
  return [
    stmt('MakeObjectStmt', { target: scratch }),
    stmt('ObjectInsertStmt', { key: x, value: local(value), object: scratch }),
    stmt('ResultSetAddStmt', { value: scratch }),
  ];
}

export function evaluationContext(changes: Partial<EvaluationContext> = {}): EvaluationContext {
  return {
    at: { epochMs: 1_700_000_000_000, monotonicMs: 0 },
    strict: false,
    randomFor: () => new Uint8Array(32),
    budget: { steps: 1_000_000, exhausted: () => undefined },
    ...changes,
  };
}

/** An evaluator of the plan's entrypoint `main`. */
export function evaluatorOf(plan: unknown, builtins: Builtins = new Map()) {
  const evaluator = createEvaluator({ translation: translatePlan(planOf(plan)), builtins });
  return {
    evaluate: (input: Value | undefined, data: Value = {}, context = evaluationContext()) =>
      evaluator.evaluate('main', input, data, context),
  };
}
