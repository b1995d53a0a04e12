import {
  type Block,
  type FieldKind,
  type Operand,
  STATEMENT_FIELDS,
  type Statement,
  type StatementType,
} from './plan.ts';

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

/** The locals of one statement, without those of the statements in it. */
export function visitLocals(statement: Statement, visitor: LocalVisitor): void {
  // Every field is one that STATEMENT_FIELDS has for its kind.
  const values = statement as unknown as Readonly<Record<string, unknown>>;
  // What each kind of field holds is as FieldTypes says.
  for (const [field, kind] of LOCAL_FIELDS[statement.type]) {
    const value = values[field];
    if (kind === 'read') visitor.read?.(value as number, statement);
    else if (kind === 'write') visitor.write?.(value as number, statement);
    else if (kind === 'update') visitor.update?.(value as number, statement);
    else if (kind === 'operand') visitOperand(value as Operand, statement, visitor);
    else if (kind === 'operands')
      for (const operand of value as readonly Operand[]) visitOperand(operand, statement, visitor);
    else for (const local of value as readonly number[]) visitor.read?.(local, statement);
  }
}

function visitOperand(operand: Operand, statement: Statement, visitor: LocalVisitor): void {
  if (operand.kind === 'local') visitor.read?.(operand.local, statement);
}

type LocalFields = readonly (readonly [string, FieldKind])[];

/** The fields of each kind that name locals. */
const LOCAL_FIELDS = Object.fromEntries(
  Object.entries(STATEMENT_FIELDS).map(([type, fields]: [string, Readonly<Record<string, FieldKind>>]) => [
    type,
    Object.entries(fields).filter(([, kind]) => /^(?:reads?|write|update|operands?)$/.test(kind)),
  ]),
  // The keys are those of STATEMENT_FIELDS.
) as unknown as Readonly<Record<StatementType, LocalFields>>;
