import { entriesOf, insert, isObject, memberOf, objectOf, RegoObject, sizeOf } from '../values/object.ts';
import type { ObjectValue } from '../values/value.ts';
import type { BuiltinContext } from './builtin.ts';

/**
 * The objects merged from the first to the last: where both sides have an object under a key, these are merged, else
 * the later value counts. Each object is copied at most once; what is copied is charged.
 */
export function unionOf(context: BuiltinContext, objects: Iterable<ObjectValue>): ObjectValue {
  const own = new Set<ObjectValue>();

  function owned(object: ObjectValue): ObjectValue {
    if (own.has(object)) return object;
    context.charge(sizeOf(object));
    const copy = copyOf(object);
    own.add(copy);
    return copy;
  }

  function merge(left: ObjectValue, right: ObjectValue): ObjectValue {
    let merged = owned(left);
    context.charge(sizeOf(right));
    for (const [key, value] of entriesOf(right)) {
      const before = isObject(value) ? memberOf(merged, key) : undefined;
      const member = isObject(value) && isObject(before) && before !== value ? merge(before, value) : value;
      const next = insert(merged, key, member);
      if (next !== merged) own.add(next);
      merged = next;
    }
    return merged;
  }

  let union: ObjectValue = {};
  // Its members are not counted anew each time: that takes as long as to copy it.
  let empty = true;
  for (const object of objects) {
    if (empty) {
      union = object;
      empty = sizeOf(object) === 0;
    } else if (object !== union && sizeOf(object) > 0) union = merge(union, object);
  }
  return union;
}

function copyOf(object: ObjectValue): ObjectValue {
  return object instanceof RegoObject ? objectOf(object.list()) : { ...object };
}
