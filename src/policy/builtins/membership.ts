import { childOf } from '../values/child.ts';
import { entriesOf, isArray, isObject } from '../values/object.ts';
import { equal } from '../values/order.ts';
import { RegoSet } from '../values/set.ts';
import type { Value } from '../values/value.ts';
import type { Builtin, BuiltinContext, Builtins } from './builtin.ts';

/** What `x in xs` and `k, v in xs` are compiled to. Arrays and objects are charged by their size. */
export const MEMBERSHIP_BUILTINS: Builtins = new Map<string, Builtin>([
  ['internal.member_2', isMember],
  ['internal.member_3', (_context, key, value, collection) => isMemberAt(collection, key, value)],
]);

function isMember(context: BuiltinContext, value: Value, collection: Value): boolean {
  if (collection instanceof RegoSet) return collection.has(value);
  if (isArray(collection)) {
    context.charge(collection.length >> 3);
    if (typeof value === 'string') return collection.includes(value);
    for (const item of collection) if (equal(item, value)) return true;
    return false;
  }
  if (!isObject(collection)) return false;
  const entries = entriesOf(collection);
  context.charge(entries.length);
  for (const [, member] of entries) if (equal(member, value)) return true;
  return false;
}

function isMemberAt(collection: Value, key: Value, value: Value): boolean {
  const member = childOf(collection, key);
  return member !== undefined && equal(member, value);
}
