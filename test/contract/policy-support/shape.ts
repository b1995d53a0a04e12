import { toJsonText } from '../../../src/policy/values/json-text.ts';
import { isNumber } from '../../../src/policy/values/number.ts';
import { isArray, isObject, sortedEntries } from '../../../src/policy/values/object.ts';
import { RegoSet } from '../../../src/policy/values/set.ts';
import type { Value } from '../../../src/policy/values/value.ts';

/**
 * A Rego function that says all of a value in JSON, in which sets would be lists and keys texts: the path to each of its
 * parts, and what is there.
 */
export const SHAPE_REGO = `
shape(value) := [[path, leaf(part)] | walk(value, [path, part])]

leaf(part) := {"array": count(part)} if is_array(part)
else := {"object": count(part)} if is_object(part)
else := {"set": count(part)} if is_set(part)
else := part
`;

/** The same of a value of ours, as JSON text; parts in Rego's order. */
export function shapeOf(value: Value): string {
  const parts: Value[] = [];
  visit(value, [], parts);
  return toJsonText(parts);
}

function visit(value: Value, path: readonly Value[], parts: Value[]): void {
  parts.push([path, leafOf(value)]);
  if (isNumber(value)) return;
  if (isArray(value)) for (const [at, item] of value.entries()) visit(item, [...path, at], parts);
  else if (value instanceof RegoSet) for (const member of value.sorted()) visit(member, [...path, member], parts);
  else if (isObject(value)) for (const [key, member] of sortedEntries(value)) visit(member, [...path, key], parts);
}

function leafOf(value: Value): Value {
  if (isNumber(value)) return value;
  if (isArray(value)) return { array: value.length };
  if (value instanceof RegoSet) return { set: value.size };
  return isObject(value) ? { object: sortedEntries(value).length } : value;
}
