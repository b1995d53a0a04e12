import { MOST_BITS } from '../values/arithmetic.ts';
import { numberOfBigInt } from '../values/number.ts';
import type { Value } from '../values/value.ts';
import { type Builtin, type BuiltinContext, type Builtins, builtinFailure, operandFailure } from './builtin.ts';
import { wholeOperand } from './operands.ts';

/** OPA's operations on the bits of integers of any size; a shift may not make a number of more than 131,072 bits. */
export const BITS_BUILTINS: Builtins = new Map<string, Builtin>([
  [
    'bits.and',
    binary(
      (a, b) => a & b,
      (a, b) => a & b,
    ),
  ],
  [
    'bits.or',
    binary(
      (a, b) => a | b,
      (a, b) => a | b,
    ),
  ],
  [
    'bits.xor',
    binary(
      (a, b) => a ^ b,
      (a, b) => a ^ b,
    ),
  ],
  ['bits.negate', (context, a) => numberOfBigInt(~wholeOperand(context, a, 1))],
  ['bits.lsh', shiftLeft],
  ['bits.rsh', shiftRight],
]);

type Operation<Integer> = (left: Integer, right: Integer) => Integer;

function binary(small: Operation<number>, whole: Operation<bigint>): Builtin {
  return (context, a, b) => {
    if (typeof a === 'number' && typeof b === 'number' && (a | 0) === a && (b | 0) === b) return small(a, b);
    return numberOfBigInt(whole(wholeOperand(context, a, 1), wholeOperand(context, b, 2)));
  };
}

function shiftLeft(context: BuiltinContext, a: Value, b: Value): Value {
  const value = wholeOperand(context, a, 1);
  const shift = shiftOperand(context, b);
  if (value === 0n) return 0;
  if (shift > BigInt(MOST_BITS)) throw builtinFailure(context, 'number too big');
  // The text of so many bits has to be made.
  context.charge(Number(shift) >>> 2);
  return numberOfBigInt(value << shift);
}

function shiftRight(context: BuiltinContext, a: Value, b: Value): Value {
  return numberOfBigInt(wholeOperand(context, a, 1) >> shiftOperand(context, b));
}

/** OPA looks at 64 bits of it. */
function shiftOperand(context: BuiltinContext, value: Value): bigint {
  const shift = wholeOperand(context, value, 2);
  if (shift < 0n) {
    throw operandFailure(context, 2, 'must be an unsigned integer number but got a negative integer');
  }
  return BigInt.asUintN(64, shift);
}
