import { type ArithmeticResult, product, sum, workOf } from '../values/arithmetic.ts';
import { isNumber } from '../values/number.ts';
import { isArray, isObject, sizeOf } from '../values/object.ts';
import { compare } from '../values/order.ts';
import { RegoSet } from '../values/set.ts';
import type { NumberValue, Value } from '../values/value.ts';
import { numberResult } from './arithmetic.ts';
import { type Builtin, type BuiltinContext, type Builtins, typeFailure } from './builtin.ts';
import { codePointCount } from './code-points.ts';
import { elementFailure, membersOperand } from './operands.ts';

/** OPA's aggregates; work on many members is charged by their number, and `sort` by the comparisons that it takes. */
export const AGGREGATE_BUILTINS: Builtins = new Map<string, Builtin>([
  ['count', (context, a) => count(context, a)],
  ['sum', (context, a) => sumOf(context, numbersOperand(context, a))],
  ['product', (context, a) => aggregate(context, numbersOperand(context, a), product)],
  ['max', (context, a) => last(context, a, 1)],
  ['min', (context, a) => last(context, a, -1)],
  ['sort', (context, a) => sort(context, a)],
  ['all', (context, a) => membersOperand(context, a, ARRAY_OR_SET).every((member) => member === true)],
  ['any', (context, a) => any(context, a)],
]);

const SET_OR_ARRAY = 'one of {set, array}';
const ARRAY_OR_SET = 'one of {array, set}';

function count(context: BuiltinContext, value: Value): number {
  if (typeof value === 'string') {
    context.charge(value.length >>> 3);
    return codePointCount(value);
  }
  if (isArray(value)) return value.length;
  if (value instanceof RegoSet) return value.size;
  if (isObject(value)) {
    const size = sizeOf(value);
    context.charge(size >>> 1);
    return size;
  }
  throw typeFailure(context, 1, 'one of {array, object, set, string}', value);
}

function numbersOperand(context: BuiltinContext, value: Value): readonly NumberValue[] {
  const members = membersOperand(context, value, SET_OR_ARRAY);
  for (const member of members) {
    if (!isNumber(member)) throw elementFailure(context, 1, 'number', value, member);
  }
  // All were looked at.
  return members as readonly NumberValue[];
}

function sumOf(context: BuiltinContext, numbers: readonly NumberValue[]): NumberValue {
  let total = 0;
  for (const number of numbers) {
    if (typeof number !== 'number' || !Number.isInteger(number)) return aggregate(context, numbers, sum);
    total += number;
    if (!Number.isSafeInteger(total)) return aggregate(context, numbers, sum);
  }
  return total;
}

function aggregate(
  context: BuiltinContext,
  numbers: readonly NumberValue[],
  operation: (numbers: readonly NumberValue[]) => ArithmeticResult,
): NumberValue {
  // A product has as many digits as all its factors; both have to be made into text.
  const digits = numbers.reduce<number>((total, number) => total + String(number).length, 0);
  const work = numbers.reduce<number>((total, number) => total + workOf(number), 0);
  context.charge(20 + work + numbers.length * (10 + (Math.min(digits, 40_000) >>> 4)));
  return numberResult(context, operation(numbers));
}

/** The last of the greatest, or of the least, members. */
function last(context: BuiltinContext, value: Value, direction: 1 | -1): Value | undefined {
  const members = membersOperand(context, value, SET_OR_ARRAY);
  let found = members[0];
  if (found === undefined) return undefined;
  for (const member of members) if (direction * compare(member, found) >= 0) found = member;
  return found;
}

function sort(context: BuiltinContext, value: Value): readonly Value[] {
  const members = membersOperand(context, value, SET_OR_ARRAY);
  if (value instanceof RegoSet) return members;
  context.charge(members.length * Math.ceil(Math.log2(members.length + 1)));
  return [...members].sort(compare);
}

function any(context: BuiltinContext, value: Value): boolean {
  if (value instanceof RegoSet) return value.has(true);
  return membersOperand(context, value, ARRAY_OR_SET).includes(true);
}
