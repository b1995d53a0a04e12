import { childOf } from '../values/child.ts';
import { isNumber, numberText, RegoNumber } from '../values/number.ts';
import {
  entriesOf,
  insert,
  isArray,
  isObject,
  memberOf,
  RegoObject,
  sizeOf,
  sortedKeys as sortedKeysOf,
} from '../values/object.ts';
import { equal } from '../values/order.ts';
import { RegoSet } from '../values/set.ts';
import type { ObjectValue, PlainObject, Value } from '../values/value.ts';
import { conflictFault, internalFault } from './fault.ts';

/** The member under a key, an item of an array, or the member of a set that equals the key. */
export function get(from: Value | undefined, key: Value): Value | undefined {
  if (typeof from !== 'object' || from === null) return undefined;
  if (typeof key !== 'string') return childOf(from, key);
  if (isArray(from)) return undefined;
  if (from instanceof RegoObject || from instanceof RegoSet) return from.get(key);
  if (from instanceof RegoNumber) return undefined;
  const found = from[key];
  // What is inherited is a function, or the prototype itself; no value is.
  return typeof found !== 'function' && found !== Object.prototype ? found : own(from, key);
}

/** The member of a plain object whose key may be the name of something inherited. */
function own(from: PlainObject, key: string): Value | undefined {
  return Object.hasOwn(from, key) ? from[key] : undefined;
}

/** The same for a text that no prototype has, where the value has no property of that name. */
export function rare(from: Value | undefined, key: string): Value | undefined {
  return from instanceof RegoSet || from instanceof RegoObject ? from.get(key) : undefined;
}

/**
 * The same where OPA reads by a path of its store: a path's elements are texts, so numbers find members by how they are
 * written, and texts find items by their position.
 */
export function stored(from: Value | undefined, key: Value): Value | undefined {
  if (typeof from !== 'object' || from === null || (typeof key !== 'string' && !isNumber(key))) return undefined;
  const text = typeof key === 'string' ? key : numberText(key);
  if (!isArray(from)) return get(from, text);
  return text !== '' && POSITION.test(text) ? from[Number(text === '.' ? 0 : text)] : undefined;
}

/** What Go takes for an index: `01`, `-0`, `1.00`. */
const POSITION = /^[+-]?[0-9]{0,18}(?:\.0{0,18})?$/;

/** How many items, members, or UTF-8 bytes. */
export function size(value: Value | undefined): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (isArray(value)) return value.length;
  if (value instanceof RegoSet) return value.size;
  return isObject(value) ? sizeOf(value) : 0;
}

export function isSet(value: Value | undefined): value is RegoSet {
  return value instanceof RegoSet;
}

export function makeSet(): RegoSet {
  return new RegoSet();
}

/** Puts a member into an object of this call's own; another object when the first key comes that is no text. */
export function put(object: Value | undefined, key: Value | undefined, value: Value | undefined): ObjectValue {
  if (!isObject(object) || key === undefined || value === undefined)
    throw internalFault('an object is made of nothing');
  return insert(object, key, value);
}

export function putOnce(object: Value | undefined, key: Value | undefined, value: Value | undefined): ObjectValue {
  if (isObject(object) && key !== undefined && value !== undefined) {
    const other = memberOf(object, key);
    if (other !== undefined) {
      if (equal(other, value)) return object;
      throw conflictFault('object keys must be unique');
    }
  }
  return put(object, key, value);
}

/** The list and one item more; a list of its own, because the first may be anybody's. */
export function appended(list: Value | undefined, value: Value | undefined): readonly Value[] {
  if (!isArray(list) || value === undefined) throw internalFault('what is appended to is no array');
  return list.concat([value]);
}

/** Values that the call that asks for it made itself. */
export function owned(): Set<object> {
  return new Set();
}

export function ownedPut(own: Set<object>, object: Value | undefined, key: Value, value: Value): ObjectValue {
  const result = put(ownCopy(own, object), key, value);
  own.add(result);
  return result;
}

export function ownedPutOnce(own: Set<object>, object: Value | undefined, key: Value, value: Value): ObjectValue {
  const result = putOnce(ownCopy(own, object), key, value);
  own.add(result);
  return result;
}

export function ownedAdd(own: Set<object>, set: Value | undefined, value: Value): RegoSet {
  if (!(set instanceof RegoSet)) throw conflictFault('object keys must be unique');
  const mine = own.has(set) ? set : RegoSet.of(set.list());
  mine.add(value);
  own.add(mine);
  return mine;
}

function ownCopy(own: Set<object>, object: Value | undefined): ObjectValue {
  if (!isObject(object)) throw conflictFault('object keys must be unique');
  return own.has(object) ? object : copyOf(object);
}

function copyOf(object: ObjectValue): ObjectValue {
  let copy: ObjectValue = {};
  for (const [key, value] of entriesOf(object)) copy = insert(copy, key, value);
  return copy;
}

/** Told of work before it is done; may throw. */
export type Charge = (steps: number) => void;

function chargedCopy(object: ObjectValue, charge: Charge): ObjectValue {
  charge(4 * sizeOf(object));
  return copyOf(object);
}

/** Members of both, deep; where one is no object the first counts. */
export function merge(a: Value | undefined, b: Value | undefined, charge: Charge): Value | undefined {
  if (a === undefined) return b;
  if (!isObject(a) || !isObject(b)) return a;
  let merged = chargedCopy(a, charge);
  charge(4 * sizeOf(b));
  for (const [key, value] of entriesOf(b))
    merged = insert(merged, key, merge(memberOf(a, key), value, charge) ?? value);
  return merged;
}

/** A copy with the value at the path; what is on the way and no object is replaced by one. */
export function upsert(
  document: Value | undefined,
  path: readonly string[],
  value: Value | undefined,
  charge: Charge,
): Value | undefined {
  return upsertAt(document, path, 0, value, charge);
}

function upsertAt(
  document: Value | undefined,
  path: readonly string[],
  at: number,
  value: Value | undefined,
  charge: Charge,
): Value | undefined {
  const key = path[at];
  if (key === undefined) return value;
  const copy = isObject(document) ? chargedCopy(document, charge) : {};
  const member = upsertAt(memberOf(copy, key), path, at + 1, value, charge);
  return member === undefined ? copy : insert(copy, key, member);
}

/**
 * What a scan goes through: an object's keys, a set's members, `undefined` for an array, whose keys are its positions.
 * Nothing for anything else.
 */
export function keys(from: Value | undefined): readonly Value[] | undefined {
  if (typeof from !== 'object' || from === null) return NONE;
  if (isArray(from)) return undefined;
  if (from instanceof RegoSet) return from.list();
  if (from instanceof RegoObject) return from.list().map(([key]) => key);
  return isObject(from) ? Object.keys(from) : NONE;
}

/** The same in Rego's order. */
export function sortedKeys(from: Value | undefined): readonly Value[] | undefined {
  if (from instanceof RegoSet) return from.sorted();
  if (isObject(from)) return sortedKeysOf(from);
  return keys(from);
}

/** The values under the keys that {@link keys} gave. */
export function values(from: Value | undefined, names: readonly Value[] | undefined): readonly Value[] {
  if (isArray(from)) return from;
  if (names === undefined || !isObject(from)) return names ?? NONE;
  const found: Value[] = [];
  for (const name of names) {
    const value = memberOf(from, name);
    if (value !== undefined) found.push(value);
  }
  return found;
}

const NONE: readonly Value[] = [];
