import { isArray, isObject, sortedEntries } from '../values/object.ts';
import { RegoSet } from '../values/set.ts';
import type { Value } from '../values/value.ts';
import type { Builtin, BuiltinContext, Builtins } from './builtin.ts';

/** Values, and steps of their paths, that one walk may give. */
const MOST = 4_000_000;

/**
 * OPA's `walk`: all of `[path, value]`, each value before what is in it, members in Rego's order. Charged by values and
 * by the steps of their paths; more than 4 million of these fail the evaluation.
 */
export const WALK_BUILTINS: Builtins = new Map<string, Builtin>([['walk', walk]]);

function walk(context: BuiltinContext, value: Value): readonly Value[] {
  const found: Value[] = [];
  let size = 0;

  function visit(path: readonly Value[], each: Value): void {
    size += path.length + 1;
    if (size > MOST) throw new RangeError('`walk` finds too much');
    context.charge(path.length + 4);
    found.push([path, each]);
    if (isArray(each)) for (const [at, item] of each.entries()) visit([...path, at], item);
    else if (each instanceof RegoSet) for (const member of each.sorted()) visit([...path, member], member);
    else if (isObject(each)) for (const [key, member] of sortedEntries(each)) visit([...path, key], member);
  }

  visit([], value);
  return found;
}
