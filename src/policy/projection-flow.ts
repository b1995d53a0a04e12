import { type Growth, MAX_PATH_DEPTH, memberOf, mergeReads, type Reads, readWhole } from './input-reads.ts';
import type { Block, Operand, Plan, PlanUnit, Statement, StatementOf } from './plan/plan.ts';

export interface Flow {
  /** Walks a unit once with what is known of its callees, and adds what it finds to the reads of its parameters. */
  readonly walk: () => void;
  /** What it looked at, beside the unit: walked again, it finds more only where one of these has grown. */
  readonly consulted: ReadonlySet<Callee>;
}

export interface Callee {
  /** What it reads of each of its parameters, in their order. */
  readonly reads: Reads[];
  /** What was counted when it grew last. */
  grownAt: number;
}

export interface Callees {
  readonly functions: Map<string, Callee>;
  /** All functions together: for calls that are resolved at run time. */
  readonly all: Callee;
}

export interface FlowParts {
  readonly plan: Pick<Plan, 'strings'>;
  readonly callees: Callees;
  readonly growth: Growth;
}

/** A rule, or an entrypoint, whose parameters are the locals of `input` and `data`. */
export interface FlowUnit extends Pick<PlanUnit, 'blocks'> {
  readonly params: readonly number[];
}

/** A path below one of the unit's parameters: the node that collects its reads, and how deep it lies. */
interface Alias {
  readonly reads: Reads;
  readonly depth: number;
}

type Aliases = ReadonlySet<Alias>;
type Held = Map<number, Aliases>;

const NONE: Aliases = new Set();
const MAX_ALIASES = 256;

/**
 * What each local may hold is followed statement by statement: an assignment replaces it, and behind a block, which may
 * have been left at any point, a local holds what it held before or anything it was given within.
 */
export function createFlow(unit: FlowUnit, params: readonly Reads[], { plan, callees, growth }: FlowParts): Flow {
  const interned = new Map<Reads, Alias>();
  const start: Held = new Map();
  for (const [position, param] of unit.params.entries()) {
    const reads = params[position];
    if (reads !== undefined) start.set(param, new Set([intern(reads, 0)]));
  }
  let held: Held = new Map();
  const consulted = new Set<Callee>();
  /** What locals were given in the blocks that are being walked, the innermost last. */
  const given: Held[] = [];

  function intern(reads: Reads, depth: number): Alias {
    const known = interned.get(reads);
    if (known !== undefined) return known;
    const alias = { reads, depth };
    interned.set(reads, alias);
    return alias;
  }

  const unclear = (): void => {
    for (const reads of params) readWhole(reads, growth);
  };

  const aliasesOf = (source: Operand): Aliases => (source.kind === 'local' ? (held.get(source.local) ?? NONE) : NONE);

  function assign(target: number, aliases: Aliases): void {
    held.set(target, aliases);
    for (const block of given) block.set(target, union(block.get(target) ?? NONE, aliases));
  }

  function union(a: Aliases, b: Aliases): Aliases {
    if (b.size === 0 || a === b) return a;
    if (a.size === 0) return b;
    const both = new Set(a);
    for (const alias of b) both.add(alias);
    if (both.size > MAX_ALIASES) unclear();
    return both;
  }

  const readOperand = (source: Operand): void => {
    for (const { reads } of aliasesOf(source)) readWhole(reads, growth);
  };
  const readLocal = (source: number): void => {
    for (const { reads } of held.get(source) ?? NONE) readWhole(reads, growth);
  };
  const forget = (target: number): void => assign(target, NONE);

  /** Walks a block that may be left at any statement. */
  function nested(block: Block): void {
    const before = new Map(held);
    given.push(new Map());
    walk(block);
    const within = given.pop() ?? new Map<number, Aliases>();
    held = before;
    for (const [target, aliases] of within) held.set(target, union(before.get(target) ?? NONE, aliases));
  }

  /** A block that runs any number of times begins with whatever an earlier turn left behind. */
  function loop(block: Block): void {
    for (;;) {
      const before = sizeOf(held);
      nested(block);
      if (sizeOf(held) === before) return;
    }
  }

  function dot({ source, key, target }: StatementOf<'DotStmt'>): void {
    const name = key.kind === 'string' ? plan.strings[key.index] : undefined;
    if (name === undefined) {
      readOperand(source);
      readOperand(key);
      assign(target, NONE);
      return;
    }
    const members = new Set<Alias>();
    for (const { reads, depth } of aliasesOf(source)) {
      if (depth >= MAX_PATH_DEPTH) readWhole(reads, growth);
      else members.add(intern(memberOf(reads, name, growth), depth + 1));
    }
    assign(target, members);
  }

  /** A builtin is no function of the plan: it reads its arguments whole. */
  function passOn(args: readonly Operand[], callee: Callee | undefined): void {
    if (callee !== undefined) consulted.add(callee);
    for (const [position, argument] of args.entries()) {
      const reads = callee?.reads[position];
      for (const alias of aliasesOf(argument)) {
        if (reads === undefined) readWhole(alias.reads, growth);
        else mergeReads(alias.reads, reads, alias.depth, growth);
      }
    }
  }

  function compare({ a, b }: StatementOf<'EqualStmt' | 'NotEqualStmt'>): void {
    // Against a constant text or boolean an object compares the same however many members it has.
    if (a.kind !== 'local' || b.kind !== 'local') return;
    readOperand(a);
    readOperand(b);
  }

  function callDynamic({ args, path, result }: StatementOf<'CallDynamicStmt'>): void {
    passOn(
      args.map((local): Operand => ({ kind: 'local', local })),
      callees.all,
    );
    for (const step of path) readOperand(step);
    forget(result);
  }

  function walk(block: Block): void {
    for (const statement of block) step(statement);
  }

  function step(statement: Statement): void {
    switch (statement.type) {
      case 'DotStmt':
        dot(statement);
        return;
      case 'AssignVarStmt':
      case 'AssignVarOnceStmt':
        assign(statement.target, aliasesOf(statement.source));
        return;
      case 'EqualStmt':
      case 'NotEqualStmt':
        compare(statement);
        return;
      case 'CallStmt':
        passOn(statement.args, callees.functions.get(statement.func));
        forget(statement.result);
        return;
      case 'CallDynamicStmt':
        callDynamic(statement);
        return;
      case 'BlockStmt':
        for (const inner of statement.blocks) nested(inner);
        return;
      case 'NotStmt':
        nested(statement.block);
        return;
      case 'ScanStmt':
        readLocal(statement.source);
        forget(statement.key);
        forget(statement.value);
        loop(statement.block);
        return;
      case 'WithStmt':
        // The local is rebuilt around the new value: all that it held is read.
        readLocal(statement.local);
        readOperand(statement.value);
        nested(statement.block);
        return;
      // An object stays an object, a list a list, and what is absent stays so.
      case 'IsArrayStmt':
      case 'IsObjectStmt':
      case 'IsSetStmt':
      case 'IsDefinedStmt':
      case 'IsUndefinedStmt':
      case 'BreakStmt':
      case 'NopStmt':
        return;
      case 'LenStmt':
        readOperand(statement.source);
        forget(statement.target);
        return;
      case 'ArrayAppendStmt':
        readOperand(statement.value);
        readLocal(statement.array);
        return;
      case 'SetAddStmt':
        readOperand(statement.value);
        readLocal(statement.set);
        return;
      case 'ObjectInsertStmt':
      case 'ObjectInsertOnceStmt':
        readOperand(statement.key);
        readOperand(statement.value);
        readLocal(statement.object);
        return;
      case 'ObjectMergeStmt':
        readLocal(statement.a);
        readLocal(statement.b);
        forget(statement.target);
        return;
      case 'ReturnLocalStmt':
        readLocal(statement.source);
        return;
      case 'ResultSetAddStmt':
        readLocal(statement.value);
        return;
      case 'AssignIntStmt':
      case 'MakeArrayStmt':
      case 'MakeNullStmt':
      case 'MakeNumberIntStmt':
      case 'MakeNumberRefStmt':
      case 'MakeObjectStmt':
      case 'MakeSetStmt':
      case 'ResetLocalStmt':
        forget(statement.target);
        return;
      default:
        statement satisfies never;
    }
  }

  return {
    consulted,
    walk: () => {
      held = new Map(start);
      for (const block of unit.blocks) nested(block);
    },
  };
}

function sizeOf(held: Held): number {
  let size = 0;
  for (const aliases of held.values()) size += aliases.size;
  return size;
}
