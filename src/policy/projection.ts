import { type Growth, mergeReads, newReads, type Reads } from './input-reads.ts';
import type { Plan } from './plan/plan.ts';
import { type Callee, type Callees, createFlow, type Flow, type FlowUnit } from './projection-flow.ts';

/**
 * Which part of a value can be read: all of it, or the named members only. A node without members stands for a value
 * whose presence is tested; it counts as read whole.
 */
export type Projection = 'whole' | { readonly members: ReadonlyMap<string, Projection> };

/**
 * Which part of `input` each entrypoint can read. INVARIANT: never less than it reads; where the plan is unclear the
 * answer is `whole`.
 */
export function projectInput(plan: Pick<Plan, 'strings' | 'plans' | 'functions'>): ReadonlyMap<string, Projection> {
  const growth: Growth = { count: 0 };
  const callees: Callees = { functions: new Map(), all: { reads: [], grownAt: 0 } };
  const units: Unit[] = [];
  const add = (unit: FlowUnit): Callee => {
    const callee: Callee = { reads: unit.params.map(() => newReads()), grownAt: 0 };
    units.push({ callee, flow: createFlow(unit, callee.reads, { plan, callees, growth }), walkedAt: -1 });
    return callee;
  };
  for (const unit of plan.functions) callees.functions.set(unit.name, add(unit));
  const entrypoints = plan.plans.map(
    ({ name, blocks }) => [name, add({ blocks, params: [0, 1] }).reads[0] ?? newReads()] as const,
  );

  // Reads flow from functions to their callers until nothing more does; all of it only grows, to a bounded depth. Both ways
  // in turn: so a long chain of calls is through in one turn, whichever way round its functions stand.
  for (let walked = true; walked; units.reverse()) {
    collectAny(callees, growth);
    walked = false;
    for (const unit of units) walked = walkAgain(unit, growth) || walked;
  }
  return new Map(entrypoints.map(([name, input]) => [name, toProjection(input)]));
}

interface Unit {
  readonly callee: Callee;
  readonly flow: Flow;
  /** What was counted when it was walked last. */
  walkedAt: number;
}

/** Walks it where that may find more than it found before; answers whether it did so. */
function walkAgain(unit: Unit, growth: Growth): boolean {
  const { callee, flow, walkedAt } = unit;
  if (walkedAt >= 0 && !anyGrown(flow.consulted, walkedAt)) return false;
  unit.walkedAt = growth.count;
  flow.walk();
  if (growth.count !== unit.walkedAt) callee.grownAt = growth.count;
  return true;
}

function anyGrown(callees: ReadonlySet<Callee>, since: number): boolean {
  for (const { grownAt } of callees) if (grownAt > since) return true;
  return false;
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

/** A call that is resolved at run time may reach any function. */
function collectAny({ functions, all }: Callees, growth: Growth): void {
  const before = growth.count;
  for (const { reads } of functions.values()) {
    for (const [position, read] of reads.entries()) {
      const into = all.reads[position] ?? newReads();
      all.reads[position] = into;
      mergeReads(into, read, 0, growth);
    }
  }
  if (growth.count !== before) all.grownAt = growth.count;
}

function toProjection(reads: Reads): Projection {
  if (reads.whole) return 'whole';
  return { members: new Map([...reads.members].map(([name, member]) => [name, toProjection(member)])) };
}
