import { numberOfBigInt } from '../values/number.ts';
import type { NumberValue, Value } from '../values/value.ts';
import { type Builtin, type BuiltinContext, type Builtins, builtinFailure } from './builtin.ts';
import { wholeOperand } from './operands.ts';

/** OPA's ranges, up or down, both ends included; at most a million numbers, each of which is charged. */
export const NUMBER_BUILTINS: Builtins = new Map<string, Builtin>([
  ['numbers.range', (context, a, b) => range(context, a, b, 1n)],
  ['numbers.range_step', rangeStep],
]);

export const LONGEST_RANGE = 1_000_000;

function rangeStep(context: BuiltinContext, a: Value, b: Value, c: Value): readonly NumberValue[] {
  wholeOperand(context, a, 1);
  wholeOperand(context, b, 2);
  const step = wholeOperand(context, c, 3);
  if (step <= 0n) throw builtinFailure(context, 'numbers.range_step: step must be a positive integer');
  return range(context, a, b, step);
}

function range(context: BuiltinContext, a: Value, b: Value, step: bigint): readonly NumberValue[] {
  const from = wholeOperand(context, a, 1);
  const to = wholeOperand(context, b, 2);
  const steps = (from <= to ? to - from : from - to) / step;
  if (steps >= BigInt(LONGEST_RANGE)) throw builtinFailure(context, `more than ${LONGEST_RANGE} numbers`);
  const count = Number(steps) + 1;
  const by = from <= to ? step : -step;
  const first = Number(from);
  const last = Number(from + steps * by);
  const numbers: NumberValue[] = [];
  if (Number.isSafeInteger(first) && Number.isSafeInteger(last)) {
    context.charge(count);
    const increment = count === 1 ? 0 : Number(by);
    for (let at = 0; at < count; at++) numbers.push(first + at * increment);
  } else {
    context.charge(count * (20 + String(from).length));
    for (let at = 0, value = from; at < count; at++, value += by) numbers.push(numberOfBigInt(value));
  }
  return numbers;
}
