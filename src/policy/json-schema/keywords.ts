import { isNumber, numberText } from '../values/number.ts';
import { isArray, isObject, memberOf } from '../values/object.ts';
import { compareTexts } from '../values/order.ts';
import type { PlainObject, Value } from '../values/value.ts';
import { asJson } from './json-document.ts';
import { SchemaError, type SchemaNode } from './schema-node.ts';

/** Whether it is an object; of what `asJson` made only. */
export function isMap(json: Value): json is PlainObject {
  return isObject(json);
}

/** Whether it may be a schema: a boolean or an object. */
export function isSchema(value: Value): boolean {
  return typeof value === 'boolean' || isMap(asJson(value));
}

/** The members in the order of their names, so that faults are always the same ones. */
export function inOrder(map: PlainObject): readonly (readonly [string, Value])[] {
  return Object.entries(map).sort(([left], [right]) => compareTexts(left, right));
}

/** A keyword's value is of another type. */
export function wrongType(expected: string, given: string): SchemaError {
  return new SchemaError(`Invalid type. Expected: ${expected}, given: ${given}`);
}

/** A dependency is neither names nor a schema. */
export function wrongDependency(): SchemaError {
  return new SchemaError('Dependency must be of type Schema Or Array Of Strings');
}

/** A keyword's value, which has to be a text. */
export function textAt(json: PlainObject, key: string): string | undefined {
  const value = memberOf(json, key);
  if (value !== undefined && typeof value !== 'string') throw wrongType('string', key);
  return value;
}

/** A keyword's value, which has to be an array; empty where it is missing. */
export function listAt(json: PlainObject, key: string): readonly Value[] {
  const value = memberOf(json, key);
  if (value === undefined) return [];
  const list = asJson(value);
  if (!isArray(list)) throw new SchemaError(`${key} must be of an array`);
  return list;
}

/** A keyword's value, which has to be an integer that is not negative. */
export function countAt(json: PlainObject, key: string): number | undefined {
  const value = memberOf(json, key);
  if (value === undefined) return undefined;
  if (!isNumber(value) || !/^-?[0-9]{1,19}$/.test(numberText(value)))
    throw new SchemaError(`${key} must be of an integer`);
  const count = Number(numberText(value));
  if (count < 0) throw new SchemaError(`${key} must be greater than or equal to 0`);
  return count;
}

/** A boolean, or the schema that it is. */
export function boolOrSchema(value: Value, key: string, inner: (each: Value) => SchemaNode): boolean | SchemaNode {
  if (typeof value === 'boolean') return value;
  if (!isSchema(value)) throw wrongType('boolean/Valid Schema', key);
  return inner(value);
}
