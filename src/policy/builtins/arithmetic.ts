import {
  type ArithmeticResult,
  absolute,
  add,
  ceil,
  divide,
  floor,
  isFault,
  multiply,
  remainder,
  round,
  subtract,
  workOf,
} from '../values/arithmetic.ts';
import { isNumber } from '../values/number.ts';
import { RegoSet } from '../values/set.ts';
import type { NumberValue, Value } from '../values/value.ts';
import {
  type Builtin,
  type BuiltinContext,
  type Builtins,
  builtinFailure,
  numberOperand,
  typeFailure,
} from './builtin.ts';
import { difference } from './sets.ts';

/**
 * OPA's arithmetic; what is not done on small integers is charged by its digits. A result beyond 2^±131,072 is a
 * failure, where OPA's numbers grow on.
 */
export const ARITHMETIC_BUILTINS: Builtins = new Map<string, Builtin>([
  ['plus', binary(add)],
  ['minus', minus],
  ['mul', binary(multiply)],
  ['div', binary(divide)],
  ['rem', binary(remainder)],
  ['abs', unary(absolute)],
  ['round', unary(round)],
  ['ceil', unary(ceil)],
  ['floor', unary(floor)],
]);

/** The number, or the failure that the fault is. */
export function numberResult(context: BuiltinContext, result: ArithmeticResult): NumberValue {
  if (isFault(result)) throw builtinFailure(context, result);
  return result;
}

function binary(operation: (left: NumberValue, right: NumberValue) => ArithmeticResult): Builtin {
  return (context, a, b) => {
    const left = numberOperand(context, a, 1);
    const right = numberOperand(context, b, 2);
    const work = workOf(left) + workOf(right);
    if (work > 0) context.charge(work);
    return numberResult(context, operation(left, right));
  };
}

function unary(operation: (value: NumberValue) => ArithmeticResult): Builtin {
  return (context, a) => {
    const value = numberOperand(context, a, 1);
    const work = workOf(value);
    if (work > 0) context.charge(work);
    return numberResult(context, operation(value));
  };
}

const minusNumbers = binary(subtract);

function minus(context: BuiltinContext, a: Value, b: Value, c: Value, d: Value): Value | undefined {
  if (isNumber(a) && isNumber(b)) return minusNumbers(context, a, b, c, d);
  if (a instanceof RegoSet && b instanceof RegoSet) return difference(context, a, b);
  if (!isNumber(a) && !(a instanceof RegoSet)) throw typeFailure(context, 1, 'one of {number, set}', a);
  throw typeFailure(context, 2, isNumber(b) ? 'set' : 'number', b);
}
