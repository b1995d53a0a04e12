import type { Block, Operand, Statement } from './plan.ts';

/** What happens to a unit's locals. */
export interface LocalVisitor {
  read?(local: number, statement: Statement): void;
  write?(local: number, statement: Statement): void;
  /** Read, then written. */
  update?(local: number, statement: Statement): void;
}

/** Every statement of the blocks, those in statements too, in the order of the text. */
export function statementsIn(blocks: readonly Block[]): readonly Statement[] {
  const statements: Statement[] = [];
  collect(blocks, statements);
  return statements;
}

function collect(blocks: readonly Block[], statements: Statement[]): void {
  for (const block of blocks) {
    for (const statement of block) {
      statements.push(statement);
      const inner = blocksOf(statement);
      if (inner !== NO_BLOCKS) collect(inner, statements);
    }
  }
}

/** The same, one statement after the other: for whoever walks all of a plan. */
export function visitStatements(blocks: readonly Block[], visit: (statement: Statement) => void): void {
  for (const block of blocks) {
    for (const statement of block) {
      visit(statement);
      const inner = blocksOf(statement);
      if (inner !== NO_BLOCKS) visitStatements(inner, visit);
    }
  }
}

const NO_BLOCKS: readonly Block[] = [];

/** The blocks directly in a statement. */
export function blocksOf(statement: Statement): readonly Block[] {
  const { type } = statement;
  if (type === 'BlockStmt') return statement.blocks;
  return type === 'NotStmt' || type === 'ScanStmt' || type === 'WithStmt' ? [statement.block] : NO_BLOCKS;
}

export function countStatements(blocks: readonly Block[]): number {
  let count = 0;
  for (const block of blocks) for (const statement of block) count += 1 + countStatements(blocksOf(statement));
  return count;
}

/** The locals of one statement, without those of the statements in it, as `STATEMENT_FIELDS` has them. */
export function visitLocals(statement: Statement, visitor: LocalVisitor): void {
  switch (statement.type) {
    case 'AssignVarStmt':
      operand(statement.source, statement, visitor);
      visitor.write?.(statement.target, statement);
      return;
    case 'AssignVarOnceStmt':
      operand(statement.source, statement, visitor);
      visitor.update?.(statement.target, statement);
      return;
    case 'DotStmt':
      operand(statement.source, statement, visitor);
      operand(statement.key, statement, visitor);
      visitor.write?.(statement.target, statement);
      return;
    case 'EqualStmt':
    case 'NotEqualStmt':
      operand(statement.a, statement, visitor);
      operand(statement.b, statement, visitor);
      return;
    case 'ResetLocalStmt':
    case 'AssignIntStmt':
    case 'MakeArrayStmt':
    case 'MakeNullStmt':
    case 'MakeNumberIntStmt':
    case 'MakeNumberRefStmt':
    case 'MakeObjectStmt':
    case 'MakeSetStmt':
      visitor.write?.(statement.target, statement);
      return;
    case 'IsDefinedStmt':
    case 'IsUndefinedStmt':
    case 'ReturnLocalStmt':
      visitor.read?.(statement.source, statement);
      return;
    case 'ResultSetAddStmt':
      visitor.read?.(statement.value, statement);
      return;
    case 'IsArrayStmt':
    case 'IsObjectStmt':
    case 'IsSetStmt':
      operand(statement.source, statement, visitor);
      return;
    case 'LenStmt':
      operand(statement.source, statement, visitor);
      visitor.write?.(statement.target, statement);
      return;
    case 'ScanStmt':
      visitor.read?.(statement.source, statement);
      visitor.write?.(statement.key, statement);
      visitor.write?.(statement.value, statement);
      return;
    case 'CallStmt':
      for (const argument of statement.args) operand(argument, statement, visitor);
      visitor.write?.(statement.result, statement);
      return;
    case 'CallDynamicStmt':
      for (const local of statement.args) visitor.read?.(local, statement);
      for (const step of statement.path) operand(step, statement, visitor);
      visitor.write?.(statement.result, statement);
      return;
    case 'ArrayAppendStmt':
      visitor.update?.(statement.array, statement);
      operand(statement.value, statement, visitor);
      return;
    case 'SetAddStmt':
      operand(statement.value, statement, visitor);
      visitor.update?.(statement.set, statement);
      return;
    case 'ObjectInsertStmt':
    case 'ObjectInsertOnceStmt':
      operand(statement.key, statement, visitor);
      operand(statement.value, statement, visitor);
      visitor.update?.(statement.object, statement);
      return;
    case 'ObjectMergeStmt':
      visitor.read?.(statement.a, statement);
      visitor.read?.(statement.b, statement);
      visitor.write?.(statement.target, statement);
      return;
    case 'WithStmt':
      visitor.update?.(statement.local, statement);
      operand(statement.value, statement, visitor);
      return;
    case 'BlockStmt':
    case 'BreakStmt':
    case 'NopStmt':
    case 'NotStmt':
      return;
    default:
      statement satisfies never;
  }
}

function operand(source: Operand, statement: Statement, visitor: LocalVisitor): void {
  if (source.kind === 'local') visitor.read?.(source.local, statement);
}
