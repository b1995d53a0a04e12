import type { Block, FunctionUnit, Operand, Statement } from './plan.ts';
import { countStatements, type LocalVisitor, visitLocals, visitStatements } from './plan-walk.ts';
import { areIndependent, committed, type OnlyValue } from './rule-groups.ts';
import { eitherOf, type GuardPath, type GuardScope, type Guards, guardsOf } from './rule-index-guards.ts';
import { templatesOf } from './rule-index-templates.ts';
import { indexOf, MOST_PATHS, type RuleIndex } from './rule-index-tree.ts';
import { joined, js, listed, NOTHING, type Source } from './source.ts';
import { contextOf, declared, ownBlock, unitBlock } from './unit-blocks.ts';
import { knownOf, localSource, type PlanContext, scratch, type UnitContext } from './unit-context.ts';

/** V8 optimises functions of this size; one of 10,000 rules takes it gigabytes. */
const MOST_STATEMENTS = 400;
const MOST_LISTS = 40;

/** From so many on, lists that are alike share one function. */
const MANY_ALIKE = 64;

/** Lists of blocks one after the other: each does nothing, or changes a local that it may look at. */
export interface Sequence {
  readonly lists: readonly (readonly Block[])[];
  readonly state: number;
  /** Whether those that come behind one that gave the local a value do nothing: `else`. */
  readonly ordered: boolean;
  /** The one value that they give, if it is known: the function's. */
  readonly only: OnlyValue | undefined;
}

/** Where the functions go that a unit is cut into, and how the unit returns. */
export interface UnitParts {
  readonly shared: PlanContext;
  readonly unit: FunctionUnit;
  /** The unit of the plan, of which `unit` may be a part. */
  readonly whole: FunctionUnit;
  readonly newFunction: () => number;
  readonly pieces: Source[];
  readonly returning: (value: Source) => Source;
}

/**
 * The sequence in functions of bounded size, of which those are called whose guards hold; `undefined` where it is so small
 * that it is best written as it stands, or where its lists need something of each other.
 */
export function translateSequence(context: UnitContext, parts: UnitParts, sequence: Sequence): Source | undefined {
  const { shared, unit } = parts;
  const { lists, state } = sequence;
  const statements = lists.reduce((sum, list) => sum + countStatements(list), 0);
  const isLarge = statements > MOST_STATEMENTS || lists.length > MOST_LISTS;
  if (shared.positions !== undefined || lists.length < 2 || (!isLarge && lists.length < shared.leastIndexed))
    return undefined;
  if (!areAlone({ ...unit, returns: state }, sequence, unit.returns)) return undefined;
  const index = lists.length < shared.leastIndexed ? undefined : usefulIndex(context, parts, sequence);
  if (index === undefined && !(isLarge && lists.length >= MANY_ALIKE)) {
    return isLarge ? cutSource(context, parts, sequence) : undefined;
  }
  return tableSource(context, parts, sequence, index) ?? cutSource(context, parts, sequence);
}

/** One rule, or those that are tied by `else`: many of these are chosen by an index too. */
export function translateGroup(context: UnitContext, parts: UnitParts, blocks: readonly Block[]): Source {
  const chain = chainOf(blocks, parts.unit);
  if (chain !== undefined) {
    const { choices, state, commit } = chain;
    const kept = new Set([...context.kept, state]);
    const lists = choices.map((choice) => [choice]);
    const many = translateSequence(context, parts, { lists, state, ordered: true, only: undefined });
    if (many !== undefined) {
      return js`${localSource(context, state)}=void 0;\n${many}${ownBlock(context, commit, kept)}`;
    }
  }
  return joined(blocks.map((block) => unitBlock(context, block)));
}

/** Rules with `else`, and what puts their value into the function's. */
export interface Chain {
  readonly choices: readonly Block[];
  readonly commit: Block;
  readonly state: number;
}

/** The group as a chain; every choice of it begins with the test that nothing was chosen before. */
export function chainOf(blocks: readonly Block[], unit: FunctionUnit): Chain | undefined {
  const [first, ...others] = blocks[0] ?? [];
  if (blocks.length !== 1 || others.length > 0 || first?.type !== 'BlockStmt' || first.blocks.length < 3)
    return undefined;
  const commit = first.blocks.at(-1);
  const state = commit === undefined ? undefined : committed(commit, unit.returns);
  if (commit === undefined || state === undefined || unit.params.includes(state)) return undefined;
  const choices: Block[] = [];
  for (const choice of first.blocks.slice(0, -1)) {
    const [test, ...rest] = choice;
    const wanted = choices.length === 0 ? 'ResetLocalStmt' : 'IsUndefinedStmt';
    if (test?.type !== wanted || (test.type === 'ResetLocalStmt' ? test.target : test.source) !== state)
      return undefined;
    if (breaksOut(rest, 0)) return undefined;
    choices.push([{ type: 'IsUndefinedStmt', source: state, position: test.position }, ...rest]);
  }
  return { choices, commit, state };
}

/** Whether a statement leaves the choice that it is in. */
function breaksOut(block: Block, depth: number): boolean {
  return block.some((statement) => {
    if (statement.type === 'BreakStmt') return statement.index > depth;
    if (statement.type === 'CallDynamicStmt') return depth < 3;
    return statement.type === 'BlockStmt' && statement.blocks.some((inner) => breaksOut(inner, depth + 1));
  });
}

/** Whether each list needs nothing of the others, and changes nothing that others see but the state. */
function areAlone(unit: FunctionUnit, { lists }: Sequence, returns: number): boolean {
  const fixed = new Set([...unit.params, returns]);
  fixed.delete(unit.returns);
  let alone = areIndependent(
    unit,
    lists.map((blocks) => ({ blocks })),
  );
  const see = (local: number, statement: Statement): void => {
    alone &&= !fixed.has(local) || statement.type === 'WithStmt';
  };
  const visitor: LocalVisitor = { write: see, update: see };
  const visit = (statement: Statement): void => visitLocals(statement, visitor);
  for (const list of lists) {
    visitStatements(list, visit);
    if (!alone) return false;
  }
  return alone;
}

/** An index that spares at least half of the lists. */
function usefulIndex({ data }: UnitContext, { shared, unit }: UnitParts, sequence: Sequence): RuleIndex | undefined {
  const scope: GuardScope = {
    plan: shared.plan,
    params: unit.params,
    data,
    shared: new Set([...unit.params, unit.returns, sequence.state]),
  };
  const index = indexOf(sequence.lists.map((list) => listGuards(scope, unit, list)));
  return index.expected * 2 <= sequence.lists.length ? index : undefined;
}

/** A rule's value is put into the function's only where its own block found one. */
function listGuards(scope: GuardScope, unit: FunctionUnit, list: readonly Block[]): Guards {
  const [rule] = list;
  const chain = chainOf(list, unit);
  if (chain !== undefined) {
    const inner = { ...scope, shared: new Set([...scope.shared, chain.state]) };
    return eitherOf(chain.choices.map((choice) => guardsOf(inner, choice)));
  }
  return rule === undefined || rule[0]?.type === 'IsDefinedStmt' ? eitherOf([]) : guardsOf(scope, rule);
}

/** One function for all lists that are alike, called for each of those that may do anything. */
function tableSource(
  context: UnitContext,
  parts: UnitParts,
  sequence: Sequence,
  index: RuleIndex | undefined,
): Source | undefined {
  const { shared, unit, newFunction } = parts;
  const { lists, state, ordered } = sequence;
  const { templates, rows } = templatesOf({ plan: shared.plan, state, free: unit.locals }, lists);
  if (index === undefined && templates.length * 4 > lists.length) return undefined;
  const functions = templates.map(({ blocks, slots }) => {
    const number = newFunction();
    parts.pieces.push(listFunction(parts, sequence, { number, lists: [blocks], slots }));
    return js`f${number}`;
  });
  const tree = index?.tree ?? lists.map((_, at) => at);
  const table = shared.cells.table(
    shared.tables.push({
      templates: rows.map(({ template }) => template),
      slots: templates.map(({ slots }) => slots.length),
      constants: rows.flatMap(({ constants }) => constants),
      tree,
    }) - 1,
  );
  const reads = (index?.paths ?? []).map((path) => readPath(context, path));
  const values = Array.from({ length: MOST_PATHS }, (_, at) => reads[at]?.value ?? js`void 0`);
  const [chosen, at, row] = [scratch(context), scratch(context), scratch(context)];
  const [only] = functions;
  const callee = functions.length === 1 && only !== undefined ? only : scratch(context);
  const found = functions.length === 1 ? NOTHING : js`${callee}=template(${row});`;
  const called = functions.length === 1 ? callee : js`${shared.cells.functions(functions)}[${callee}]`;
  const to = localSource(context, state);
  const args = listed([...unit.params.map((param) => localSource(context, param)), to, row]);
  const more = ordered ? js`${to}===void 0&&` : NOTHING;
  const step = js`if(--meter.steps<0)meter.exhausted();`;
  const round = js`${step}${row}=${chosen}[${at}];${found}${to}=${called}(${args});${stop(context, parts, sequence)}`;
  const head = js`${chosen}=choose(${table},${listed(values)});`;
  const loop = js`for(${at}=0;${more}${at}<${chosen}.length;${at}++){${round}}\n`;
  return joined([...reads.map(({ source }) => source), head, loop]);
}

/** Reads as a rule does that has nothing but this to read. */
function readPath(
  context: UnitContext,
  { root, steps }: GuardPath,
): { readonly source: Source; readonly value: Source } {
  let from = root;
  const block: Statement[] = [];
  const position = undefined;
  for (const step of steps) {
    let key: Operand;
    if (typeof step === 'number') key = { kind: 'string', index: step };
    else {
      key = { kind: 'local', local: context.nextLocal++ };
      block.push({ ...step, target: key.local, position });
    }
    const target = context.nextLocal++;
    block.push({ type: 'DotStmt', source: { kind: 'local', local: from }, key, target, position });
    from = target;
  }
  return { source: ownBlock(context, block, context.kept), value: localSource(context, from) };
}

/** Behind a list: the function returns where its value is known now. */
function stop(context: UnitContext, { returning }: UnitParts, { state, only }: Sequence): Source {
  const value = only === undefined ? undefined : knownOf(context, only.value);
  return value === undefined ? NOTHING : js`if(${localSource(context, state)}!==void 0)${returning(value.source)}`;
}

interface ListFunction {
  readonly number: number;
  readonly lists: readonly (readonly Block[])[];
  readonly slots: readonly number[];
}

/** Takes the parameters, the state so far and, where it has slots, the row with what stands in them; gives the state. */
function listFunction(parts: UnitParts, { state, only }: Sequence, part: ListFunction): Source {
  const { shared, unit } = parts;
  const row = unit.locals + part.slots.length;
  const own: FunctionUnit = { ...unit, returns: state, blocks: part.lists.flat(), locals: row + 1 };
  const returning = (value: Source): Source => js`return ${value};`;
  const context = contextOf(shared, own, unit.params, { returning, decisive: only?.local, whole: parts.whole });
  const inner: UnitParts = { ...parts, unit: own, returning };
  const body = joined(part.lists.map((list) => translateGroup(context, inner, list)));
  const params = [...unit.params, state, row];
  const names = listed(params.map((param) => localSource(context, param)));
  const slots = part.slots.map((slot, at) => js`${localSource(context, slot)}=slot(l${row},${at});`);
  const end = js`return ${localSource(context, state)};`;
  return js`function f${part.number}(${names}){${declared(context, params)}${joined(slots)}\n${body}${end}}\n`;
}

/** The sequence in handfuls, each a function of its own. */
function cutSource(context: UnitContext, parts: UnitParts, sequence: Sequence): Source {
  const { unit } = parts;
  const to = localSource(context, sequence.state);
  const args = listed([...unit.params.map((param) => localSource(context, param)), to]);
  const calls = handfuls(sequence.lists).map((lists) => {
    const number = parts.newFunction();
    parts.pieces.push(listFunction(parts, sequence, { number, lists, slots: [] }));
    const test = sequence.ordered ? js`if(${to}===void 0)` : NOTHING;
    return js`${test}${to}=f${number}(${args});${stop(context, parts, sequence)}\n`;
  });
  return joined(calls);
}

function handfuls(lists: readonly (readonly Block[])[]): readonly (readonly (readonly Block[])[])[] {
  const cut: (readonly Block[])[][] = [];
  let size = 0;
  for (const list of lists) {
    const statements = countStatements(list);
    const last = cut.at(-1);
    if (last === undefined || last.length >= MOST_LISTS || size + statements > MOST_STATEMENTS) {
      cut.push([list]);
      size = statements;
    } else {
      last.push(list);
      size += statements;
    }
  }
  return cut;
}
