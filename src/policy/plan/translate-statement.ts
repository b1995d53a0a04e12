import { literalsFrom, plainKeyOf, scalarOf } from './literals.ts';
import type { Block, Operand, Statement, StatementOf } from './plan.ts';
import { joined, js, listed, NOTHING, type Source } from './source.ts';
import {
  fail,
  type Known,
  knownOf,
  leave,
  localSource,
  operandSource,
  scratch,
  type UnitContext,
} from './unit-context.ts';

/** Kinds that have no blocks in them. */
export type SimpleStatement = Exclude<Statement, { type: 'BlockStmt' | 'NotStmt' | 'ScanStmt' | 'WithStmt' }>;

/** One statement; what it needs beside its own is where it stands, for constants made of several statements. */
export function translateSimple(
  context: UnitContext,
  statement: SimpleStatement,
  block: Block,
  at: number,
  position: number | undefined,
): Source {
  switch (statement.type) {
    case 'NopStmt':
      return NOTHING;
    case 'BreakStmt':
      return leave(context, statement.index);
    case 'ReturnLocalStmt':
      return context.returning(localSource(context, statement.source));
    case 'ResultSetAddStmt':
      return js`result(${localSource(context, statement.value)});`;
    case 'AssignVarStmt':
      return assign(
        context,
        statement.target,
        operandSource(context, statement.source),
        knownOf(context, statement.source),
      );
    case 'ResetLocalStmt':
      return js`${localSource(context, statement.target)}=void 0;`;
    case 'AssignIntStmt':
    case 'MakeNullStmt':
    case 'MakeNumberIntStmt':
    case 'MakeNumberRefStmt': {
      const known = scalarOf(context, statement);
      return known === undefined ? NOTHING : assign(context, statement.target, known.source, known);
    }
    case 'MakeArrayStmt':
      return make(context, statement.target, js`[]`, block, at);
    case 'MakeObjectStmt':
      return make(context, statement.target, js`{}`, block, at);
    case 'MakeSetStmt':
      return make(context, statement.target, js`makeSet()`, block, at);
    case 'ArrayAppendStmt':
    case 'SetAddStmt':
    case 'ObjectInsertStmt':
    case 'ObjectInsertOnceStmt':
      return put(context, statement);
    case 'AssignVarOnceStmt':
      return assignOnce(context, statement);
    case 'IsDefinedStmt':
      return js`if(${localSource(context, statement.source)}===void 0)${fail(context, position)}`;
    case 'IsUndefinedStmt':
      return js`if(${localSource(context, statement.source)}!==void 0)${fail(context, position)}`;
    case 'IsArrayStmt':
      return js`if(!Array.isArray(${operandSource(context, statement.source)}))${fail(context, position)}`;
    case 'IsObjectStmt':
      return js`if(!isObject(${operandSource(context, statement.source)}))${fail(context, position)}`;
    case 'IsSetStmt':
      return js`if(!isSet(${operandSource(context, statement.source)}))${fail(context, position)}`;
    case 'LenStmt':
      return js`${localSource(context, statement.target)}=size(${operandSource(context, statement.source)});`;
    case 'EqualStmt':
      return js`if(${difference(context, statement.a, statement.b)})${fail(context, position)}`;
    case 'NotEqualStmt':
      return js`if(!(${difference(context, statement.a, statement.b)}))${fail(context, position)}`;
    case 'DotStmt':
      return dot(context, statement, position);
    case 'ObjectMergeStmt': {
      const a = localSource(context, statement.a);
      const b = localSource(context, statement.b);
      return js`${localSource(context, statement.target)}=merge(${a},${b});`;
    }
    case 'CallStmt':
      return call(context, statement, position);
    case 'CallDynamicStmt':
      return callDynamic(context, statement, position);
  }
}

/** Whether the local has one value wherever it has any, within the block that is being written. */
export function isConstant(context: UnitContext, local: number): boolean {
  const { writes, puts, shared } = context.facts;
  return writes.get(local) === 1 && !puts.has(local) && !shared.has(local);
}

function assign(context: UnitContext, target: number, source: Source, known: Known | undefined): Source {
  if (known !== undefined && isConstant(context, target)) context.known.set(target, known);
  return context.needed.has(target) || context.positions !== undefined
    ? js`${localSource(context, target)}=${source};`
    : NOTHING;
}

function make(context: UnitContext, target: number, empty: Source, block: Block, at: number): Source {
  if (!context.known.has(target)) {
    for (const [made, known] of literalsFrom(context, block, at)) context.known.set(made, known);
  }
  const known = context.known.get(target);
  const local = localSource(context, target);
  if (known !== undefined) return known.source === NOTHING ? NOTHING : js`${local}=${known.source};`;
  if (!context.facts.foreign.has(target)) return js`${local}=${empty};`;
  return js`${ownerOf(context)}.add(${local}=${empty});`;
}

function ownerOf(context: UnitContext): Source {
  context.owner ??= scratch(context);
  return context.owner;
}

type Put = StatementOf<'ArrayAppendStmt' | 'SetAddStmt' | 'ObjectInsertStmt' | 'ObjectInsertOnceStmt'>;

function put(context: UnitContext, statement: SimpleStatement & { readonly type: Put['type'] }): Source {
  const container = containerOf(statement);
  // A constant, made when the policy was loaded.
  if (context.known.has(container)) return NOTHING;
  const local = localSource(context, container);
  const value = operandSource(context, statement.value);
  const foreign = context.facts.foreign.has(container);
  if (statement.type === 'ArrayAppendStmt') {
    return foreign ? js`${local}=appended(${local},${value});` : js`${local}.push(${value});`;
  }
  if (statement.type === 'SetAddStmt') {
    return foreign ? js`${local}=ownedAdd(${ownerOf(context)},${local},${value});` : js`${local}.add(${value});`;
  }
  const key = operandSource(context, statement.key);
  const once = statement.type === 'ObjectInsertOnceStmt';
  if (foreign) {
    const owner = ownerOf(context);
    return once
      ? js`${local}=ownedInsertOnce(${owner},${local},${key},${value});`
      : js`${local}=ownedInsert(${owner},${local},${key},${value});`;
  }
  if (once) return js`${local}=insertOnce(${local},${key},${value});`;
  if (context.facts.records.has(container) && plainKeyOf(knownOf(context, statement.key)) !== undefined) {
    return js`${local}[${key}]=${value};`;
  }
  return js`${local}=insert(${local},${key},${value});`;
}

function containerOf(statement: SimpleStatement & { readonly type: Put['type'] }): number {
  if (statement.type === 'ArrayAppendStmt') return statement.array;
  return statement.type === 'SetAddStmt' ? statement.set : statement.object;
}

function assignOnce(context: UnitContext, { source, target }: StatementOf<'AssignVarOnceStmt'>): Source {
  const value = operandSource(context, source);
  if (target === context.decisive && context.withs === 0) return context.returning(value);
  const local = localSource(context, target);
  const other = differs(local, value, knownOf(context, source));
  return js`if(${local}===void 0)${local}=${value};else if(${other})conflict(${conflictOf(context)});`;
}

function conflictOf({ conflicts, conflict }: UnitContext): number {
  const known = conflicts.indexOf(conflict);
  return known >= 0 ? known : conflicts.push(conflict) - 1;
}

function difference(context: UnitContext, a: Operand, b: Operand): Source {
  const knownA = knownOf(context, a);
  const knownB = knownOf(context, b);
  const left = operandSource(context, a);
  const right = operandSource(context, b);
  return knownA !== undefined ? differs(right, left, knownA) : differs(left, right, knownB);
}

/** Whether two values are not the same, the second of which may be known. */
function differs(left: Source, right: Source, known: Known | undefined): Source {
  const constant = known?.constant;
  if (constant === null || typeof constant === 'boolean' || typeof constant === 'string') return js`${left}!==${right}`;
  return js`${left}!==${right}&&!equal(${left},${right})`;
}

function dot(context: UnitContext, statement: StatementOf<'DotStmt'>, position: number | undefined): Source {
  const { source, target } = statement;
  if (source.kind !== 'local') return fail(context, position);
  const from = operandSource(context, source);
  const known = knownOf(context, statement.key);
  const key = operandSource(context, statement.key);
  const to = localSource(context, target);
  const stored = isStored(context, source.local);
  if (stored && isConstant(context, target)) context.stored.add(target);
  if (plainKeyOf(known) === undefined && stored) {
    return js`if((${to}=stored(${from},${key}))===void 0)${fail(context, position)}`;
  }
  if (plainKeyOf(known) === undefined || target === source.local) {
    return js`if((${to}=get(${from},${key}))===void 0)${fail(context, position)}`;
  }
  return js`if((${to}=${from}?.[${key}])===void 0&&(${to}=rare(${from},${key}))===void 0)${fail(context, position)}`;
}

export function isStored(context: UnitContext, local: number): boolean {
  return local === context.data || context.stored.has(local);
}

function call(context: UnitContext, statement: StatementOf<'CallStmt'>, position: number | undefined): Source {
  const { plan, cells } = context;
  const test = membership(context, statement);
  if (test !== undefined) return js`${localSource(context, statement.result)}=${test};`;
  const args = listed(statement.args.map((argument) => operandSource(context, argument)));
  const index = plan.functionIndexes.get(statement.func);
  if (index === undefined && plan.builtins.get(statement.func)?.hasResult !== true) {
    return js`${cells.builtin(statement.func)}(${args});`;
  }
  const callee = index === undefined ? cells.builtin(statement.func) : js`f${index}`;
  return js`if((${localSource(context, statement.result)}=${callee}(${args}))===void 0)${fail(context, position)}`;
}

/** As many comparisons cost no more than looking into a set. */
const MOST_COMPARISONS = 6;

/** `x in {"a", "b"}` as comparisons. */
function membership(context: UnitContext, { func, args }: StatementOf<'CallStmt'>): Source | undefined {
  const [value, collection] = args;
  if (
    func !== 'internal.member_2' ||
    value === undefined ||
    collection === undefined ||
    context.positions !== undefined
  ) {
    return undefined;
  }
  const constant = knownOf(context, collection)?.constant;
  if (typeof constant !== 'object' || constant === null) return undefined;
  const items = 'set' in constant ? constant.set : 'array' in constant ? constant.array : [];
  if (items.length === 0 || items.length > MOST_COMPARISONS) return undefined;
  const tests: Source[] = [];
  const from = operandSource(context, value);
  for (const item of items) {
    if (typeof item !== 'string') return undefined;
    const test = js`${from}===${context.cells.constant(item)}`;
    tests.push(tests.length === 0 ? test : js`||${test}`);
  }
  return joined(tests);
}

/** Where no function is found the call fails as any statement; where one is, and is undefined, four blocks are left. */
function callDynamic(
  context: UnitContext,
  statement: StatementOf<'CallDynamicStmt'>,
  position: number | undefined,
): Source {
  const callee = scratch(context);
  const path = listed(statement.path.map((operand) => operandSource(context, operand)));
  const args = listed(statement.args.map((local) => localSource(context, local)));
  const missing = js`if((${callee}=found([${path}]))===void 0)${fail(context, position)}`;
  const to = localSource(context, statement.result);
  return js`${missing}if((${to}=${callee}(${args}))===void 0)${fail(context, position, 3)}`;
}
