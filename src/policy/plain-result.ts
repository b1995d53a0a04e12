import { numberText, RegoNumber, toBigInt, toDouble } from './values/number.ts';
import { define, entriesOf, isArray, isObject, objectOf } from './values/object.ts';
import { RegoSet } from './values/set.ts';
import { toRegoText } from './values/text.ts';
import type { NumberValue, PlainObject, Value } from './values/value.ts';

/** A value in another one is there once, but written as often as it is put there: results end at so many parts. */
const MOST_PARTS = 1_000_000;
let left = 0;

/**
 * A result as OPA's JSON has it: sets as sorted lists, keys as texts, integers beyond 2^53 as `bigint`, other numbers as
 * doubles. What needs no change is passed on as it is and must not be changed by whoever gets it. Throws a `RangeError`
 * for a result that is too large, written out, or nested too deep.
 */
export function toPlain(value: Value): unknown {
  left = MOST_PARTS;
  return plainOf(value);
}

function plainOf(value: Value): unknown {
  if (typeof value === 'string') return value.toWellFormed();
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof RegoNumber) return plainNumber(value);
  count(1);
  if (value instanceof RegoSet) return value.sorted().map(plainOf);
  if (isArray(value)) return isPlain(value) ? value : value.map(plainOf);
  if (!isObject(value)) return value;
  if (isPlain(value)) return value;
  const members: PlainObject = {};
  // What is put in is no value any more, and never read as one.
  for (const [key, member] of entriesOf(value)) define(members, keyText(key), plainOf(member) as Value);
  return members;
}

function count(parts: number): void {
  left -= parts;
  if (left < 0) throw new RangeError('the result is too large');
}

/** Whether all parts are as JSON has them. */
function isPlain(value: Value): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  if (isArray(value)) {
    count(1 + value.length);
    for (let at = 0; at < value.length; at += 1) if (!isPlain(value[at] ?? null)) return false;
    return true;
  }
  if (!isPlainObject(value)) return false;
  let parts = 1;
  // All own: nothing that an object inherits can be listed.
  for (const key in value) {
    parts += 1;
    if (!isPlainKey(key) || !isPlain(value[key] ?? null)) return false;
  }
  count(parts);
  return true;
}

/** Neither a number with digits of its own, nor a set, nor an object with other keys than texts. */
function isPlainObject(value: object): value is PlainObject {
  return Object.getPrototypeOf(value) === Object.prototype;
}

/** Keys that were well formed, each where its length and beginning put it: results have few different ones. */
const plainKeys: (string | undefined)[] = Array.from({ length: 128 }, () => undefined);

function isPlainKey(key: string): boolean {
  const at = (key.length * 5 + key.charCodeAt(0)) & 127;
  if (plainKeys[at] === key) return true;
  if (!key.isWellFormed()) return false;
  plainKeys[at] = key;
  return true;
}

function plainNumber(value: NumberValue): number | bigint {
  const digits = numberText(value).length;
  // To read an integer takes the square of its length.
  count(1 + ((digits * digits) >>> 10));
  const integer = toBigInt(value);
  return integer === undefined || numberText(value) === '-0' ? toDouble(value) : integer;
}

function keyText(key: Value): string {
  return typeof key === 'string' ? key.toWellFormed() : toRegoText(withLists(key));
}

/** What JSON can say of a value, its numbers as they are written. */
function withLists(value: Value): Value {
  count(1);
  if (value instanceof RegoSet) return value.sorted().map(withLists);
  if (isArray(value)) return value.map(withLists);
  if (isObject(value)) return objectOf(entriesOf(value).map(([key, member]) => [keyText(key), withLists(member)]));
  return value;
}
