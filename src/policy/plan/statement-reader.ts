import {
  type Block,
  type BuiltinDeclaration,
  type FieldKind,
  type Operand,
  type Position,
  STATEMENT_FIELDS,
  type Statement,
} from './plan.ts';
import { invalid, listAt, localAt, objectAt, only, textAt } from './plan-json.ts';

/** What a unit's statements are checked against. `locals` and `integers` are written while reading. */
export interface UnitScope {
  readonly strings: readonly string[];
  readonly files: readonly string[];
  readonly builtins: ReadonlyMap<string, BuiltinDeclaration>;
  /** Parameters of the plan's functions. */
  readonly arities: ReadonlyMap<string, number>;
  readonly name: string;
  /** The unit, in what is said of a fault. */
  readonly where: string;
  readonly isFunction: boolean;
  readonly input: number;
  readonly data: number;
  locals: number;
  /** Whether an integer was too large for a `number`. */
  readonly integers: { cut: boolean };
  /** The position that was read last: many statements in a row have the same. */
  readonly positions: { last: Position | undefined };
}

/** V8 compiles four times as many blocks in each other, and five times as many loops. */
const DEEPEST_NESTING = 500;
const DEEPEST_LOOPS = 100;
const MOST_BUILTIN_ARGUMENTS = 4;

/** Where a statement stands: what a break may reach, and how deep it is. */
interface Place {
  /** Blocks that a break can leave: up to the nearest scan, `not`, or `with`. */
  readonly reach: number;
  readonly depth: number;
  readonly loops: number;
  /** Directly in one of a unit's own blocks. */
  readonly top: boolean;
}

/** The blocks of a unit, checked. */
export function readBlocks(value: unknown, scope: UnitScope): readonly Block[] {
  return listAt(value, scope.where).map((block) =>
    readBlock(block, scope, { reach: 1, depth: 1, loops: 0, top: true }),
  );
}

const BLOCK = ['stmts'];

function readBlock(value: unknown, scope: UnitScope, place: Place): Block {
  const { where } = scope;
  if (place.depth > DEEPEST_NESTING || place.loops > DEEPEST_LOOPS) throw invalid(`${where} is nested too deep`);
  const block = objectAt(value, where);
  only(block, where, BLOCK);
  return listAt(block['stmts'], where).map((statement) => readStatement(statement, scope, place));
}

const LOCATION = ['file', 'row', 'col', 'end_row', 'end_col'];

/** One kind's fields, as they are read and checked. */
interface StatementShape {
  /** The text of this program's own, which is compared faster than one that was parsed. */
  readonly type: string;
  readonly fields: readonly (readonly [string, FieldKind])[];
  readonly known: readonly string[];
  readonly writes: readonly string[];
  readonly nests: boolean;
}

const SHAPES: ReadonlyMap<string, StatementShape> = new Map(
  Object.entries(STATEMENT_FIELDS).map(([type, kinds]: [string, Readonly<Record<string, FieldKind>>]) => {
    const fields = Object.entries(kinds);
    // `Index` is the old name of the same.
    const known = [...Object.keys(kinds), ...LOCATION, ...(type === 'MakeNumberRefStmt' ? ['Index'] : [])];
    const writes = fields.filter(([, kind]) => kind === 'write' || kind === 'update').map(([field]) => field);
    const nests = fields.some(([, kind]) => kind === 'block' || kind === 'blocks');
    return [type, { type, fields, known, writes: type === 'WithStmt' ? [] : writes, nests }];
  }),
);

function readStatement(value: unknown, scope: UnitScope, place: Place): Statement {
  const { where } = scope;
  const entry = objectAt(value, where);
  only(entry, where, ENTRY);
  const shape = SHAPES.get(textAt(entry['type'], where));
  if (shape === undefined) throw invalid(`${where} has a statement of an unknown type`);
  const { type } = shape;
  const raw = objectAt(entry['stmt'], where);
  only(raw, where, shape.known);
  const read: Record<string, unknown> = { type, position: readPosition(raw, scope) };
  const inner = shape.nests ? nested(type, place) : place;
  for (const [field, kind] of shape.fields) read[field] = readField(raw[field], kind, scope, inner);
  // Its fields were read as STATEMENT_FIELDS, which the type is derived from, has them.
  const statement = read as unknown as Statement;
  check(statement, scope, place);
  for (const field of shape.writes) {
    const local = read[field];
    if (local === scope.input || local === scope.data) throw invalid(`${where} writes input or data`);
  }
  return statement;
}

const ENTRY = ['type', 'stmt'];

function nested(type: string, { reach, depth, loops }: Place): Place {
  if (type === 'BlockStmt') return { reach: reach + 1, depth: depth + 1, loops, top: false };
  return { reach: 1, depth: depth + 2, loops: type === 'ScanStmt' ? loops + 1 : loops, top: false };
}

function readPosition(
  raw: Readonly<Record<string, unknown>>,
  { files, name, positions }: UnitScope,
): Position | undefined {
  const row = coordinate(raw['row'], name);
  const file = coordinate(raw['file'], name);
  const col = coordinate(raw['col'], name);
  if (row === 0) return undefined;
  if (file >= files.length) throw invalid(`a position in \`${name}\` is in no file`);
  const endRow = coordinate(raw['end_row'], name);
  const endCol = coordinate(raw['end_col'], name);
  const { last } = positions;
  if (last?.row === row && last.col === col && last.file === file && last.endRow === endRow && last.endCol === endCol)
    return last;
  positions.last = { file, row, col, endRow, endCol };
  return positions.last;
}

function coordinate(value: unknown, name: string): number {
  if (value === undefined) return 0;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw invalid(`a position in \`${name}\` is none`);
  return value;
}

/** As Rego has them: `.5` too, which is no JSON. */
const NUMBER = /^-?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;

function readField(value: unknown, kind: FieldKind, scope: UnitScope, inner: Place): unknown {
  const { where } = scope;
  switch (kind) {
    case 'read':
    case 'write':
    case 'update':
      return readLocal(value, where, scope);
    case 'reads':
      return listAt(value, where).map((local) => readLocal(local, where, scope));
    case 'operand':
      return readOperand(value, where, scope);
    case 'operands':
      return listAt(value, where).map((operand) => readOperand(operand, where, scope));
    case 'block':
      return readBlock(value, scope, inner);
    case 'blocks':
      return listAt(value, where).map((block) => readBlock(block, scope, inner));
    case 'count':
      if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw invalid(`${where} is no count`);
      return value;
    case 'integer':
      return readInteger(value, where, scope);
    case 'number': {
      const index = readStringIndex(value, where, scope);
      if (!NUMBER.test(scope.strings[index] ?? '')) throw invalid(`${where} is no number`);
      return index;
    }
    case 'path':
      return listAt(value, where).map((index) => readStringIndex(index, where, scope));
    case 'name':
      return textAt(value, where);
  }
}

function readLocal(value: unknown, where: string, scope: UnitScope): number {
  const local = localAt(value, where);
  if (local >= scope.locals) scope.locals = local + 1;
  return local;
}

function readInteger(value: unknown, where: string, scope: UnitScope): number | bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value !== 'number' || !Number.isInteger(value)) throw invalid(`${where} is no integer`);
  if (!Number.isSafeInteger(value)) scope.integers.cut = true;
  return value === 0 ? 0 : value;
}

function readStringIndex(value: unknown, where: string, { strings }: UnitScope): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value >= strings.length) {
    throw invalid(`${where} is no string of the plan`);
  }
  return value;
}

const OPERAND = ['type', 'value'];

function readOperand(raw: unknown, where: string, scope: UnitScope): Operand {
  const entry = objectAt(raw, where);
  only(entry, where, OPERAND);
  const value = entry['value'];
  switch (entry['type']) {
    case 'local':
      return localOperand(readLocal(value, where, scope));
    case 'string_index':
      return { kind: 'string', index: readStringIndex(value, where, scope) };
    case 'bool':
      if (typeof value !== 'boolean') throw invalid(`${where} is no boolean`);
      return { kind: 'bool', value };
    default:
      throw invalid(`${where} is an operand of an unknown type`);
  }
}

/** Few locals are named again and again. */
const LOCALS: readonly Operand[] = Array.from({ length: 64 }, (_, local) => ({ kind: 'local', local }));

function localOperand(local: number): Operand {
  return LOCALS[local] ?? { kind: 'local', local };
}

/**
 * What the schema cannot say. INVARIANT: `input` and `data` are only replaced by `with`, and are what every function of
 * the plan is called with, so that remembered results are those of the input and data they were asked for.
 */
function check(statement: Statement, scope: UnitScope, place: Place): void {
  const { where, input, data } = scope;
  const { type } = statement;
  if (type === 'BreakStmt' && statement.index >= place.reach) throw invalid(`${where} breaks out of what it is not in`);
  if (type === 'CallDynamicStmt') {
    // Where the found function is undefined, four blocks are left.
    if (place.reach < 4 || statement.path.length === 0) throw invalid(`${where} calls from the wrong place`);
    if (statement.args.length !== 2 || statement.args[0] !== input || statement.args[1] !== data) {
      throw invalid(`${where} calls without input and data`);
    }
  }
  if (type === 'CallStmt') checkCall(statement.func, statement.args, scope, where);
  if (type === 'WithStmt' && statement.local !== input && statement.local !== data) {
    throw invalid(`${where} replaces neither input nor data`);
  }
  if (type === 'ReturnLocalStmt' && (!scope.isFunction || !place.top)) {
    throw invalid(`${where} returns from the wrong place`);
  }
  if (type === 'ResultSetAddStmt' && scope.isFunction) throw invalid(`${where} has no result set`);
}

function checkCall(name: string, args: readonly Operand[], scope: UnitScope, where: string): void {
  const arity = scope.arities.get(name);
  if (arity === undefined) {
    if (!scope.builtins.has(name)) throw invalid(`\`${scope.name}\` calls \`${name}\`, which is not there`);
    if (args.length > MOST_BUILTIN_ARGUMENTS)
      throw invalid(`\`${scope.name}\` calls \`${name}\` with too many arguments`);
    return;
  }
  if (args.length !== arity) throw invalid(`${where} calls with the wrong number of arguments`);
  const [first, second] = args;
  if (
    first?.kind !== 'local' ||
    first.local !== scope.input ||
    second?.kind !== 'local' ||
    second.local !== scope.data
  ) {
    throw invalid(`${where} calls without input and data`);
  }
}
