import type { Block, FunctionUnit, PlanUnit } from './plan.ts';
import type { FunctionFacts } from './plan-facts.ts';
import { statementsIn } from './plan-walk.ts';
import { type OnlyValue, onlyValueOf, type RuleGroup, shapeOf } from './rule-groups.ts';
import { translateGroup, translateSequence, type UnitParts } from './rule-index-source.ts';
import { joined, js, listed, NOTHING, type Source } from './source.ts';
import { contextOf, declared, unitBlock } from './unit-blocks.ts';
import { localSource, type PlanContext, tracePosition, type UnitContext } from './unit-context.ts';

/** Gives numbers to functions beyond the plan's own. */
export type NewFunction = () => number;

/** One function of the plan, with those that it was cut into. */
export function translateFunction(
  shared: PlanContext,
  unit: FunctionUnit,
  index: number,
  facts: FunctionFacts,
  newFunction: NewFunction,
): Source {
  const memo = unit.params.length === 2 ? memoOf(shared, facts) : undefined;
  const shape = shapeOf(unit);
  const only = shared.positions === undefined ? onlyValueOf(unit, shape.groups) : undefined;
  const returning = (value: Source): Source => (memo === undefined ? js`return ${value};` : js`{${memo.keep(value)}}`);
  const context = contextOf(shared, unit, unit.params, { returning, decisive: only?.local });
  const before = shape.before.map((block) => unitBlock(context, block));
  const parts: UnitParts = { shared, unit, whole: unit, newFunction, pieces: [], returning };
  const groups = translateGroups(context, parts, shape.groups, only);
  const after = shape.after.map((block) => unitBlock(context, block));
  const body = joined([...before, groups, ...after]);
  const params = listed(unit.params.map((param) => localSource(context, param)));
  const entered = tracePosition(context, firstPosition(unit.blocks));
  const enter = entered === undefined ? NOTHING : js`enter(${entered});`;
  const hit = memo === undefined ? NOTHING : memo.hit;
  const step = js`if(--meter.steps<0)meter.exhausted();`;
  const end = returning(js`void 0`);
  const head = js`function f${index}(${params}){${hit}${step}${enter}${declared(context, unit.params)}\n`;
  return joined([...parts.pieces, js`${head}${body}${end}}\n`]);
}

/** One entrypoint: what it finds it hands to `result`. */
export function translateEntrypoint(shared: PlanContext, unit: PlanUnit, index: number): Source {
  const context = contextOf(shared, unit, [0, 1], { returning: (value) => js`return ${value};`, decisive: undefined });
  const body = joined(unit.blocks.map((block) => unitBlock(context, block)));
  return js`function f${index}(l0,l1){${declared(context, [0, 1])}\n${body}}\n`;
}

interface Memo {
  /** Returns what is remembered of the same input and data. */
  readonly hit: Source;
  /** Returns a value, and remembers it. */
  readonly keep: (value: Source) => Source;
}

/** INVARIANT: the key is written behind the value was found, so that a fault leaves nothing remembered. */
function memoOf(shared: PlanContext, { input, data, evaluation }: FunctionFacts): Memo {
  const { cells, inputCell, dataCell } = shared;
  if (!input && !evaluation) return memoOfData(shared);
  const value = cells.variable();
  // A new input in every evaluation; the same data has the same number in the next one.
  const byInput = cells.variable();
  const byData = data ? cells.variable() : undefined;
  const test = byData === undefined ? NOTHING : js`&&${byData}===${dataCell}`;
  const key = byData === undefined ? NOTHING : js`${byData}=${dataCell};`;
  return {
    hit: js`if(${byInput}===${inputCell}${test})return ${value};`,
    keep: (source) => js`${value}=${source};${byInput}=${inputCell};${key}return ${value};`,
  };
}

/** What is true of data alone holds for many evaluations, of which some are strict. */
function memoOfData({ cells, dataCell, strictCell }: PlanContext): Memo {
  const [value, key, strictValue, strictKey] = [cells.variable(), cells.variable(), cells.variable(), cells.variable()];
  return {
    hit: js`if(${key}===${dataCell})return ${value};if(${strictKey}===${dataCell})return ${strictValue};`,
    keep: (source) =>
      js`if(${strictCell}){${strictValue}=${source};${strictKey}=${dataCell};return ${strictValue};}${value}=${source};${key}=${dataCell};return ${value};`,
  };
}

function firstPosition(blocks: readonly Block[]) {
  for (const { position } of statementsIn(blocks)) if (position !== undefined) return position;
  return undefined;
}

/** The function's rules; many of them are chosen by an index, and those with many `else` are so one by one. */
function translateGroups(
  context: UnitContext,
  parts: UnitParts,
  groups: readonly RuleGroup[],
  only: OnlyValue | undefined,
): Source {
  const lists = groups.map(({ blocks }) => blocks);
  const state = parts.unit.returns;
  const many = translateSequence(context, parts, { lists, state, ordered: false, only });
  if (many !== undefined) return many;
  return joined(lists.map((blocks) => translateGroup(context, parts, blocks)));
}
