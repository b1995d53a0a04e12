import { numberText, RegoNumber } from './number.ts';
import { isArray, isObject, memberOf } from './object.ts';
import { RegoSet } from './set.ts';
import type { Value } from './value.ts';

/** What `value[key]` means in Rego: an object's member, an array's item, a set's member itself. */
export function childOf(value: Value, key: Value): Value | undefined {
  if (isArray(value)) {
    const at = typeof key === 'number' ? key : key instanceof RegoNumber ? indexOf(key) : undefined;
    // An array has no item at what is no index, and nothing is inherited under a number.
    return at === undefined ? undefined : value[at];
  }
  if (value instanceof RegoSet) return value.get(key);
  return isObject(value) ? memberOf(value, key) : undefined;
}

const INDEX = /^-?[0-9]{1,16}[.]?0*$/;

/** `1.0` and `-0` are indexes too. */
function indexOf(key: RegoNumber): number | undefined {
  const text = numberText(key);
  return INDEX.test(text) ? Number(text) : undefined;
}
