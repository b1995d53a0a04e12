import { isArray } from '../values/object.ts';
import { RegoSet } from '../values/set.ts';
import type { Value } from '../values/value.ts';
import { ValueMap } from '../values/value-map.ts';
import { type BuiltinContext, operandFailure, typeFailure, typeName } from './builtin.ts';

/** The steps of a JSON pointer, or of an array; a pointer's leading slashes count for nothing, as in OPA. */
export function parsePath(context: BuiltinContext, path: Value): readonly Value[] {
  if (isArray(path)) return path;
  if (typeof path === 'string') return path === '' ? [] : path.replace(LEADING, '').split('/').map(unescaped);
  const wrong = 'must be one of {set, array} containing string paths or array of path segments but got';
  throw operandFailure(context, 2, `${wrong} ${typeName(path)}`);
}

const LEADING = /^\/+/;

function unescaped(step: string): string {
  return step.includes('~') ? step.replaceAll('~1', '/').replaceAll('~0', '~') : step;
}

/** What some paths name: a leaf names all of a value, any other node what its children name of it. */
export interface PathTree {
  readonly children?: ValueMap<PathTree>;
}

const LEAF: PathTree = {};

/** The tree of the second operand's paths; those that are empty name nothing. Work is charged by the paths' steps. */
export function pathTreeOf(context: BuiltinContext, paths: Value): PathTree {
  if (!isArray(paths) && !(paths instanceof RegoSet)) throw typeFailure(context, 2, 'one of {set, array}', paths);
  const root: PathTree = { children: new ValueMap() };
  for (const path of isArray(paths) ? paths : paths.list()) {
    const steps = parsePath(context, path);
    context.charge(steps.length);
    grow(root, steps);
  }
  return root;
}

function grow(root: PathTree, steps: readonly Value[]): void {
  let node = root;
  for (const [at, step] of steps.entries()) {
    const { children } = node;
    // A shorter path names all of what a longer one would.
    if (children === undefined) return;
    if (at === steps.length - 1) {
      children.set(step, LEAF);
      return;
    }
    let child = children.get(step);
    if (child === undefined) {
      child = { children: new ValueMap() };
      children.set(step, child);
    }
    node = child;
  }
}
