import { type Block, type FieldKind, type Operand, STATEMENT_FIELDS, type Statement } from './plan.ts';

/** What happens to a unit's locals. */
export interface LocalVisitor {
  read?(local: number, statement: Statement): void;
  write?(local: number, statement: Statement): void;
  /** Read, then written. */
  update?(local: number, statement: Statement): void;
}

/** Every statement of the blocks, those in statements too, in the order of the text. */
export function* statementsIn(blocks: readonly Block[]): Generator<Statement> {
  for (const block of blocks) {
    for (const statement of block) {
      yield statement;
      yield* statementsIn(blocksOf(statement));
    }
  }
}

/** The blocks directly in a statement. */
export function blocksOf(statement: Statement): readonly Block[] {
  switch (statement.type) {
    case 'BlockStmt':
      return statement.blocks;
    case 'NotStmt':
    case 'ScanStmt':
    case 'WithStmt':
      return [statement.block];
    default:
      return [];
  }
}

export function countStatements(blocks: readonly Block[]): number {
  let count = 0;
  for (const block of blocks) for (const statement of block) count += 1 + countStatements(blocksOf(statement));
  return count;
}

/** The locals of one statement, without those of the statements in it. */
export function visitLocals(statement: Statement, visitor: LocalVisitor): void {
  const fields: Readonly<Record<string, FieldKind>> = STATEMENT_FIELDS[statement.type];
  for (const [field, value] of Object.entries(statement)) {
    switch (fields[field]) {
      case 'read':
        if (typeof value === 'number') visitor.read?.(value, statement);
        break;
      case 'write':
        if (typeof value === 'number') visitor.write?.(value, statement);
        break;
      case 'update':
        if (typeof value === 'number') visitor.update?.(value, statement);
        break;
    }
  }
  for (const local of readsOf(statement)) visitor.read?.(local, statement);
}

/** The locals among a statement's operands and arguments. */
function readsOf(statement: Statement): readonly number[] {
  switch (statement.type) {
    case 'CallDynamicStmt':
      return [...statement.args, ...localsOf(statement.path)];
    case 'CallStmt':
      return localsOf(statement.args);
    case 'DotStmt':
      return localsOf([statement.source, statement.key]);
    case 'EqualStmt':
    case 'NotEqualStmt':
      return localsOf([statement.a, statement.b]);
    case 'ObjectInsertOnceStmt':
    case 'ObjectInsertStmt':
      return localsOf([statement.key, statement.value]);
    case 'ArrayAppendStmt':
    case 'SetAddStmt':
    case 'WithStmt':
      return localsOf([statement.value]);
    case 'AssignVarOnceStmt':
    case 'AssignVarStmt':
    case 'IsArrayStmt':
    case 'IsObjectStmt':
    case 'IsSetStmt':
    case 'LenStmt':
      return localsOf([statement.source]);
    default:
      return [];
  }
}

function localsOf(operands: readonly Operand[]): number[] {
  const locals: number[] = [];
  for (const operand of operands) if (operand.kind === 'local') locals.push(operand.local);
  return locals;
}
