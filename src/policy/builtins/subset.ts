import { entriesOf, isArray, isObject, memberOf, sizeOf } from '../values/object.ts';
import { equal } from '../values/order.ts';
import { RegoSet } from '../values/set.ts';
import type { ObjectValue, Value } from '../values/value.ts';
import { type BuiltinContext, BuiltinFailure, FAILED } from './builtin.ts';

/** OPA's `object.subset`. Work is charged by the members and items that are compared. */
export function isSubset(context: BuiltinContext, whole: Value, part: Value): boolean {
  if (isObject(whole) && isObject(part)) return isObjectSubset(context, whole, part);
  if (whole instanceof RegoSet && part instanceof RegoSet) return isSetSubset(context, whole, part);
  if (isArray(whole) && isArray(part)) return isArraySubset(context, whole, part);
  if (isArray(whole) && part instanceof RegoSet) return holdsAll(context, whole, part);
  if (!context.strict) throw FAILED;
  throw new BuiltinFailure('eval_type_error', 'both arguments object.subset must be of the same type or array and set');
}

function isObjectSubset(context: BuiltinContext, whole: ObjectValue, part: ObjectValue): boolean {
  context.charge(sizeOf(part));
  for (const [key, value] of entriesOf(part)) {
    const other = memberOf(whole, key);
    if (other === undefined || !isMemberSubset(context, other, value)) return false;
  }
  return true;
}

function isMemberSubset(context: BuiltinContext, whole: Value, part: Value): boolean {
  // Equal objects are found to be subsets too: looking for that first would compare each level again.
  if (isObject(whole) && isObject(part)) return isObjectSubset(context, whole, part);
  if (whole instanceof RegoSet && part instanceof RegoSet) return isSetSubset(context, whole, part);
  if (isArray(whole) && isArray(part)) return isArraySubset(context, whole, part);
  return equal(whole, part);
}

function isSetSubset(context: BuiltinContext, whole: RegoSet, part: RegoSet): boolean {
  context.charge(part.size);
  return part.list().every((member) => whole.has(member));
}

/** As OPA counts: an empty set is found at the array's first item, and an item that stands twice counts twice. */
function holdsAll(context: BuiltinContext, whole: readonly Value[], part: RegoSet): boolean {
  context.charge(whole.length);
  let missing = part.size;
  for (const item of whole) {
    if (part.has(item)) missing -= 1;
    if (missing === 0) return true;
  }
  return false;
}

/** Whether the part stands in the whole, items in a row. */
function isArraySubset(context: BuiltinContext, whole: readonly Value[], part: readonly Value[]): boolean {
  for (let start = 0; start + part.length <= whole.length; start++) {
    let matched = 0;
    while (matched < part.length && isEqualAt(whole[start + matched], part[matched])) matched++;
    context.charge(matched + 1);
    if (matched === part.length) return true;
  }
  return false;
}

function isEqualAt(left: Value | undefined, right: Value | undefined): boolean {
  return left !== undefined && right !== undefined && equal(left, right);
}
