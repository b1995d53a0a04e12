import { numberText, RegoNumber, toBigInt, toDouble } from './values/number.ts';
import { define, entriesOf, isArray, isObject, objectOf, RegoObject } from './values/object.ts';
import { RegoSet } from './values/set.ts';
import { toRegoText } from './values/text.ts';
import type { NumberValue, PlainObject, Value } from './values/value.ts';

/**
 * A result as OPA's JSON has it: sets as sorted lists, keys as texts, integers beyond 2^53 as `bigint`, other numbers as
 * doubles. What needs no change is passed on as it is and must not be changed by whoever gets it.
 */
export function toPlain(value: Value): unknown {
  if (typeof value === 'string') return value.toWellFormed();
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof RegoNumber) return plainNumber(value);
  if (value instanceof RegoSet) return value.sorted().map(toPlain);
  if (isArray(value)) return isPlain(value) ? value : value.map(toPlain);
  if (!isObject(value)) return value;
  if (isPlain(value)) return value;
  const members: PlainObject = {};
  // What is put in is no value any more, and never read as one.
  for (const [key, member] of entriesOf(value)) define(members, keyText(key), toPlain(member) as Value);
  return members;
}

/** Whether all parts are as JSON has them. */
function isPlain(value: Value): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  if (isArray(value)) return value.every(isPlain);
  if (value instanceof RegoNumber || value instanceof RegoSet || value instanceof RegoObject) return false;
  for (const key in value) {
    const member = Object.hasOwn(value, key) ? value[key] : undefined;
    if (!key.isWellFormed() || (member !== undefined && !isPlain(member))) return false;
  }
  return true;
}

function plainNumber(value: NumberValue): number | bigint {
  const integer = toBigInt(value);
  return integer === undefined || numberText(value) === '-0' ? toDouble(value) : integer;
}

function keyText(key: Value): string {
  return typeof key === 'string' ? key.toWellFormed() : toRegoText(withLists(key));
}

/** What JSON can say of a value, its numbers as they are written. */
function withLists(value: Value): Value {
  if (value instanceof RegoSet) return value.sorted().map(withLists);
  if (isArray(value)) return value.map(withLists);
  if (isObject(value)) return objectOf(entriesOf(value).map(([key, member]) => [keyText(key), withLists(member)]));
  return value;
}
