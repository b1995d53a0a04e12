import { isArray } from '../values/object.ts';
import type { Value } from '../values/value.ts';
import { arrayOperand, type Builtin, type BuiltinContext, type Builtins } from './builtin.ts';
import { int64Operand } from './operands.ts';

/** OPA's `array` family. Work is charged by the items of what is made. */
export const ARRAY_BUILTINS: Builtins = new Map<string, Builtin>([
  ['array.concat', (context, a, b) => concat(context, arrayOperand(context, a, 1), arrayOperand(context, b, 2))],
  ['array.flatten', (context, array) => flatten(context, arrayOperand(context, array, 1))],
  ['array.reverse', (context, array) => reverse(context, arrayOperand(context, array, 1))],
  ['array.slice', slice],
]);

function concat(context: BuiltinContext, a: readonly Value[], b: readonly Value[]): readonly Value[] {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  context.charge(a.length + b.length);
  return a.concat(b);
}

/** One level. */
function flatten(context: BuiltinContext, array: readonly Value[]): readonly Value[] {
  if (!array.some(isArray)) return array;
  let length = 0;
  for (const item of array) length += isArray(item) ? item.length : 1;
  context.charge(array.length + length);
  const flat: Value[] = [];
  for (const item of array) {
    if (!isArray(item)) flat.push(item);
    else for (const inner of item) flat.push(inner);
  }
  return flat;
}

function reverse(context: BuiltinContext, array: readonly Value[]): readonly Value[] {
  if (array.length < 2) return array;
  context.charge(array.length);
  return array.toReversed();
}

/** Indexes beyond the array are moved to its ends; a start behind the end gives an empty array. */
function slice(context: BuiltinContext, a: Value, b: Value, c: Value): readonly Value[] {
  const array = arrayOperand(context, a, 1);
  const from = int64Operand(context, b, 2);
  const to = int64Operand(context, c, 3);
  const end = Math.min(Math.max(to, 0), array.length);
  const start = Math.min(Math.max(from, 0), end);
  if (start === 0 && end === array.length) return array;
  context.charge(end - start);
  return array.slice(start, end);
}
