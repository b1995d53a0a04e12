/**
 * OPA's plan (its intermediate representation, `v1/ir/plan.schema.json` of OPA 1.22), read and checked: every index in
 * it is in range, every name known, every nesting bounded.
 */
export interface Plan {
  readonly strings: readonly string[];
  readonly files: readonly string[];
  readonly builtins: ReadonlyMap<string, BuiltinDeclaration>;
  /** By entrypoint, in the plan's order. */
  readonly plans: readonly PlanUnit[];
  readonly functions: readonly FunctionUnit[];
  /** Positions in `functions`. */
  readonly functionIndexes: ReadonlyMap<string, number>;
}

export interface BuiltinDeclaration {
  readonly name: string;
  /** Without one, a call is never undefined. */
  readonly hasResult: boolean;
}

/** One entrypoint: local 0 is `input`, local 1 is `data`, what it finds goes to the result set. */
export interface PlanUnit {
  readonly name: string;
  readonly blocks: readonly Block[];
  /** How many locals it may name: all are below. */
  readonly locals: number;
}

/** One rule or function. Its first two parameters are `input` and `data`. */
export interface FunctionUnit extends PlanUnit {
  readonly params: readonly number[];
  readonly returns: number;
  /** Where dynamic calls find it: `g0`, then the document's path. */
  readonly path: readonly string[];
}

export type Block = readonly Statement[];

export type Operand =
  | { readonly kind: 'local'; readonly local: number }
  | { readonly kind: 'string'; readonly index: number }
  | { readonly kind: 'bool'; readonly value: boolean };

/** Where a statement came from; rows and columns count from 1, and it ends before `endCol`; 0 where that is not known. */
export interface Position {
  /** Into the plan's `files`. */
  readonly file: number;
  readonly row: number;
  readonly col: number;
  readonly endRow: number;
  readonly endCol: number;
}

/**
 * What each kind of statement has, and what it does with it: `read`, `write`, and `update` (both) are locals; `operand`
 * is a local that is read, or a constant.
 */
export const STATEMENT_FIELDS = {
  ArrayAppendStmt: { array: 'update', value: 'operand' },
  AssignIntStmt: { value: 'integer', target: 'write' },
  AssignVarOnceStmt: { source: 'operand', target: 'update' },
  AssignVarStmt: { source: 'operand', target: 'write' },
  BlockStmt: { blocks: 'blocks' },
  BreakStmt: { index: 'count' },
  CallDynamicStmt: { args: 'reads', path: 'operands', result: 'write' },
  CallStmt: { func: 'name', args: 'operands', result: 'write' },
  DotStmt: { source: 'operand', key: 'operand', target: 'write' },
  EqualStmt: { a: 'operand', b: 'operand' },
  IsArrayStmt: { source: 'operand' },
  IsDefinedStmt: { source: 'read' },
  IsObjectStmt: { source: 'operand' },
  IsSetStmt: { source: 'operand' },
  IsUndefinedStmt: { source: 'read' },
  LenStmt: { source: 'operand', target: 'write' },
  MakeArrayStmt: { capacity: 'count', target: 'write' },
  MakeNullStmt: { target: 'write' },
  MakeNumberIntStmt: { value: 'integer', target: 'write' },
  MakeNumberRefStmt: { index: 'number', target: 'write' },
  MakeObjectStmt: { target: 'write' },
  MakeSetStmt: { target: 'write' },
  NopStmt: {},
  NotEqualStmt: { a: 'operand', b: 'operand' },
  NotStmt: { block: 'block' },
  ObjectInsertOnceStmt: { key: 'operand', value: 'operand', object: 'update' },
  ObjectInsertStmt: { key: 'operand', value: 'operand', object: 'update' },
  ObjectMergeStmt: { a: 'read', b: 'read', target: 'write' },
  ResetLocalStmt: { target: 'write' },
  ResultSetAddStmt: { value: 'read' },
  ReturnLocalStmt: { source: 'read' },
  ScanStmt: { source: 'read', key: 'write', value: 'write', block: 'block' },
  SetAddStmt: { value: 'operand', set: 'update' },
  WithStmt: { local: 'update', path: 'path', value: 'operand', block: 'block' },
} as const;

interface FieldTypes {
  read: number;
  write: number;
  update: number;
  reads: readonly number[];
  operand: Operand;
  operands: readonly Operand[];
  block: Block;
  blocks: readonly Block[];
  count: number;
  integer: number | bigint;
  /** Into the plan's strings: the text of a number. */
  number: number;
  /** Into the plan's strings. */
  path: readonly number[];
  name: string;
}

export type FieldKind = keyof FieldTypes;

type StatementFields = typeof STATEMENT_FIELDS;

export type StatementType = keyof StatementFields;

type FieldsOf<Type extends StatementType> = {
  readonly [Field in keyof StatementFields[Type]]: StatementFields[Type][Field] extends FieldKind
    ? FieldTypes[StatementFields[Type][Field]]
    : never;
};

export type StatementOf<Type extends StatementType> = {
  readonly type: Type;
  readonly position: Position | undefined;
} & FieldsOf<Type>;

export type Statement = { [Type in StatementType]: StatementOf<Type> }[StatementType];
