import { RegoNumber } from './number.ts';
import { compare, compareTexts } from './order.ts';
import { RegoSet } from './set.ts';
import type { ObjectValue, PlainObject, Value } from './value.ts';
import { ValueMap } from './value-map.ts';

/** An object of which at least one key is no text, or that is read as it is asked. Changed only by the evaluation that is making it. */
export class RegoObject {
  readonly #members = new ValueMap<readonly [Value, Value]>();

  get size(): number {
    return this.#members.size;
  }

  get(key: Value): Value | undefined {
    return this.#members.get(key)?.[1];
  }

  /** A later value takes the place of an earlier one under an equal key. */
  set(key: Value, value: Value): void {
    this.#members.set(key, [this.#members.get(key)?.[0] ?? key, value]);
  }

  /** In no order that means anything. */
  list(): (readonly [Value, Value])[] {
    return this.#members.list();
  }
}

export function isObject(value: Value | undefined): value is ObjectValue {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof RegoNumber) &&
    !(value instanceof RegoSet)
  );
}

export function isArray(value: Value | undefined): value is readonly Value[] {
  return Array.isArray(value);
}

/** The member under a key that equals `key`. */
export function memberOf(object: ObjectValue, key: Value): Value | undefined {
  if (object instanceof RegoObject) return object.get(key);
  return typeof key === 'string' && Object.hasOwn(object, key) ? object[key] : undefined;
}

export function sizeOf(object: ObjectValue): number {
  return object instanceof RegoObject ? object.size : Object.keys(object).length;
}

/** In no order that means anything. */
export function keysOf(object: ObjectValue): readonly Value[] {
  return object instanceof RegoObject ? object.list().map(([key]) => key) : Object.keys(object);
}

/** In no order that means anything. */
export function entriesOf(object: ObjectValue): readonly (readonly [Value, Value])[] {
  return object instanceof RegoObject ? object.list() : Object.entries(object);
}

/** In Rego's order. */
export function sortedKeys(object: ObjectValue): readonly Value[] {
  return object instanceof RegoObject ? [...keysOf(object)].sort(compare) : Object.keys(object).sort(compareTexts);
}

/** In Rego's order of keys. */
export function sortedEntries(object: ObjectValue): readonly (readonly [Value, Value])[] {
  return [...entriesOf(object)].sort(([left], [right]) => compare(left, right));
}

/** An object of these members; of equal keys the last counts. */
export function objectOf(entries: Iterable<readonly [Value, Value]>): ObjectValue {
  let object: ObjectValue = {};
  for (const [key, value] of entries) object = insert(object, key, value);
  return object;
}

/**
 * Puts a member into an object that is still being made, and answers the object: another one when the first key comes
 * that is no text.
 */
export function insert(object: ObjectValue, key: Value, value: Value): ObjectValue {
  if (object instanceof RegoObject) {
    object.set(key, value);
    return object;
  }
  if (typeof key !== 'string') {
    const wider = new RegoObject();
    for (const name of Object.keys(object)) wider.set(name, memberOf(object, name) ?? null);
    wider.set(key, value);
    return wider;
  }
  define(object, key, value);
  return object;
}

/** Sets a member of a plain object that is still being made. */
export function define(object: PlainObject, key: string, value: Value): void {
  // What is inherited cannot be assigned to, and `__proto__` would be no member.
  if (isInherited(key)) {
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
  } else {
    // Whoever makes an object may change it.
    (object as { [key: string]: Value })[key] = value;
  }
}

/** Whether all objects inherit something of this name. */
export function isInherited(key: string): boolean {
  return INHERITED.has(key);
}

/** Measured: to look a text up here costs a third of `in`. */
const INHERITED: ReadonlySet<string> = new Set(Object.getOwnPropertyNames(Object.prototype));
