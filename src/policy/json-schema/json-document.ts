import { textEntries, toJsonText } from '../values/json-text.ts';
import { isNumber, numberOfDouble, RegoNumber, toDouble } from '../values/number.ts';
import { define, isArray, isObject, RegoObject } from '../values/object.ts';
import { RegoSet } from '../values/set.ts';
import type { PlainObject, Value } from '../values/value.ts';

/** The value itself, or what JSON has for it: a list for a set, texts for keys that are none. Not for what is in it. */
export function asJson(value: Value): null | boolean | string | number | RegoNumber | readonly Value[] | PlainObject {
  if (value instanceof RegoSet) return value.sorted();
  if (!(value instanceof RegoObject)) return value;
  const object: PlainObject = {};
  for (const [key, member] of textEntries(value)) define(object, key, member);
  return object;
}

/** One JSON text for all values that are equal as JavaScript reads JSON: numbers are doubles. */
export function normalJson(value: Value, budget: { charge(steps: number): void }): string {
  return toJsonText(withDoubles(value), { budget });
}

function withDoubles(value: Value): Value {
  if (value instanceof RegoNumber) {
    const double = toDouble(value);
    return Number.isFinite(double) ? numberOfDouble(double) : value;
  }
  const json = asJson(value);
  if (isArray(json)) return json.map(withDoubles);
  if (!isObject(json) || isNumber(json)) return json;
  const object: PlainObject = {};
  for (const [key, member] of Object.entries(json)) define(object, key, withDoubles(member));
  return object;
}
