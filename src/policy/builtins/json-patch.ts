import { childOf } from '../values/child.ts';
import { numberText, RegoNumber } from '../values/number.ts';
import { entriesOf, insert, isArray, isObject, memberOf, objectOf, RegoObject, sizeOf } from '../values/object.ts';
import { equal } from '../values/order.ts';
import { RegoSet } from '../values/set.ts';
import type { ObjectValue, Value } from '../values/value.ts';
import { arrayOperand, type BuiltinContext, builtinFailure } from './builtin.ts';
import { parsePath } from './json-paths.ts';

/**
 * OPA's `json.patch` (RFC 6902, on sets too). What an operation changes is copied once, unless `copy` or a set comes
 * between; copies, and what moves within arrays, are charged.
 */
export function patchJson(context: BuiltinContext, source: Value, operations: Value): Value | undefined {
  let root: Value | undefined = source;
  const own = new Set<Value>();

  function apply(operation: Value): void {
    if (!isObject(operation)) {
      throw fail('must be an array of JSON-Patch objects, but at least one element is not an object');
    }
    const path = attribute(operation, 'path');
    const name = attribute(operation, 'op');
    if (typeof name !== 'string') throw fail("attribute 'op' must be a string");
    const steps = parsePath(context, path);
    context.charge(steps.length + 1);
    switch (name) {
      case 'add':
        add(steps, attribute(operation, 'value'));
        break;
      case 'remove':
        remove(steps);
        break;
      case 'replace':
        remove(steps);
        add(steps, attribute(operation, 'value'));
        break;
      case 'move': {
        const from = parsePath(context, attribute(operation, 'from'));
        const moved = read(from);
        remove(from);
        add(steps, moved);
        break;
      }
      case 'copy': {
        const copied = read(parsePath(context, attribute(operation, 'from')));
        // It stands in two places now.
        own.clear();
        add(steps, copied);
        break;
      }
      case 'test':
        if (equal(read(steps), attribute(operation, 'value'))) break;
        throw fail('value from EditTree != patch value');
      default:
        throw fail(`unrecognized op: '${name}'`);
    }
  }

  function attribute(operation: ObjectValue, name: string): Value {
    const value = memberOf(operation, name);
    if (value === undefined) throw fail(`missing required attribute '${name}'`);
    return value;
  }

  function fail(message: string): Error {
    return builtinFailure(context, message);
  }

  function read(steps: readonly Value[]): Value {
    let value = there(root);
    for (const step of steps) value = there(isArray(value) ? value[indexOf(value, step)] : childOf(value, step));
    return value;
  }

  function there(value: Value | undefined): Value {
    if (value === undefined) throw fail('a path does not exist');
    return value;
  }

  function add(steps: readonly Value[], value: Value): void {
    root = steps.length === 0 ? value : edit(there(root), steps, 0, (parent, step) => insertChild(parent, step, value));
  }

  function remove(steps: readonly Value[]): void {
    const value = there(root);
    root = steps.length === 0 ? undefined : edit(value, steps, 0, removeChild);
  }

  /** The value with the parent of what the path names changed, in place where it is our own already. */
  function edit(
    value: Value,
    steps: readonly Value[],
    at: number,
    change: (parent: Value, step: Value) => Value,
  ): Value {
    const step = steps[at] ?? null;
    if (at === steps.length - 1) return change(value, step);
    if (isArray(value)) {
      const index = indexOf(value, step);
      const child = there(value[index]);
      const changed = edit(child, steps, at + 1, change);
      if (changed === child) return value;
      const items = ownItems(value);
      items[index] = changed;
      return items;
    }
    const child = there(childOf(value, step));
    const changed = edit(child, steps, at + 1, change);
    if (value instanceof RegoSet) {
      // A set finds its members by what they are: they may not change any more.
      own.clear();
      const set = without(value, child);
      set.add(changed);
      return set;
    }
    return changed === child || !isObject(value) ? value : insertOwn(value, step, changed);
  }

  function insertChild(parent: Value, step: Value, value: Value): Value {
    if (isObject(parent)) return insertOwn(parent, step, value);
    if (parent instanceof RegoSet) {
      if (!equal(step, value)) throw fail('a set is given a value under another key');
      context.charge(parent.size);
      own.clear();
      const set = RegoSet.of(parent.list());
      set.add(value);
      return set;
    }
    if (!isArray(parent)) throw fail('a path leads into what has no members');
    const index = indexOf(parent, step);
    if (index < 0 || index > parent.length) throw fail('index for array insertion out of bounds');
    const items = ownItems(parent);
    context.charge((items.length - index) >> 4);
    items.splice(index, 0, value);
    return items;
  }

  function removeChild(parent: Value, step: Value): Value {
    if (isArray(parent)) {
      const index = indexOf(parent, step);
      if (index < 0 || index >= parent.length) throw fail('index for array delete out of bounds');
      const items = ownItems(parent);
      context.charge((items.length - index) >> 4);
      items.splice(index, 1);
      return items;
    }
    there(childOf(parent, step));
    if (parent instanceof RegoSet) return without(parent, step);
    return isObject(parent) ? omit(parent, step) : parent;
  }

  function ownItems(items: readonly Value[]): Value[] {
    // What we made may be changed.
    if (own.has(items)) return items as Value[];
    context.charge(items.length);
    const copy = [...items];
    own.add(copy);
    return copy;
  }

  function ownMembers(object: ObjectValue): ObjectValue {
    if (own.has(object)) return object;
    context.charge(sizeOf(object));
    const copy = object instanceof RegoObject ? objectOf(object.list()) : { ...object };
    own.add(copy);
    return copy;
  }

  function insertOwn(object: ObjectValue, key: Value, value: Value): ObjectValue {
    const members = ownMembers(object);
    const wider = insert(members, key, value);
    own.add(wider);
    return wider;
  }

  function omit(object: ObjectValue, key: Value): ObjectValue {
    if (typeof key === 'string' && !(object instanceof RegoObject)) {
      const members = ownMembers(object);
      // Neither is it anybody else's, nor does it have members that are inherited.
      Reflect.deleteProperty(members, key);
      return members;
    }
    context.charge(sizeOf(object));
    const rest: ObjectValue = objectOf(entriesOf(object).filter(([name]) => !equal(name, key)));
    own.add(rest);
    return rest;
  }

  function without(set: RegoSet, member: Value): RegoSet {
    context.charge(set.size);
    return RegoSet.of(set.list().filter((one) => !equal(one, member)));
  }

  function indexOf(items: readonly Value[], step: Value): number {
    if (step === '-') return items.length;
    const text = typeof step === 'string' ? step : typeof step === 'number' ? String(step) : '';
    const index = step instanceof RegoNumber ? numberText(step) : text;
    if (!INDEX.test(index)) throw fail('an array has no such index');
    if (typeof step === 'string' && LEADING_ZERO.test(step)) throw fail('leading zeros are not allowed in JSON paths');
    return Number(index);
  }

  for (const operation of arrayOperand(context, operations, 2)) apply(operation);
  return root;
}

/** As OPA reads an index: `1.0` is one. */
const INDEX = /^[-+]?[0-9]{1,15}[.]?0*$/;
const LEADING_ZERO = /^0./;
