import { type Growth, mergeReads, newReads, type Reads } from './input-reads.ts';
import type { Plan } from './plan/plan.ts';
import { type Callees, createFlow, type Flow, type FlowUnit } from './projection-flow.ts';

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
  const callees: Callees = { functions: new Map(), any: [] };
  const flows: Flow[] = [];
  const add = (unit: FlowUnit): readonly Reads[] => {
    const reads = unit.params.map(() => newReads());
    flows.push(createFlow(unit, reads, { plan, callees, growth }));
    return reads;
  };
  for (const unit of plan.functions) callees.functions.set(unit.name, add(unit));
  const entrypoints = plan.plans.map(
    ({ name, blocks }) => [name, add({ blocks, params: [0, 1] })[0] ?? newReads()] as const,
  );

  // Reads flow from functions to their callers until nothing more does; all of it only grows, to a bounded depth.
  for (let before = -1; before !== growth.count; ) {
    before = growth.count;
    for (const reads of callees.functions.values()) collectAny(callees.any, reads, growth);
    for (const flow of flows) flow();
    // A long chain of calls is through in one turn, whichever way round its functions stand.
    for (const flow of flows.toReversed()) flow();
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

/** A call that is resolved at run time may reach any function. */
function collectAny(any: Reads[], reads: readonly Reads[], growth: Growth): void {
  for (const [position, read] of reads.entries()) {
    const into = any[position] ?? newReads();
    any[position] = into;
    mergeReads(into, read, 0, growth);
  }
}

function toProjection(reads: Reads): Projection {
  if (reads.whole) return 'whole';
  return { members: new Map([...reads.members].map(([name, member]) => [name, toProjection(member)])) };
}
