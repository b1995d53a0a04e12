import { isPlainKey } from './constants.ts';
import type { Block, Operand, Statement } from './plan.ts';
import { js, NOTHING, type Source } from './source.ts';
import type { Constant } from './translation.ts';
import { type Known, knownOf, type UnitContext } from './unit-context.ts';

/** Written as they are; larger ones are constants. */
const LARGEST_LITERAL = 1_000_000_000;

/** What a statement that makes a number or `null` makes. */
export function scalarOf(context: UnitContext, statement: Statement): Known | undefined {
  const { type } = statement;
  if (type === 'MakeNullStmt') return { constant: null, source: js`null` };
  if (type === 'MakeNumberIntStmt' || type === 'AssignIntStmt') return integerConstant(context, statement.value);
  if (type !== 'MakeNumberRefStmt') return undefined;
  const text = context.plan.strings[statement.index] ?? '';
  return /^(?:0|-?[1-9][0-9]{0,8})$/.test(text)
    ? integerConstant(context, Number(text))
    : composed(context, { number: text });
}

/** The number, if it is one that is written as it is. */
export function smallIntegerOf(constant: Constant): number | undefined {
  if (typeof constant !== 'object' || constant === null || !('number' in constant)) return undefined;
  const value = Number(constant.number);
  return Number.isInteger(value) && Math.abs(value) <= LARGEST_LITERAL && String(value) === constant.number
    ? value
    : undefined;
}

function integerConstant(context: UnitContext, value: number | bigint): Known {
  const constant = { number: String(value) };
  const small = smallIntegerOf(constant);
  if (small === undefined) return composed(context, constant);
  return { constant, source: small < 0 ? js`(${small})` : js`${small}` };
}

function composed(context: UnitContext, constant: Constant): Known {
  return { constant, source: context.cells.constant(constant) };
}

/** What is put into itself often enough would be larger than any plan. */
const LARGEST_CONSTANT = 1_000_000;

interface Growing {
  readonly constant: Composite;
  puts: number;
  /** Scalars in it, at all depths. */
  size: number;
  /** What it was put into: nothing may be put into it any more. */
  within: Growing | undefined;
}

type Composite =
  | { readonly array: Constant[] }
  | { readonly set: Constant[] }
  | { readonly object: (readonly [Constant, Constant])[] };

/**
 * The arrays, sets, and objects that the statements from here on make of constants alone; they are made once, when the
 * policy is loaded. Locals of other values are not among them.
 */
export function literalsFrom(context: UnitContext, block: Block, start: number): ReadonlyMap<number, Known> {
  const growing = new Map<number, Growing>();
  const scalars = new Map<number, Constant>();
  for (let at = start; at < block.length; at++) {
    const statement = block[at];
    if (statement === undefined || !step(context, statement, growing, scalars)) break;
  }
  const complete = new Set<Growing>();
  for (const [local, part] of growing) if (isComplete(context, local, part)) complete.add(part);
  const literals = new Map<number, Known>();
  for (const [local, part] of growing)
    if (complete.has(part)) literals.set(local, literalOf(context, local, part, complete));
  return literals;
}

/** One that is only there for being put into another takes no constant of its own. */
function literalOf(
  context: UnitContext,
  local: number,
  { constant, within }: Growing,
  complete: ReadonlySet<Growing>,
): Known {
  return within !== undefined && complete.has(within) && context.facts.reads.get(local) === 1
    ? { constant, source: NOTHING }
    : composed(context, constant);
}

function isComplete({ facts }: UnitContext, local: number, { puts }: Growing): boolean {
  return (facts.puts.get(local) ?? 0) === puts;
}

/** Takes one statement more; false where it is none of those. */
function step(
  context: UnitContext,
  statement: Statement,
  growing: Map<number, Growing>,
  scalars: Map<number, Constant>,
): boolean {
  const { type } = statement;
  if (type === 'MakeArrayStmt') return begin(context, statement.target, { array: [] }, growing);
  if (type === 'MakeSetStmt') return begin(context, statement.target, { set: [] }, growing);
  if (type === 'MakeObjectStmt') return begin(context, statement.target, { object: [] }, growing);
  if (type === 'ArrayAppendStmt' || type === 'SetAddStmt') {
    const part = growing.get(type === 'SetAddStmt' ? statement.set : statement.array);
    const items = part === undefined ? undefined : itemsOf(part.constant, type);
    const item = partOf(context, statement.value, growing, scalars);
    if (part === undefined || items === undefined || item === undefined || !grow(part, item)) return false;
    close(item, part);
    items.push(item.constant);
    return true;
  }
  if (type === 'ObjectInsertStmt') {
    const part = growing.get(statement.object);
    const key = partOf(context, statement.key, growing, scalars);
    const value = partOf(context, statement.value, growing, scalars);
    if (part === undefined || !('object' in part.constant) || key === undefined || value === undefined) return false;
    if (!grow(part, { size: key.size + value.size })) return false;
    close(key, part);
    close(value, part);
    part.constant.object.push([key.constant, value.constant]);
    return true;
  }
  const scalar = scalarOf(context, statement);
  if (scalar === undefined || !('target' in statement)) return false;
  if (context.facts.writes.get(statement.target) !== 1) return false;
  scalars.set(statement.target, scalar.constant);
  return true;
}

function begin(context: UnitContext, local: number, constant: Composite, growing: Map<number, Growing>): boolean {
  if (context.facts.writes.get(local) !== 1 || context.facts.shared.has(local)) return false;
  growing.set(local, { constant, puts: 0, size: 1, within: undefined });
  return true;
}

function itemsOf(constant: Composite, type: 'ArrayAppendStmt' | 'SetAddStmt'): Constant[] | undefined {
  if (type === 'SetAddStmt') return 'set' in constant ? constant.set : undefined;
  return 'array' in constant ? constant.array : undefined;
}

type Part = Growing | { readonly constant: Constant; readonly size: number };

/** What an operand puts into another value: a scalar, or what has been made completely. */
function partOf(
  context: UnitContext,
  operand: Operand,
  growing: Map<number, Growing>,
  scalars: Map<number, Constant>,
): Part | undefined {
  if (operand.kind === 'local') {
    const part = growing.get(operand.local);
    if (part !== undefined) {
      if (!isComplete(context, operand.local, part)) return undefined;
      return part;
    }
  }
  const constant = operand.kind === 'local' ? scalars.get(operand.local) : undefined;
  const scalar = constant === undefined ? knownOf(context, operand)?.constant : constant;
  if (scalar === undefined || (typeof scalar === 'object' && scalar !== null && !('number' in scalar)))
    return undefined;
  return { constant: scalar, size: 1 };
}

function close(part: Part, within: Growing): void {
  if ('within' in part) part.within = within;
}

function grow(target: Growing, { size }: { readonly size: number }): boolean {
  if (target.within !== undefined || target.size + size > LARGEST_CONSTANT) return false;
  target.size += size;
  target.puts++;
  return true;
}

/** The key of a member that can be read as a property of any value. */
export function plainKeyOf(known: Known | undefined): Source | undefined {
  return typeof known?.constant === 'string' && isPlainKey(known.constant) ? known.source : undefined;
}
