import type { Block, FunctionUnit, Operand, Statement } from './plan.ts';
import { type LocalVisitor, statementsIn, visitLocals, visitStatements } from './plan-walk.ts';

/** A rule's block, and for complete rules the block that puts its value into the function's. */
export interface RuleGroup {
  readonly blocks: readonly Block[];
}

/** A function as OPA writes them: something made, one group for each rule, a default, and the return. */
export interface RuleShape {
  readonly before: readonly Block[];
  readonly groups: readonly RuleGroup[];
  readonly after: readonly Block[];
}

/** The function's shape; any blocks have one, if only a single group. */
export function shapeOf(unit: FunctionUnit): RuleShape {
  const { blocks, returns } = unit;
  let start = 0;
  while (start < blocks.length && isMaking(blocks[start], returns)) start++;
  let end = blocks.length;
  if (end > start && isReturn(blocks[end - 1])) end--;
  if (end > start && startsUndefined(blocks[end - 1], returns)) end--;
  const groups: RuleGroup[] = [];
  for (let at = start; at < end; ) {
    const taken = isCommit(blocks[at + 1], returns) && at + 1 < end ? 2 : 1;
    const group = blocks.slice(at, at + taken);
    groups.push({ blocks: group });
    at += taken;
  }
  return { before: blocks.slice(0, start), groups, after: blocks.slice(end) };
}

/** Whether each group needs nothing of the others but the parameters and the value so far, and returns nothing itself. */
export function areIndependent(unit: FunctionUnit, groups: readonly RuleGroup[]): boolean {
  const shared = new Set([...unit.params, unit.returns]);
  const written = new Set<number>();
  let independent = true;
  const read = (local: number): void => {
    independent &&= shared.has(local) || written.has(local);
  };
  const readers: LocalVisitor = { read, update: read };
  const writers: LocalVisitor = { write: (local) => void written.add(local) };
  const visit = (statement: Statement): void => {
    independent &&= statement.type !== 'ReturnLocalStmt';
    visitLocals(statement, readers);
    visitLocals(statement, writers);
  };
  for (const { blocks } of groups) {
    written.clear();
    visitStatements(blocks, visit);
    if (!independent) return false;
  }
  return independent;
}

/**
 * The one constant that every rule of the function gives where it gives anything, with the local that each rule puts it
 * into: the first rule that holds decides.
 */
export function onlyValueOf(unit: FunctionUnit, groups: readonly RuleGroup[]): OnlyValue | undefined {
  let found: OnlyValue | undefined;
  for (const { blocks } of groups) {
    const [rule, commit] = blocks;
    const local = commit === undefined ? undefined : committed(commit, unit.returns);
    if (rule === undefined || local === undefined) return undefined;
    for (const statement of statementsIn([rule])) {
      if (statement.type !== 'AssignVarOnceStmt' || statement.target !== local) continue;
      const { source } = statement;
      if (source.kind === 'local') return undefined;
      if (found !== undefined && (found.local !== local || !isSame(found.value, source))) return undefined;
      found = { local, value: source };
    }
  }
  return found;
}

export interface OnlyValue {
  readonly local: number;
  readonly value: Exclude<Operand, { kind: 'local' }>;
}

function isSame(left: Operand, right: Operand): boolean {
  if (left.kind === 'string') return right.kind === 'string' && left.index === right.index;
  return left.kind === 'bool' && right.kind === 'bool' && left.value === right.value;
}

function isMaking(block: Block | undefined, returns: number): boolean {
  const [statement, ...others] = block ?? [];
  if (statement === undefined || others.length > 0) return false;
  return (statement.type === 'MakeSetStmt' || statement.type === 'MakeObjectStmt') && statement.target === returns;
}

function isReturn(block: Block | undefined): boolean {
  return block?.length === 1 && block[0]?.type === 'ReturnLocalStmt';
}

function startsUndefined(block: Block | undefined, returns: number): boolean {
  const first = block?.[0];
  return first?.type === 'IsUndefinedStmt' && first.source === returns;
}

function isCommit(block: Block | undefined, returns: number): boolean {
  return block !== undefined && committed(block, returns) !== undefined;
}

/** The local that `IsDefined local; AssignVarOnce returns ← local` commits. */
export function committed(block: Block, returns: number): number | undefined {
  const [test, assignment, ...others]: readonly (Statement | undefined)[] = block;
  if (others.length > 0 || test?.type !== 'IsDefinedStmt' || assignment?.type !== 'AssignVarOnceStmt') return undefined;
  const { source, target } = assignment;
  return target === returns && source.kind === 'local' && source.local === test.source ? test.source : undefined;
}
