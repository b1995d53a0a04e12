import { blockFactsOf, carriedLocals, neededLocals } from './block-facts.ts';
import type { Block, FunctionUnit, PlanUnit } from './plan.ts';
import type { FunctionFacts } from './plan-facts.ts';
import { statementsIn } from './plan-walk.ts';
import { areIndependent, type OnlyValue, onlyValueOf, type RuleGroup, shapeOf } from './rule-groups.ts';
import { joined, js, listed, NOTHING, type Source } from './source.ts';
import { translateBlock, translateChoices } from './translate-block.ts';
import { knownOf, localSource, type PlanContext, tracePosition, type UnitContext } from './unit-context.ts';

/** V8 optimises functions of this size; one of 10,000 rules takes it gigabytes. */
const MOST_STATEMENTS = 400;
const MOST_GROUPS = 40;

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
  const cut = shared.positions === undefined ? cutGroups(unit, shape.groups) : undefined;
  const before = shape.before.map((block) => unitBlock(context, block));
  const parts: Source[] = [];
  const groups =
    cut === undefined
      ? shape.groups.flatMap(({ blocks }) => blocks.map((block) => unitBlock(context, block)))
      : cut.map((some) => {
          const number = newFunction();
          parts.push(translatePart(shared, unit, some, number, only));
          return callPart(context, unit, number, only, returning);
        });
  const after = shape.after.map((block) => unitBlock(context, block));
  const body = joined([...before, ...groups, ...after]);
  const params = listed(unit.params.map((param) => localSource(context, param)));
  const entered = tracePosition(context, firstPosition(unit.blocks));
  const enter = entered === undefined ? NOTHING : js`enter(${entered});`;
  const hit = memo === undefined ? NOTHING : memo.hit;
  const step = js`if(--meter.steps<0)meter.exhausted();`;
  const end = returning(js`void 0`);
  const head = js`function f${index}(${params}){${hit}${step}${enter}${declared(context, unit.params)}\n`;
  return joined([...parts, js`${head}${body}${end}}\n`]);
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
function memoOf({ cells, inputCell, dataCell }: PlanContext, { input, data, evaluation }: FunctionFacts): Memo {
  const value = cells.variable();
  // A new input in every evaluation; the same data has the same number in the next one.
  const byInput = input || evaluation ? cells.variable() : undefined;
  const byData = data || byInput === undefined ? cells.variable() : undefined;
  const tests: Source[] = [];
  const keys: Source[] = [];
  for (const [key, current] of [
    [byInput, inputCell],
    [byData, dataCell],
  ] as const) {
    if (key === undefined) continue;
    tests.push(tests.length === 0 ? js`${key}===${current}` : js`&&${key}===${current}`);
    keys.push(js`${key}=${current};`);
  }
  return {
    hit: js`if(${joined(tests)})return ${value};`,
    keep: (source) => js`${value}=${source};${joined(keys)}return ${value};`,
  };
}

function contextOf(
  shared: PlanContext,
  unit: PlanUnit,
  params: readonly number[],
  { returning, decisive }: Pick<UnitContext, 'returning' | 'decisive'>,
): UnitContext {
  const kept = new Set([...keptLocals(unit, params), ...carriedLocals(unit.blocks)]);
  return {
    ...shared,
    name: unit.name,
    conflict: conflictOf(unit.name, params.length > 2),
    input: params[0] ?? 0,
    data: params[1] ?? 1,
    needed: neededLocals(unit.blocks, [...kept]),
    returning,
    decisive,
    owner: undefined,
    kept,
    facts: blockFactsOf([], kept),
    known: new Map(),
    stored: new Set(),
    levels: [],
    withs: 0,
    firstScratch: unit.locals,
    nextLocal: unit.locals,
    nextLabel: 0,
    used: new Set(),
  };
}

/** The locals that live beyond one of the unit's own blocks. */
function keptLocals(unit: PlanUnit | FunctionUnit, params: readonly number[]): ReadonlySet<number> {
  return new Set('returns' in unit ? [...params, unit.returns] : params);
}

/** What OPA says where two rules disagree. */
function conflictOf(name: string, isFunction: boolean): string {
  const path = name.replace(/^g[0-9]+\./, '');
  return isFunction
    ? `function ${path} produced conflicting values for the same inputs`
    : `rule ${path} produced conflicting values`;
}

/** One of a unit's own blocks. Rules with `else` are one, with a block for each of them in it. */
function unitBlock(context: UnitContext, block: Block): Source {
  const [first, ...others] = block;
  const choices = first?.type === 'BlockStmt' && others.length === 0 ? first.blocks : undefined;
  if (choices === undefined) return ownBlock(context, block, context.kept);
  const kept = new Set([...context.kept, ...carriedLocals(choices)]);
  return translateChoices(context, choices, (choice) => begin(context, choice, kept));
}

function ownBlock(context: UnitContext, block: Block, kept: ReadonlySet<number>): Source {
  begin(context, block, kept);
  return translateBlock(context, block);
}

function begin(context: UnitContext, block: Block, kept: ReadonlySet<number>): void {
  context.facts = blockFactsOf(block, kept);
  context.known.clear();
  context.stored.clear();
}

/** The locals that a function's text names, beside its parameters, and those of the translator's own. */
function declared(context: UnitContext, params: readonly number[]): Source {
  const names: Source[] = [];
  for (const local of [...context.used].sort((a, b) => a - b)) if (!params.includes(local)) names.push(js`l${local}`);
  for (let local = context.firstScratch; local < context.nextLocal; local++) {
    const name = js`l${local}`;
    names.push(String(context.owner) === String(name) ? js`${name}=owned()` : name);
  }
  return names.length === 0 ? NOTHING : js`let ${listed(names)};`;
}

function firstPosition(blocks: readonly Block[]) {
  for (const { position } of statementsIn(blocks)) if (position !== undefined) return position;
  return undefined;
}

/** Groups in handfuls that become functions of their own, where there are too many for one. */
function cutGroups(unit: FunctionUnit, groups: readonly RuleGroup[]): readonly (readonly RuleGroup[])[] | undefined {
  const total = groups.reduce((sum, { statements }) => sum + statements, 0);
  if ((total <= MOST_STATEMENTS && groups.length <= MOST_GROUPS) || !areIndependent(unit, groups)) return undefined;
  const cut: RuleGroup[][] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const group of groups) {
    const last = cut.at(-1);
    if (last === undefined || last.length >= MOST_GROUPS || size + group.statements > MOST_STATEMENTS) {
      cut.push([group]);
      size = group.statements;
    } else {
      last.push(group);
      size += group.statements;
    }
  }
  return cut;
}

/** Some of a function's rules: takes the parameters and the value so far, gives the value behind them. */
function translatePart(
  shared: PlanContext,
  unit: FunctionUnit,
  groups: readonly RuleGroup[],
  number: number,
  only: OnlyValue | undefined,
): Source {
  const params = [...unit.params, unit.returns];
  const returning = (value: Source): Source => js`return ${value};`;
  const context = contextOf(shared, unit, unit.params, { returning, decisive: only?.local });
  const body = joined(groups.flatMap(({ blocks }) => blocks.map((block) => unitBlock(context, block))));
  const names = listed(params.map((param) => localSource(context, param)));
  return js`function f${number}(${names}){${declared(context, params)}\n${body}return ${localSource(context, unit.returns)};}\n`;
}

function callPart(
  context: UnitContext,
  unit: FunctionUnit,
  number: number,
  only: OnlyValue | undefined,
  returning: (value: Source) => Source,
): Source {
  const returns = localSource(context, unit.returns);
  const args = listed([...unit.params, unit.returns].map((local) => localSource(context, local)));
  const call = js`${returns}=f${number}(${args});\n`;
  if (only === undefined) return call;
  const value = knownOf(context, only.value);
  return value === undefined ? call : js`${call}if(${returns}!==void 0)${returning(value.source)}\n`;
}
