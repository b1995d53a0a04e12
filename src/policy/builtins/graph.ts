import { isArray, memberOf } from '../values/object.ts';
import { RegoSet } from '../values/set.ts';
import type { ObjectValue, Value } from '../values/value.ts';
import { type Builtin, type BuiltinContext, type Builtins, objectOperand, typeFailure } from './builtin.ts';

/** Nodes that all the paths of one call may have. */
const MOST = 1_000_000;

/**
 * OPA's `graph` family. `reachable` is charged by edges, `reachable_paths` by the nodes of paths, of which there may be
 * exponentially many: more than a million fail the evaluation.
 */
export const GRAPH_BUILTINS: Builtins = new Map<string, Builtin>([
  ['graph.reachable', reachable],
  ['graph.reachable_paths', reachablePaths],
]);

function startNodes(context: BuiltinContext, value: Value): readonly Value[] {
  if (isArray(value)) return value;
  if (value instanceof RegoSet) return value.list();
  throw typeFailure(context, 2, '{array, set}', value);
}

/** The neighbours of a node that the graph has; edges that are no array or set lead nowhere. */
function neighboursOf(graph: ObjectValue, node: Value): readonly Value[] | undefined {
  const edges = memberOf(graph, node);
  if (edges === undefined) return undefined;
  if (isArray(edges)) return edges;
  return edges instanceof RegoSet ? edges.sorted() : [];
}

function reachable(context: BuiltinContext, a: Value, b: Value): RegoSet {
  const graph = objectOperand(context, a, 1);
  const open = [...startNodes(context, b)];
  const reached = new RegoSet();
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (reached.has(node)) continue;
    const neighbours = neighboursOf(graph, node);
    if (neighbours === undefined) continue;
    reached.add(node);
    context.charge(4 * neighbours.length + 4);
    for (const neighbour of neighbours) if (!reached.has(neighbour)) open.push(neighbour);
  }
  return reached;
}

/** Each path ends where there are no further edges, before a node that it has already, or that the graph lacks. */
function reachablePaths(context: BuiltinContext, a: Value, b: Value): RegoSet {
  const graph = objectOperand(context, a, 1);
  const paths = new RegoSet();
  const path: Value[] = [];
  let onPath = new RegoSet();
  let size = 0;

  function commit(): void {
    size += path.length + 1;
    if (size > MOST) throw new RangeError('`graph.reachable_paths` finds too much');
    context.charge(60 * (path.length + 1));
    paths.add([...path]);
  }

  function follow(node: Value): void {
    const neighbours = neighboursOf(graph, node);
    if (neighbours === undefined) {
      commit();
      return;
    }
    path.push(node);
    if (neighbours.length === 0) commit();
    else {
      const before = onPath;
      context.charge(4 * (before.size + 1));
      onPath = RegoSet.of(before.list());
      onPath.add(node);
      for (const neighbour of neighbours) {
        if (onPath.has(neighbour)) commit();
        else follow(neighbour);
      }
      onPath = before;
    }
    path.pop();
  }

  for (const start of startNodes(context, b)) {
    const neighbours = neighboursOf(graph, start);
    if (neighbours === undefined) continue;
    path.push(start);
    onPath = RegoSet.of([start]);
    if (neighbours.length === 0) commit();
    // As OPA has it, an edge of the first node to itself is followed once.
    for (const neighbour of neighbours) follow(neighbour);
    path.pop();
  }
  return paths;
}
