import type { Block, Statement, StatementOf } from './plan.ts';
import { statementsIn } from './plan-walk.ts';
import { joined, js, NOTHING, type Source } from './source.ts';
import { isConstant, isStored, translateSimple } from './translate-statement.ts';
import {
  fail,
  type Level,
  localSource,
  newLevel,
  newLoop,
  operandSource,
  scratch,
  tracePosition,
  type UnitContext,
} from './unit-context.ts';

/** A block: what leaves it goes on behind it. */
export function translateBlock(context: UnitContext, block: Block): Source {
  const level = newLevel(context);
  const body = translateBody(context, block, level);
  return level.used ? js`${level.label}:{${body}}\n` : body;
}

/** A block of nothing but blocks, each of which is begun anew. */
export function translateChoices(
  context: UnitContext,
  choices: readonly Block[],
  begin: (choice: Block) => void,
): Source {
  const level = newLevel(context);
  context.levels.push(level);
  const pieces = choices.map((choice) => {
    begin(choice);
    return translateBlock(context, choice);
  });
  context.levels.pop();
  return level.used ? js`${level.label}:{${joined(pieces)}}\n` : joined(pieces);
}

function translateBody(context: UnitContext, block: Block, level: Level): Source {
  const known = new Set(context.known.keys());
  context.levels.push(level);
  const pieces = block.map((statement, at) => translateStatement(context, statement, block, at));
  context.levels.pop();
  // What was assigned in here may not have been, behind it.
  for (const local of context.known.keys()) if (!known.has(local)) context.known.delete(local);
  return joined(pieces);
}

function translateStatement(context: UnitContext, statement: Statement, block: Block, at: number): Source {
  const position = tracePosition(context, statement.position, statement);
  const source = translated(context, statement, block, at, position);
  if (position === undefined || statement.type === 'BreakStmt' || statement.type === 'ReturnLocalStmt') return source;
  return js`${source}passed(${position});`;
}

function translated(
  context: UnitContext,
  statement: Statement,
  block: Block,
  at: number,
  position: number | undefined,
): Source {
  const { type } = statement;
  if (type === 'BlockStmt') return translateBlocks(context, statement);
  if (type === 'NotStmt') return translateNot(context, statement, position);
  if (type === 'ScanStmt') return translateScan(context, statement);
  if (type === 'WithStmt') return translateWith(context, statement, position);
  return translateSimple(context, statement, block, at, position);
}

function translateBlocks(context: UnitContext, { blocks }: StatementOf<'BlockStmt'>): Source {
  const [first] = blocks;
  const around = context.levels.at(-1);
  if (first !== undefined && around !== undefined && blocks.length === 1 && beginsWithDynamicCall(first)) {
    return translateBody(context, first, around);
  }
  return joined(blocks.map((inner) => translateBlock(context, inner)));
}

/**
 * Whether the block is what OPA plans around a call whose function is found at run time and all that depends on it. What
 * is undefined in there makes the block around undefined: OPA's planner means that, and its interpreter does it, while its
 * Wasm goes on behind, so that `not` of a reference that is false is no success there.
 */
function beginsWithDynamicCall([first]: Block): boolean {
  if (first?.type !== 'BlockStmt') return false;
  const called = first.blocks[0]?.[0];
  return called?.type === 'BlockStmt' && called.blocks[0]?.[0]?.type === 'CallDynamicStmt';
}

function translateNot(context: UnitContext, { block }: StatementOf<'NotStmt'>, position: number | undefined): Source {
  const level = newLevel(context);
  const body = translateBody(context, block, level);
  const found = fail(context, position);
  return level.used ? js`${level.label}:{${body}${found}}\n` : js`${body}${found}`;
}

function translateWith(context: UnitContext, statement: StatementOf<'WithStmt'>, position: number | undefined): Source {
  const { path, local, value, block } = statement;
  const target = localSource(context, local);
  const isInput = local === context.input;
  const cell = isInput ? context.inputCell : context.dataCell;
  const saved = scratch(context);
  const put = operandSource(context, value);
  const texts = path.map((index) => context.plan.strings[index] ?? '');
  const replaced = path.length === 0 ? put : js`upsert(${target},${context.cells.constant({ path: texts })},${put})`;
  const open = isInput ? js`${cell}=openInput(${target});` : js`${cell}=openData(${target});`;
  const close = isInput ? js`${cell}=closeInput();` : js`${cell}=closeData();`;
  const outer = newLevel(context);
  const inner = newLevel(context);
  context.withs++;
  const body = translateBody(context, block, inner);
  context.withs--;
  const restore = js`${target}=${saved};${close}`;
  const start = js`${saved}=${target};${target}=${replaced};${open}\n`;
  if (!inner.used) return js`${start}${body}${restore}\n`;
  const undone = js`${restore}${fail(context, position)}`;
  return js`${start}${outer.label}:{${inner.label}:{${body}break ${outer.label};}${undone}}${restore}\n`;
}

/** The members in turn. They come in Rego's order where that can be seen. */
function translateScan(context: UnitContext, { source, key, value, block }: StatementOf<'ScanStmt'>): Source {
  const from = localSource(context, source);
  const names = scratch(context);
  const items = scratch(context);
  const at = scratch(context);
  const level = newLoop(context);
  if (isStored(context, source) && isConstant(context, value)) context.stored.add(value);
  const body = translateBody(context, block, level);
  const keys = showsOrder(context, block) ? js`sortedKeys(${from})` : js`keys(${from})`;
  const keyed = context.needed.has(key)
    ? js`${localSource(context, key)}=${names}===void 0?${at}:${names}[${at}];`
    : NOTHING;
  const valued = context.needed.has(value) ? js`${localSource(context, value)}=${items}[${at}];` : NOTHING;
  const head = js`for(${names}=${keys},${items}=values(${from},${names}),${at}=0;${at}<${items}.length;${at}++)`;
  const label = level.used ? js`${level.label}:` : NOTHING;
  return js`${label}${head}{if(--meter.steps<0)meter.exhausted();${keyed}${valued}${body}}\n`;
}

/**
 * Whether the order of the rounds changes what comes out: arrays grow in it, and of values that are equal but spelt
 * differently (1 and 1.0) the first stays. Errors of builtins depend on it too: `keys` sorts where those are strict.
 */
function showsOrder({ plan }: UnitContext, block: Block): boolean {
  return statementsIn([block]).some((statement) => {
    const { type } = statement;
    if (type === 'SetAddStmt') return statement.value.kind === 'local';
    if (type === 'AssignVarOnceStmt') return statement.source.kind === 'local';
    if (type === 'CallStmt') return plan.builtins.get(statement.func)?.hasResult === false;
    return SHOWING.has(type);
  });
}

const SHOWING: ReadonlySet<string> = new Set([
  'ArrayAppendStmt',
  'ObjectInsertStmt',
  'ObjectInsertOnceStmt',
  'ResultSetAddStmt',
]);
