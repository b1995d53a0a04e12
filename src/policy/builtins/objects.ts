import { childOf } from '../values/child.ts';
import { entriesOf, insert, isArray, isObject, keysOf, memberOf, sizeOf } from '../values/object.ts';
import { RegoSet } from '../values/set.ts';
import type { ObjectValue, Value } from '../values/value.ts';
import {
  arrayOperand,
  type Builtin,
  type BuiltinContext,
  type Builtins,
  objectOperand,
  operandFailure,
  typeFailure,
  typeName,
} from './builtin.ts';
import { unionOf } from './object-union.ts';
import { isSubset } from './subset.ts';

/** OPA's `object` family. Work is charged by the members looked at or copied. */
export const OBJECT_BUILTINS: Builtins = new Map<string, Builtin>([
  ['object.get', get],
  ['object.keys', keys],
  ['object.filter', (context, object, wanted) => filter(context, objectOperand(context, object, 1), wanted)],
  ['object.remove', (context, object, unwanted) => remove(context, objectOperand(context, object, 1), unwanted)],
  ['object.union', (context, a, b) => unionOf(context, [objectOperand(context, a, 1), objectOperand(context, b, 2)])],
  ['object.union_n', (context, objects) => unionOf(context, objectItems(context, arrayOperand(context, objects, 1)))],
  ['object.subset', isSubset],
]);

/** An array is a path, whatever the object's keys are. */
function get(context: BuiltinContext, value: Value, key: Value, absent: Value): Value {
  const object = objectOperand(context, value, 1);
  if (!isArray(key)) return memberOf(object, key) ?? absent;
  let found: Value = object;
  for (const step of key) {
    const child = childOf(found, step);
    if (child === undefined) return absent;
    found = child;
  }
  return found;
}

function keys(context: BuiltinContext, value: Value): RegoSet {
  const object = objectOperand(context, value, 1);
  context.charge(sizeOf(object));
  return RegoSet.of(keysOf(object));
}

function filter(context: BuiltinContext, object: ObjectValue, wanted: Value): ObjectValue {
  let kept: ObjectValue = {};
  for (const key of keyList(context, wanted)) {
    const member = memberOf(object, key);
    if (member !== undefined) kept = insert(kept, key, member);
  }
  return kept;
}

function remove(context: BuiltinContext, object: ObjectValue, unwanted: Value): ObjectValue {
  const without = unwanted instanceof RegoSet ? unwanted : RegoSet.of(keyList(context, unwanted));
  context.charge(sizeOf(object));
  let kept: ObjectValue = {};
  for (const [key, member] of entriesOf(object)) if (!without.has(key)) kept = insert(kept, key, member);
  return kept;
}

function keyList(context: BuiltinContext, value: Value): readonly Value[] {
  const list = isArray(value)
    ? value
    : value instanceof RegoSet
      ? value.list()
      : isObject(value)
        ? keysOf(value)
        : undefined;
  if (list === undefined) throw typeFailure(context, 2, 'one of {object, set, array}', value);
  context.charge(list.length);
  return list;
}

function objectItems(context: BuiltinContext, items: readonly Value[]): readonly ObjectValue[] {
  return items.map((item) => {
    if (isObject(item)) return item;
    throw operandFailure(context, 1, `must be array of objects but got array containing ${typeName(item)}`);
  });
}
