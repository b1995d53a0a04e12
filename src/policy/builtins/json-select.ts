import { entriesOf, insert, isArray, isObject, sizeOf } from '../values/object.ts';
import { RegoSet } from '../values/set.ts';
import type { ObjectValue, Value } from '../values/value.ts';
import type { ValueMap } from '../values/value-map.ts';
import { type BuiltinContext, objectOperand } from './builtin.ts';
import { type PathTree, pathTreeOf } from './json-paths.ts';

/** OPA's `json.filter`: what the paths name. An array's items are named by texts. Work is charged by what is looked at. */
export function filterPaths(context: BuiltinContext, value: Value, paths: Value): Value {
  const object = objectOperand(context, value, 1);
  return keep(context, object, pathTreeOf(context, paths));
}

/** OPA's `json.remove`: all but what the paths name. Items move up to the place of those that go. */
export function removePaths(context: BuiltinContext, value: Value, paths: Value): Value {
  const object = objectOperand(context, value, 1);
  return drop(context, object, pathTreeOf(context, paths)) ?? object;
}

function keep(context: BuiltinContext, value: Value, { children }: PathTree): Value {
  if (children === undefined) return value;
  if (isArray(value)) {
    context.charge(value.length);
    const kept: Value[] = [];
    for (const [at, item] of value.entries()) {
      const child = children.get(String(at));
      if (child !== undefined) kept.push(keep(context, item, child));
    }
    return kept;
  }
  if (value instanceof RegoSet) {
    context.charge(value.size);
    const kept = new RegoSet();
    for (const member of value.list()) {
      const child = children.get(member);
      if (child !== undefined) kept.add(keep(context, member, child));
    }
    return kept;
  }
  return isObject(value) ? keepMembers(context, value, children) : value;
}

function keepMembers(context: BuiltinContext, object: ObjectValue, children: ValueMap<PathTree>): Value {
  context.charge(sizeOf(object));
  let kept: ObjectValue = {};
  for (const [key, member] of entriesOf(object)) {
    const child = children.get(key);
    if (child !== undefined) kept = insert(kept, key, keep(context, member, child));
  }
  return kept;
}

/** `undefined` where the tree names the value itself. */
function drop(context: BuiltinContext, value: Value, { children }: PathTree): Value | undefined {
  if (children === undefined) return undefined;
  if (isArray(value)) {
    context.charge(value.length);
    const rest: Value[] = [];
    for (const [at, item] of value.entries()) {
      const child = children.get(String(at));
      const left = child === undefined ? item : drop(context, item, child);
      if (left !== undefined) rest.push(left);
    }
    return rest;
  }
  if (value instanceof RegoSet) {
    context.charge(value.size);
    const rest = new RegoSet();
    for (const member of value.list()) {
      const child = children.get(member);
      const left = child === undefined ? member : drop(context, member, child);
      if (left !== undefined) rest.add(left);
    }
    return rest;
  }
  if (!isObject(value)) return value;
  context.charge(sizeOf(value));
  let rest: ObjectValue = {};
  for (const [key, member] of entriesOf(value)) {
    const child = children.get(key);
    const left = child === undefined ? member : drop(context, member, child);
    if (left !== undefined) rest = insert(rest, key, left);
  }
  return rest;
}
