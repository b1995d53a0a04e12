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

/**
 * Which part of a value can be read: all of it, or the named members only. A node without members stands for a value
 * whose presence is tested; it counts as read whole.
 */
export type Projection = 'whole' | { readonly members: ReadonlyMap<string, Projection> };

/**
 * Which part of `input` each entrypoint can read. INVARIANT: never less than it reads; where the plan is unclear the
 * answer is `whole`. Locals are not told apart by time: what a local ever holds in a unit, it holds throughout.
 */
export function projectInput(plan: PolicyPlan): ReadonlyMap<string, Projection> {
  const growth: Growth = { count: 0 };
  const callees: Callees = { functions: new Map(), any: [] };
  const flows: Flow[] = [];
  const add = (unit: PlanUnit): readonly Reads[] => {
    const reads = unit.params.map(() => newReads());
    flows.push(createFlow(unit, reads, { plan, callees, growth }));
    return reads;
  };
  for (const [name, unit] of plan.functions) callees.functions.set(name, add(unit));
  const entrypoints = [...plan.plans].map(([name, unit]) => [name, add(unit)[0] ?? newReads()] as const);

  // Reads flow from functions to their callers until nothing more does; all of it only grows, to a bounded depth.
  for (let before = -1; before !== growth.count; ) {
    before = growth.count;
    for (const reads of callees.functions.values()) collectAny(callees.any, reads, growth);
    for (const flow of flows) flow();
  }
  return new Map(entrypoints.map(([name, input]) => [name, toProjection(input)]));
}

/** The dotted paths of a projection, sorted: `request.method`; `*` for the whole of `input`. */
export function projectedPaths(projection: Projection): readonly string[] {
  const paths: string[] = [];
  const walk = (node: Projection, path: readonly string[]): void => {
    if (node === 'whole' || (node.members.size === 0 && path.length > 0)) paths.push(path.join('.') || '*');
    else for (const [name, member] of node.members) walk(member, [...path, name]);
  };
  walk(projection, []);
  return paths.sort();
}

/** What is known to be read at and below one path; grows only. */
interface Reads {
  whole: boolean;
  readonly members: Map<string, Reads>;
}

/** A path below one of a unit's parameters: the node that collects its reads, and how deep it lies. */
interface Alias {
  readonly reads: Reads;
  readonly depth: number;
}

const MAX_DEPTH = 12;
const MAX_ALIASES = 512;

/** Counts every new thing learnt, so that the end is seen. */
interface Growth {
  count: number;
}

interface Callees {
  /** What each function reads of each of its parameters, in their order. */
  readonly functions: Map<string, readonly Reads[]>;
  /** The same of all functions together: a call that is resolved at run time may reach any of them. */
  readonly any: Reads[];
}

function collectAny(any: Reads[], reads: readonly Reads[], growth: Growth): void {
  for (const [position, read] of reads.entries()) {
    const into = any[position] ?? newReads();
    any[position] = into;
    merge(into, read, 0, growth);
  }
}

/** Walks a unit once with what is known of its callees. */
type Flow = () => void;

interface FlowParts {
  readonly plan: PolicyPlan;
  readonly callees: Callees;
  readonly growth: Growth;
}

function createFlow(unit: PlanUnit, params: readonly Reads[], { plan, callees, growth }: FlowParts): Flow {
  const aliases = new Map<number, Set<Alias>>();
  /** One alias object per node, so that sets of them reach a fixed point. */
  const interned = new Map<Reads, Alias>();
  for (const [position, param] of unit.params.entries()) {
    const reads = params[position];
    if (reads === undefined) continue;
    const alias = { reads, depth: 0 };
    interned.set(reads, alias);
    aliases.set(param, new Set([alias]));
  }

  const readWhole = (reads: Reads): void => {
    if (reads.whole) return;
    reads.whole = true;
    growth.count++;
  };
  const unclear = (): void => {
    for (const reads of params) readWhole(reads);
  };
  const held = (operand: Operand): Iterable<Alias> =>
    operand.kind === 'local' ? (aliases.get(operand.local) ?? []) : [];

  function hold(target: number, alias: Alias): void {
    let set = aliases.get(target);
    if (set === undefined) {
      set = new Set();
      aliases.set(target, set);
    }
    if (set.has(alias)) return;
    if (set.size >= MAX_ALIASES) {
      unclear();
      return;
    }
    set.add(alias);
    growth.count++;
  }

  const escape = (operand: Operand): void => {
    for (const { reads } of held(operand)) readWhole(reads);
  };
  const escapeLocal = (value: unknown, where: string): void => escape({ kind: 'local', local: local(value, where) });

  function dot(fields: { readonly [field: string]: unknown }): void {
    const source = operand(fields['source'], 'DotStmt source');
    const key = operand(fields['key'], 'DotStmt key');
    const target = local(fields['target'], 'DotStmt target');
    const name = key.kind === 'string' ? plan.strings[key.index] : undefined;
    if (name === undefined) {
      escape(source);
      escape(key);
      return;
    }
    for (const { reads, depth } of [...held(source)]) {
      if (depth >= MAX_DEPTH) {
        readWhole(reads);
        continue;
      }
      const member = memberOf(reads, name, growth);
      let alias = interned.get(member);
      if (alias === undefined) {
        alias = { reads: member, depth: depth + 1 };
        interned.set(member, alias);
      }
      hold(target, alias);
    }
  }

  function passOn(args: readonly Operand[], callee: readonly Reads[]): void {
    for (const [position, argument] of args.entries()) {
      const reads = callee[position];
      for (const alias of held(argument)) {
        if (reads === undefined) readWhole(alias.reads);
        else merge(alias.reads, reads, alias.depth, growth);
      }
    }
  }

  function compare(fields: { readonly [field: string]: unknown }, type: string): void {
    const a = operand(fields['a'], `${type} a`);
    const b = operand(fields['b'], `${type} b`);
    // Against a constant text or boolean an object compares the same however many members it has.
    if (a.kind !== 'local' || b.kind !== 'local') return;
    escape(a);
    escape(b);
  }

  function walk(block: PlanBlock): void {
    for (const { type, fields } of block) {
      switch (type) {
        case 'DotStmt':
          dot(fields);
          break;
        case 'AssignVarStmt':
        case 'AssignVarOnceStmt': {
          const target = local(fields['target'], `${type} target`);
          for (const alias of [...held(operand(fields['source'], `${type} source`))]) hold(target, alias);
          break;
        }
        case 'EqualStmt':
        case 'NotEqualStmt':
          compare(fields, type);
          break;
        case 'CallStmt': {
          const args = optionalList(fields['args'], 'CallStmt args').map((arg) => operand(arg, 'CallStmt args'));
          // A builtin is no function of the plan: it reads its arguments whole.
          passOn(args, (typeof fields['func'] === 'string' ? callees.functions.get(fields['func']) : undefined) ?? []);
          break;
        }
        case 'CallDynamicStmt': {
          const args = optionalList(fields['args'], 'CallDynamicStmt args');
          passOn(
            args.map((arg) => ({ kind: 'local', local: local(arg, 'CallDynamicStmt args') })),
            callees.any,
          );
          for (const step of optionalList(fields['path'], 'CallDynamicStmt path')) {
            escape(operand(step, 'CallDynamicStmt path'));
          }
          break;
        }
        case 'BlockStmt':
          for (const inner of parseBlocks(fields['blocks'], 'BlockStmt blocks')) walk(inner);
          break;
        case 'NotStmt':
          walk(parseBlock(fields['block'], 'NotStmt block'));
          break;
        case 'ScanStmt':
          escapeLocal(fields['source'], 'ScanStmt source');
          walk(parseBlock(fields['block'], 'ScanStmt block'));
          break;
        case 'WithStmt':
          // The local is rebuilt around the new value: all that it held is read.
          escapeLocal(fields['local'], 'WithStmt local');
          escape(operand(fields['value'], 'WithStmt value'));
          walk(parseBlock(fields['block'], 'WithStmt block'));
          break;
        case 'LenStmt':
          escape(operand(fields['source'], 'LenStmt source'));
          break;
        // An object stays an object, a list a list, and what is absent stays so.
        case 'IsArrayStmt':
        case 'IsObjectStmt':
        case 'IsSetStmt':
        case 'IsDefinedStmt':
        case 'IsUndefinedStmt':
          break;
        case 'ArrayAppendStmt':
          escape(operand(fields['value'], 'ArrayAppendStmt value'));
          escapeLocal(fields['array'], 'ArrayAppendStmt array');
          break;
        case 'SetAddStmt':
          escape(operand(fields['value'], 'SetAddStmt value'));
          escapeLocal(fields['set'], 'SetAddStmt set');
          break;
        case 'ObjectInsertStmt':
        case 'ObjectInsertOnceStmt':
          escape(operand(fields['key'], `${type} key`));
          escape(operand(fields['value'], `${type} value`));
          escapeLocal(fields['object'], `${type} object`);
          break;
        case 'ObjectMergeStmt':
          escapeLocal(fields['a'], 'ObjectMergeStmt a');
          escapeLocal(fields['b'], 'ObjectMergeStmt b');
          break;
        case 'ReturnLocalStmt':
          escapeLocal(fields['source'], 'ReturnLocalStmt source');
          break;
        case 'ResultSetAddStmt':
          escapeLocal(fields['value'], 'ResultSetAddStmt value');
          break;
        case 'AssignIntStmt':
        case 'BreakStmt':
        case 'MakeArrayStmt':
        case 'MakeNullStmt':
        case 'MakeNumberIntStmt':
        case 'MakeNumberRefStmt':
        case 'MakeObjectStmt':
        case 'MakeSetStmt':
        case 'NopStmt':
        case 'ResetLocalStmt':
          break;
        default:
          unclear();
      }
    }
  }

  return () => {
    for (const block of unit.blocks) walk(block);
  };
}

function newReads(): Reads {
  return { whole: false, members: new Map() };
}

function memberOf(reads: Reads, name: string, growth: Growth): Reads {
  let member = reads.members.get(name);
  if (member === undefined) {
    member = newReads();
    reads.members.set(name, member);
    growth.count++;
  }
  return member;
}

function merge(into: Reads, from: Reads, depth: number, growth: Growth): void {
  if (into === from || into.whole) return;
  if (from.whole || (depth >= MAX_DEPTH && from.members.size > 0)) {
    into.whole = true;
    growth.count++;
    return;
  }
  for (const [name, member] of from.members) merge(memberOf(into, name, growth), member, depth + 1, growth);
}

function toProjection(reads: Reads): Projection {
  if (reads.whole) return 'whole';
  return { members: new Map([...reads.members].map(([name, member]) => [name, toProjection(member)])) };
}
