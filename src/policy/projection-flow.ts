import { type Growth, MAX_PATH_DEPTH, memberOf, mergeReads, type Reads, readWhole } from './input-reads.ts';
import {
  local,
  type Operand,
  operand,
  optionalList,
  type PlanBlock,
  type PlanUnit,
  type PolicyPlan,
  parseBlock,
  parseBlocks,
} from './plan-reader.ts';

/** Walks a unit once with what is known of its callees, and adds what it finds to the reads of its parameters. */
export type Flow = () => void;

export interface Callees {
  /** What each function reads of each of its parameters, in their order. */
  readonly functions: Map<string, readonly Reads[]>;
  /** The same of all functions together: for calls that are resolved at run time. */
  readonly any: Reads[];
}

export interface FlowParts {
  readonly plan: PolicyPlan;
  readonly callees: Callees;
  readonly growth: Growth;
}

/** A path below one of the unit's parameters: the node that collects its reads, and how deep it lies. */
interface Alias {
  readonly reads: Reads;
  readonly depth: number;
}

type Aliases = ReadonlySet<Alias>;
type Held = Map<number, Aliases>;
type Fields = { readonly [field: string]: unknown };

const NONE: Aliases = new Set();
const MAX_ALIASES = 256;

/**
 * What each local may hold is followed statement by statement: an assignment replaces it, and behind a block, which may
 * have been left at any point, a local holds what it held before or anything it was given within.
 */
export function createFlow(unit: PlanUnit, params: readonly Reads[], { plan, callees, growth }: FlowParts): Flow {
  const interned = new Map<Reads, Alias>();
  const start: Held = new Map();
  for (const [position, param] of unit.params.entries()) {
    const reads = params[position];
    if (reads !== undefined) start.set(param, new Set([intern(reads, 0)]));
  }
  let held: Held = new Map();
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
  const readField = (fields: Fields, name: string): void => readOperand(operand(fields[name], name));
  const readLocal = (fields: Fields, name: string): void =>
    readOperand({ kind: 'local', local: local(fields[name], name) });
  const forget = (fields: Fields, name: string): void => assign(local(fields[name], name), NONE);

  /** Walks a block that may be left at any statement. */
  function nested(block: PlanBlock): void {
    const before = new Map(held);
    given.push(new Map());
    walk(block);
    const within = given.pop() ?? new Map<number, Aliases>();
    held = before;
    for (const [target, aliases] of within) held.set(target, union(before.get(target) ?? NONE, aliases));
  }

  /** A block that runs any number of times begins with whatever an earlier turn left behind. */
  function loop(block: PlanBlock): void {
    for (;;) {
      const before = sizeOf(held);
      nested(block);
      if (sizeOf(held) === before) return;
    }
  }

  function dot(fields: Fields): void {
    const source = operand(fields['source'], 'DotStmt source');
    const key = operand(fields['key'], 'DotStmt key');
    const target = local(fields['target'], 'DotStmt target');
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

  function passOn(args: readonly Operand[], callee: readonly Reads[]): void {
    for (const [position, argument] of args.entries()) {
      const reads = callee[position];
      for (const alias of aliasesOf(argument)) {
        if (reads === undefined) readWhole(alias.reads, growth);
        else mergeReads(alias.reads, reads, alias.depth, growth);
      }
    }
  }

  function compare(fields: Fields): void {
    const a = operand(fields['a'], 'a');
    const b = operand(fields['b'], 'b');
    // Against a constant text or boolean an object compares the same however many members it has.
    if (a.kind !== 'local' || b.kind !== 'local') return;
    readOperand(a);
    readOperand(b);
  }

  function call(fields: Fields): void {
    const args = optionalList(fields['args'], 'CallStmt args').map((arg) => operand(arg, 'CallStmt args'));
    const callee = typeof fields['func'] === 'string' ? callees.functions.get(fields['func']) : undefined;
    // A builtin is no function of the plan: it reads its arguments whole.
    passOn(args, callee ?? []);
    forget(fields, 'result');
  }

  function callDynamic(fields: Fields): void {
    const args = optionalList(fields['args'], 'CallDynamicStmt args').map(
      (arg): Operand => ({ kind: 'local', local: local(arg, 'CallDynamicStmt args') }),
    );
    passOn(args, callees.any);
    for (const step of optionalList(fields['path'], 'CallDynamicStmt path')) readOperand(operand(step, 'path'));
    forget(fields, 'result');
  }

  function walk(block: PlanBlock): void {
    for (const { type, fields } of block) {
      switch (type) {
        case 'DotStmt':
          dot(fields);
          break;
        case 'AssignVarStmt':
        case 'AssignVarOnceStmt':
          assign(local(fields['target'], 'target'), aliasesOf(operand(fields['source'], 'source')));
          break;
        case 'EqualStmt':
        case 'NotEqualStmt':
          compare(fields);
          break;
        case 'CallStmt':
          call(fields);
          break;
        case 'CallDynamicStmt':
          callDynamic(fields);
          break;
        case 'BlockStmt':
          for (const inner of parseBlocks(fields['blocks'], 'BlockStmt blocks')) nested(inner);
          break;
        case 'NotStmt':
          nested(parseBlock(fields['block'], 'NotStmt block'));
          break;
        case 'ScanStmt':
          readLocal(fields, 'source');
          forget(fields, 'key');
          forget(fields, 'value');
          loop(parseBlock(fields['block'], 'ScanStmt block'));
          break;
        case 'WithStmt':
          // The local is rebuilt around the new value: all that it held is read.
          readLocal(fields, 'local');
          readField(fields, 'value');
          nested(parseBlock(fields['block'], 'WithStmt block'));
          break;
        // An object stays an object, a list a list, and what is absent stays so.
        case 'IsArrayStmt':
        case 'IsObjectStmt':
        case 'IsSetStmt':
        case 'IsDefinedStmt':
        case 'IsUndefinedStmt':
        case 'BreakStmt':
        case 'NopStmt':
          break;
        case 'LenStmt':
          readField(fields, 'source');
          forget(fields, 'target');
          break;
        case 'ArrayAppendStmt':
          readField(fields, 'value');
          readLocal(fields, 'array');
          break;
        case 'SetAddStmt':
          readField(fields, 'value');
          readLocal(fields, 'set');
          break;
        case 'ObjectInsertStmt':
        case 'ObjectInsertOnceStmt':
          readField(fields, 'key');
          readField(fields, 'value');
          readLocal(fields, 'object');
          break;
        case 'ObjectMergeStmt':
          readLocal(fields, 'a');
          readLocal(fields, 'b');
          forget(fields, 'target');
          break;
        case 'ReturnLocalStmt':
          readLocal(fields, 'source');
          break;
        case 'ResultSetAddStmt':
          readLocal(fields, 'value');
          break;
        case 'AssignIntStmt':
        case 'MakeArrayStmt':
        case 'MakeNullStmt':
        case 'MakeNumberIntStmt':
        case 'MakeNumberRefStmt':
        case 'MakeObjectStmt':
        case 'MakeSetStmt':
        case 'ResetLocalStmt':
          forget(fields, 'target');
          break;
        default:
          unclear();
      }
    }
  }

  return () => {
    held = new Map(start);
    for (const block of unit.blocks) nested(block);
  };
}

function sizeOf(held: Held): number {
  let size = 0;
  for (const aliases of held.values()) size += aliases.size;
  return size;
}
