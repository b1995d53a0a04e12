import { RegoSet } from '../values/set.ts';
import type { Value } from '../values/value.ts';
import { type Builtin, type BuiltinContext, type Builtins, setOperand, typeFailure } from './builtin.ts';

/** OPA's builtins that make sets of sets, but for `minus`. Work is charged by the members looked at. */
export const SET_BUILTINS: Builtins = new Map<string, Builtin>([
  ['and', (context, a, b) => intersection(context, setOperand(context, a, 1), setOperand(context, b, 2))],
  ['or', (context, a, b) => union(context, setOperand(context, a, 1), setOperand(context, b, 2))],
  ['set_diff', (context, a, b) => difference(context, setOperand(context, a, 1), setOperand(context, b, 2))],
  ['intersection', (context, sets) => intersectionOfAll(context, setOperand(context, sets, 1))],
  ['union', (context, sets) => unionOfAll(context, setOperand(context, sets, 1))],
]);

/** The members of the first set that the second one lacks. */
export function difference(context: BuiltinContext, a: RegoSet, b: RegoSet): RegoSet {
  if (a.size === 0 || b.size === 0) return a;
  context.charge(a.size);
  const rest = new RegoSet();
  for (const member of a.list()) if (!b.has(member)) rest.add(member);
  return rest;
}

function intersection(context: BuiltinContext, a: RegoSet, b: RegoSet): RegoSet {
  const [few, many] = a.size <= b.size ? [a, b] : [b, a];
  context.charge(few.size);
  const common = new RegoSet();
  for (const member of few.list()) if (many.has(member)) common.add(member);
  return common;
}

function union(context: BuiltinContext, a: RegoSet, b: RegoSet): RegoSet {
  if (a.size === 0) return b;
  if (b.size === 0) return a;
  context.charge(a.size + b.size);
  const all = RegoSet.of(a.list());
  for (const member of b.list()) all.add(member);
  return all;
}

function intersectionOfAll(context: BuiltinContext, sets: RegoSet): RegoSet {
  let common: RegoSet | undefined;
  for (const member of sets.sorted()) {
    const set = memberSet(context, member);
    common = common === undefined ? set : intersection(context, common, set);
  }
  return common ?? new RegoSet();
}

function unionOfAll(context: BuiltinContext, sets: RegoSet): RegoSet {
  const all = new RegoSet();
  for (const member of sets.sorted()) {
    const set = memberSet(context, member);
    context.charge(set.size);
    for (const one of set.list()) all.add(one);
  }
  return all;
}

function memberSet(context: BuiltinContext, value: Value): RegoSet {
  if (!(value instanceof RegoSet)) throw typeFailure(context, 1, 'set', value);
  return value;
}
