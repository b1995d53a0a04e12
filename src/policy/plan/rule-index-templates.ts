import { type Block, type Operand, type Plan, STATEMENT_FIELDS, type Statement } from './plan.ts';
import { blocksOf } from './plan-walk.ts';
import type { Scalar } from './translation.ts';

/** Blocks that differ in nothing but constants, as one list of blocks: locals stand where they differ. */
export interface Template {
  readonly blocks: readonly Block[];
  readonly slots: readonly number[];
}

export interface Templates {
  readonly templates: readonly Template[];
  /** For each list of blocks its template, and what stands in that one's slots. */
  readonly rows: readonly { readonly template: number; readonly constants: readonly Scalar[] }[];
}

export interface TemplateScope {
  readonly plan: Plan;
  /** What is put into this local is put there by every list. */
  readonly state: number;
  /** The first local that is free. */
  readonly free: number;
}

/** More functions than this take longer to load than the constants cost that V8 does not see. */
const MANY = 64;

/**
 * Lists of blocks that are alike share a template. Constants with which V8 makes better code (names of members, what
 * collections and builtins are given) are part of what is alike, as long as that does not make many templates.
 */
export function templatesOf(scope: TemplateScope, lists: readonly (readonly Block[])[]): Templates {
  const careful = clustered(scope, lists, false);
  return careful.templates.length <= MANY ? careful : clustered(scope, lists, true);
}

interface Cluster {
  readonly index: number;
  readonly blocks: readonly Block[];
  readonly outline: readonly Token[];
  /** The constants of its first list. */
  readonly keys: readonly Token[];
  readonly varies: boolean[];
}

/** One of a plan's own texts and numbers, or of the words in between: unlike ones are never equal where they may meet. */
type Token = string | number | bigint | boolean;

function clustered(scope: TemplateScope, lists: readonly (readonly Block[])[], all: boolean): Templates {
  const clusters = new Map<string, Cluster>();
  let last: Cluster | undefined;
  const outline: Outline = { scope, all, tokens: [], keys: [], constants: [] };
  const members = lists.map((blocks) => {
    outline.tokens.length = 0;
    outline.keys.length = 0;
    outline.constants = [];
    outlineBlocks(outline, blocks);
    // Most are like the one before.
    const cluster = last !== undefined && areSame(last.outline, outline.tokens) ? last : clusterOf(outline, blocks);
    last = cluster;
    for (let at = 0; at < outline.keys.length; at++) {
      if (outline.keys[at] !== cluster.keys[at]) cluster.varies[at] = true;
    }
    return { cluster, constants: outline.constants };
  });

  function clusterOf({ tokens, keys }: Outline, blocks: readonly Block[]): Cluster {
    const text = JSON.stringify(tokens.map(String));
    const known = clusters.get(text);
    if (known !== undefined) return known;
    const varies = keys.map(() => false);
    const made: Cluster = { index: clusters.size, blocks, outline: [...tokens], keys: [...keys], varies };
    clusters.set(text, made);
    return made;
  }
  return {
    templates: [...clusters.values()].map((cluster) => templateOf(scope, all, cluster)),
    rows: members.map(({ cluster, constants }) => ({
      template: cluster.index,
      constants: constants.filter((_, at) => cluster.varies[at]),
    })),
  };
}

function areSame(left: readonly Token[], right: readonly Token[]): boolean {
  if (left.length !== right.length) return false;
  for (let at = 0; at < left.length; at++) if (left[at] !== right[at]) return false;
  return true;
}

/** What blocks are without the constants that may differ, and these. */
interface Outline {
  readonly scope: TemplateScope;
  readonly all: boolean;
  readonly tokens: Token[];
  readonly keys: Token[];
  constants: Scalar[];
}

function outlineBlocks(outline: Outline, blocks: readonly Block[]): void {
  for (const block of blocks) {
    outline.tokens.push('{');
    for (const statement of block) outlineStatement(outline, statement);
    outline.tokens.push('}');
  }
}

function outlineStatement(outline: Outline, statement: Statement): void {
  const { scope, all, tokens } = outline;
  const open = openFields(statement, scope.state, all);
  tokens.push(statement.type);
  if (statement.type === 'MakeNumberRefStmt') {
    note(outline, `n${statement.index}`, { number: scope.plan.strings[statement.index] ?? '' });
    tokens.push(statement.target);
  } else if (statement.type === 'MakeNumberIntStmt') {
    note(outline, `i${statement.value}`, { number: String(statement.value) });
    tokens.push(statement.target);
  } else {
    const fields: Readonly<Record<string, unknown>> = statement;
    for (const field of FIELDS[statement.type]) outlineValue(outline, fields[field], open.includes(field));
    outlineBlocks(outline, blocksOf(statement));
  }
  tokens.push(')');
}

/** The names of each kind's fields. */
const FIELDS = Object.fromEntries(
  Object.entries(STATEMENT_FIELDS).map(([type, fields]) => [type, Object.keys(fields)]),
  // The keys are those of STATEMENT_FIELDS.
) as unknown as Readonly<Record<Statement['type'], readonly string[]>>;

function outlineValue(outline: Outline, value: unknown, open: boolean): void {
  const { tokens } = outline;
  if (isList(value)) {
    for (const item of value) if (!isList(item)) outlineValue(outline, item, open);
    tokens.push(';');
  } else if (isOperand(value)) {
    if (value.kind === 'local') tokens.push('l', value.local);
    else if (value.kind === 'bool') tokens.push('b', value.value);
    else if (open) note(outline, value.index, outline.scope.plan.strings[value.index] ?? '');
    else tokens.push('s', value.index);
  } else if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint') tokens.push(value);
}

function note(outline: Outline, key: Token, constant: Scalar): void {
  outline.keys.push(key);
  outline.constants.push(constant);
  outline.tokens.push('?');
}

type OpenFields = Readonly<Partial<Record<Statement['type'], readonly string[]>>>;

const OPEN: OpenFields = {
  AssignVarOnceStmt: ['source'],
  AssignVarStmt: ['source'],
  EqualStmt: ['a', 'b'],
  NotEqualStmt: ['a', 'b'],
};

const OPEN_IN_STATE: OpenFields = {
  ObjectInsertOnceStmt: ['key', 'value'],
  ObjectInsertStmt: ['key', 'value'],
  SetAddStmt: ['value'],
};

const OPEN_WHERE_MANY: OpenFields = {
  ...OPEN_IN_STATE,
  ArrayAppendStmt: ['value'],
  CallStmt: ['args'],
  DotStmt: ['key'],
};

/** The fields whose texts may differ. */
function openFields(statement: Statement, state: number, all: boolean): readonly string[] {
  const open = OPEN[statement.type];
  if (open !== undefined) return open;
  if (all) return OPEN_WHERE_MANY[statement.type] ?? NONE;
  const changed = 'set' in statement ? statement.set : 'object' in statement ? statement.object : undefined;
  return changed === state ? (OPEN_IN_STATE[statement.type] ?? NONE) : NONE;
}

const NONE: readonly string[] = [];

function templateOf(scope: TemplateScope, all: boolean, { blocks, varies }: Cluster): Template {
  const slots: number[] = [];
  const locals = varies.map((varied) => (varied ? slots.push(scope.free + slots.length) && slots.at(-1) : undefined));
  return { blocks: filledBlocks({ scope, all, locals, at: 0 }, blocks), slots };
}

/** Goes through blocks as {@link outlineBlocks} does. */
interface Filling {
  readonly scope: TemplateScope;
  readonly all: boolean;
  /** What stands for each constant; the constant itself where it is the same everywhere. */
  readonly locals: readonly (number | undefined)[];
  at: number;
}

function filledBlocks(filling: Filling, blocks: readonly Block[]): readonly Block[] {
  return blocks.map((block) => block.map((statement) => filledStatement(filling, statement)));
}

function filledStatement(filling: Filling, statement: Statement): Statement {
  if (statement.type === 'MakeNumberRefStmt' || statement.type === 'MakeNumberIntStmt') {
    const local = filling.locals[filling.at++];
    if (local === undefined) return statement;
    const { target, position } = statement;
    return { type: 'AssignVarStmt', source: { kind: 'local', local }, target, position };
  }
  const open = openFields(statement, filling.scope.state, filling.all);
  const filled: Record<string, unknown> = { ...statement };
  for (const field of FIELDS[statement.type]) {
    if (open.includes(field)) filled[field] = filledValue(filling, filled[field]);
  }
  if (statement.type === 'BlockStmt') filled['blocks'] = filledBlocks(filling, statement.blocks);
  else if ('block' in statement) filled['block'] = filledBlocks(filling, [statement.block])[0];
  // Operands took the place of operands, and blocks that of blocks.
  return filled as unknown as Statement;
}

function filledValue(filling: Filling, value: unknown): unknown {
  if (isList(value)) return value.map((item) => filledValue(filling, item));
  if (!isOperand(value) || value.kind !== 'string') return value;
  const local = filling.locals[filling.at++];
  return local === undefined ? value : { kind: 'local', local };
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

/** Of a statement's fields only operands are objects that are no lists. */
function isOperand(value: unknown): value is Operand {
  return typeof value === 'object' && value !== null && 'kind' in value;
}
