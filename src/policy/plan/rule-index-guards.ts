import { numberKey, numberOf } from '../values/number.ts';
import { isPlainKey } from './constants.ts';
import type { Block, Operand, Plan, Statement, StatementOf } from './plan.ts';
import { blocksOf, type LocalVisitor, statementsIn, visitLocals } from './plan-walk.ts';
import type { Scalar } from './translation.ts';

/** A value that blocks demand: what is read off a parameter, step by step. */
export interface GuardPath {
  /** The same for the same path. */
  readonly key: string;
  readonly root: number;
  readonly steps: readonly PathStep[];
}

/** A text of the plan, or the statement that makes a number. */
export type PathStep = number | MakesNumber;

type MakesNumber = StatementOf<'AssignIntStmt'> | StatementOf<'MakeNumberIntStmt'> | StatementOf<'MakeNumberRefStmt'>;

/** Blocks do nothing at all unless the value at the path is there and equals one of the constants. */
export interface Guard {
  readonly path: GuardPath;
  readonly constants: readonly Scalar[];
}

export type Guards = ReadonlyMap<string, Guard>;

/** What guards are looked for in. */
export interface GuardScope {
  readonly plan: Plan;
  readonly params: readonly number[];
  readonly data: number;
  /** Locals of which others know: what writes them has an effect. */
  readonly shared: ReadonlySet<number>;
}

/** The member guards of a longer list would take more room than they save time. */
const MOST_CONSTANTS = 32;

const NO_GUARDS: Guards = new Map();

/** What the block demands before anything in it can be seen from outside: an effect, or a failure of another kind. */
export function guardsOf(scope: GuardScope, block: Block): Guards {
  const seen: Seen = { scope, guards: new Map(), locals: new Map(), writesShared: watchFor(scope.shared) };
  for (const param of scope.params) {
    seen.locals.set(param, { kind: 'path', path: { key: `${param}`, root: param, steps: [] } });
  }
  for (const statement of flattened(block)) if (!look(seen, statement)) break;
  return seen.guards;
}

/** What blocks of which any may do something demand together. */
export function eitherOf(all: readonly Guards[]): Guards {
  const [first, ...others] = all;
  if (first === undefined) return NO_GUARDS;
  const either = new Map<string, Guard>();
  for (const [key, { path, constants }] of first) {
    const found = new Map(constants.map((constant) => [constantKey(constant), constant]));
    const everywhere = others.every((guards) => {
      for (const constant of guards.get(key)?.constants ?? []) found.set(constantKey(constant), constant);
      return guards.has(key);
    });
    if (everywhere && found.size <= MOST_CONSTANTS) either.set(key, { path, constants: [...found.values()] });
  }
  return either;
}

/** One text for all constants that are equal: 1 and 1.0 are. */
export function constantKey(constant: Scalar): string {
  if (typeof constant === 'string') return `"${constant}`;
  return constant === null || typeof constant === 'boolean'
    ? String(constant)
    : `#${numberKey(numberOf(constant.number))}`;
}

interface Seen {
  readonly scope: GuardScope;
  readonly guards: Map<string, Guard>;
  readonly locals: Map<number, Known>;
  readonly writesShared: (statement: Statement) => boolean;
}

/** What a local is known to hold. */
type Known =
  | { readonly kind: 'path'; readonly path: GuardPath }
  | { readonly kind: 'constant'; readonly constant: Scalar; readonly step: PathStep | undefined }
  | { readonly kind: 'collection'; readonly constants: Scalar[]; complete: boolean }
  | { readonly kind: 'member'; readonly guard: Guard };

/** False at what may have an effect, or fail in another way than by being undefined. */
function look(seen: Seen, statement: Statement): boolean {
  if (seen.writesShared(statement)) return false;
  switch (statement.type) {
    case 'IsArrayStmt':
    case 'IsDefinedStmt':
    case 'IsObjectStmt':
    case 'IsSetStmt':
    case 'IsUndefinedStmt':
    case 'NopStmt':
      return true;
    case 'LenStmt':
    case 'ResetLocalStmt':
    case 'MakeObjectStmt':
      return know(seen, statement.target, undefined);
    case 'MakeArrayStmt':
    case 'MakeSetStmt':
      return know(seen, statement.target, { kind: 'collection', constants: [], complete: true });
    case 'AssignVarStmt': {
      const known = knownOf(seen, statement.source);
      return know(seen, statement.target, known?.kind === 'collection' ? undefined : known);
    }
    case 'AssignIntStmt':
    case 'MakeNumberIntStmt':
    case 'MakeNumberRefStmt':
    case 'MakeNullStmt':
      return know(seen, statement.target, scalarOf(seen.scope.plan, statement));
    case 'DotStmt':
      return know(seen, statement.target, dot(seen, statement));
    case 'ArrayAppendStmt':
      return collect(seen, statement.array, statement.value);
    case 'SetAddStmt':
      return collect(seen, statement.set, statement.value);
    case 'EqualStmt':
      guard(seen, knownOf(seen, statement.a), knownOf(seen, statement.b));
      return true;
    case 'NotEqualStmt':
      demandMember(seen, knownOf(seen, statement.a), knownOf(seen, statement.b));
      return true;
    case 'CallStmt':
      return member(seen, statement);
    case 'NotStmt':
      return passOver(seen, statement);
    case 'AssignVarOnceStmt':
    case 'BlockStmt':
    case 'BreakStmt':
    case 'CallDynamicStmt':
    case 'ObjectInsertOnceStmt':
    case 'ObjectInsertStmt':
    case 'ObjectMergeStmt':
    case 'ResultSetAddStmt':
    case 'ReturnLocalStmt':
    case 'ScanStmt':
    case 'WithStmt':
      return false;
  }
}

/** Asked for each statement of a plan: with one visitor for all of a block. */
function watchFor(shared: ReadonlySet<number>): (statement: Statement) => boolean {
  let writes = false;
  const see = (local: number): void => {
    writes ||= shared.has(local);
  };
  const visitor: LocalVisitor = { write: see, update: see };
  return (statement) => {
    writes = false;
    visitLocals(statement, visitor);
    return writes;
  };
}

function know({ locals }: Seen, local: number, known: Known | undefined): true {
  if (known === undefined) locals.delete(local);
  else locals.set(local, known);
  return true;
}

function knownOf(seen: Seen, operand: Operand): Known | undefined {
  switch (operand.kind) {
    case 'local':
      return seen.locals.get(operand.local);
    case 'string':
      return { kind: 'constant', constant: seen.scope.plan.strings[operand.index] ?? '', step: operand.index };
    case 'bool':
      return { kind: 'constant', constant: operand.value, step: undefined };
  }
}

function scalarOf({ strings }: Plan, statement: MakesNumber | StatementOf<'MakeNullStmt'>): Known {
  switch (statement.type) {
    case 'MakeNullStmt':
      return { kind: 'constant', constant: null, step: undefined };
    case 'MakeNumberRefStmt':
      return { kind: 'constant', constant: { number: strings[statement.index] ?? '' }, step: statement };
    case 'AssignIntStmt':
    case 'MakeNumberIntStmt':
      return { kind: 'constant', constant: { number: String(statement.value) }, step: statement };
  }
}

/** Data is read as OPA's store is, where keys that may be positions are read: of it only plain members are paths. */
function dot({ scope, locals }: Seen, { source, key }: StatementOf<'DotStmt'>): Known | undefined {
  const from = source.kind === 'local' ? locals.get(source.local) : undefined;
  const known = key.kind === 'local' ? locals.get(key.local) : undefined;
  const step = key.kind === 'string' ? key.index : known?.kind === 'constant' ? known.step : undefined;
  if (from?.kind !== 'path' || step === undefined) return undefined;
  const { root, steps, key: base } = from.path;
  const text = typeof step === 'number' ? (scope.plan.strings[step] ?? '') : undefined;
  if (root === scope.data && (text === undefined || !isPlainKey(text))) return undefined;
  const name = typeof step === 'number' ? `s${step}` : numberName(scope.plan, step);
  return { kind: 'path', path: { key: `${base},${name}`, root, steps: [...steps, step] } };
}

function numberName(plan: Plan, step: MakesNumber): string {
  return `n${step.type === 'MakeNumberRefStmt' ? plan.strings[step.index] : step.value}`;
}

function collect(seen: Seen, collection: number, value: Operand): boolean {
  const known = seen.locals.get(collection);
  const item = knownOf(seen, value);
  if (known?.kind !== 'collection') return false;
  if (item?.kind === 'constant') known.constants.push(item.constant);
  else known.complete = false;
  return true;
}

function guard({ guards }: Seen, a: Known | undefined, b: Known | undefined): void {
  const path = a?.kind === 'path' ? a.path : b?.kind === 'path' ? b.path : undefined;
  const other = a?.kind === 'path' ? b : a;
  if (path === undefined || other?.kind !== 'constant') return;
  if (!guards.has(path.key)) guards.set(path.key, { path, constants: [other.constant] });
}

const MEMBER = 'internal.member_2';

/** `value in collection` cannot fail. */
function member(seen: Seen, { func, args, result }: StatementOf<'CallStmt'>): boolean {
  const { plan } = seen.scope;
  const [value, collection] = args;
  if (func !== MEMBER || plan.functionIndexes.has(func) || value === undefined || collection === undefined)
    return false;
  const from = knownOf(seen, value);
  const among = knownOf(seen, collection);
  if (from?.kind !== 'path' || among?.kind !== 'collection' || !among.complete) return know(seen, result, undefined);
  if (among.constants.length > MOST_CONSTANTS) return know(seen, result, undefined);
  return know(seen, result, { kind: 'member', guard: { path: from.path, constants: [...among.constants] } });
}

function demandMember({ guards }: Seen, a: Known | undefined, b: Known | undefined): void {
  if (a?.kind !== 'member' || b?.kind !== 'constant' || b.constant !== false) return;
  if (!guards.has(a.guard.path.key)) guards.set(a.guard.path.key, a.guard);
}

/** A `not` over what can only be undefined. */
function passOver(seen: Seen, statement: StatementOf<'NotStmt'>): boolean {
  for (const inner of statementsIn(blocksOf(statement))) {
    if (!HARMLESS.has(inner.type) || seen.writesShared(inner)) return false;
    const forget = (local: number): void => void seen.locals.delete(local);
    visitLocals(inner, { write: forget, update: forget });
  }
  return true;
}

const HARMLESS: ReadonlySet<Statement['type']> = new Set([
  'AssignIntStmt',
  'AssignVarStmt',
  'DotStmt',
  'EqualStmt',
  'IsArrayStmt',
  'IsDefinedStmt',
  'IsObjectStmt',
  'IsSetStmt',
  'IsUndefinedStmt',
  'LenStmt',
  'MakeNullStmt',
  'MakeNumberIntStmt',
  'MakeNumberRefStmt',
  'NopStmt',
  'NotEqualStmt',
  'NotStmt',
]);

/** Without the blocks around reads of `data`: `{{…; break 1} break 1}` is what is in it. */
function* flattened(block: Block): Generator<Statement> {
  for (const statement of block) {
    const inner = insideOf(statement);
    if (inner === undefined) yield statement;
    else yield* inner;
  }
}

function insideOf(statement: Statement): readonly Statement[] | undefined {
  if (statement.type !== 'BlockStmt' || statement.blocks.length !== 1) return undefined;
  const [first, last, ...others] = statement.blocks[0] ?? [];
  if (first?.type !== 'BlockStmt' || first.blocks.length !== 1 || others.length > 0 || !isBreak(last)) return undefined;
  const inner = first.blocks[0] ?? [];
  const reads = inner.slice(0, -1);
  return isBreak(inner.at(-1)) && reads.every(({ type }) => type === 'DotStmt') ? reads : undefined;
}

function isBreak(statement: Statement | undefined): boolean {
  return statement?.type === 'BreakStmt' && statement.index === 1;
}
