import {
  added,
  type BigFloat,
  bitLength,
  divided,
  fromDecimal,
  isWhole,
  magnitudeOf,
  multiplied,
  negated,
  PRECISION,
  rounded,
  truncated,
} from './big-float.ts';
import { bigFloatText } from './big-float-text.ts';
import { numberOf, numberOfBigInt, numberText } from './number.ts';
import type { NumberValue } from './value.ts';

/**
 * OPA's arithmetic: exact on integers, and on anything else as a binary float of 64 bits does it, printed with the
 * fewest digits that read back as the same. Numbers beyond 2^±131,072 are a fault here; OPA's grow on.
 */
export type ArithmeticFault =
  | 'divide by zero'
  | 'modulo by zero'
  | 'modulo on floating-point number'
  | 'number too big';

export type ArithmeticResult = NumberValue | ArithmeticFault;

/** Numbers have at most so many bits on either side of the point. */
export const MOST_BITS = 131_072;
const MOST_DIGITS = 39_457;

export function isFault(result: ArithmeticResult): result is ArithmeticFault {
  return typeof result === 'string';
}

export function add(left: NumberValue, right: NumberValue): ArithmeticResult {
  if (isSmall(left) && isSmall(right)) {
    const sum = left + right;
    if (Number.isSafeInteger(sum)) return sum;
  }
  const a = exactInteger(left);
  const b = a === undefined ? undefined : exactInteger(right);
  if (a !== undefined && b !== undefined) return ofInteger(a + b);
  return onFloats(left, right, (x, y) => added(x, y, PRECISION));
}

export function subtract(left: NumberValue, right: NumberValue): ArithmeticResult {
  if (isSmall(left) && isSmall(right)) {
    const difference = left - right;
    if (Number.isSafeInteger(difference)) return difference;
  }
  const a = exactInteger(left);
  const b = a === undefined ? undefined : exactInteger(right);
  if (a !== undefined && b !== undefined) return ofInteger(a - b);
  return onFloats(left, right, (x, y) => added(x, negated(y), PRECISION));
}

export function multiply(left: NumberValue, right: NumberValue): ArithmeticResult {
  if (isSmall(left) && isSmall(right)) {
    // Not -0.
    const product = left * right + 0;
    if (Number.isSafeInteger(product)) return product;
  }
  const a = exactInteger(left);
  const b = a === undefined ? undefined : exactInteger(right);
  if (a !== undefined && b !== undefined) return ofInteger(a * b);
  return onFloats(left, right, (x, y) => multiplied(x, y, PRECISION));
}

/** Integers divide exactly only where the quotient is one that a float can hold. */
export function divide(left: NumberValue, right: NumberValue): ArithmeticResult {
  if (isSmall(left) && isSmall(right)) {
    if (right === 0) return 'divide by zero';
    if (left !== 0 && left % right === 0) return left / right;
  }
  const divisor = toBigFloat(right);
  if (divisor?.mantissa === 0n) return 'divide by zero';
  return onFloats(left, right, (x, y) => divided(x, y, PRECISION));
}

/** The remainder has the sign of the dividend. */
export function remainder(left: NumberValue, right: NumberValue): ArithmeticResult {
  if (isSmall(left) && isSmall(right)) return right === 0 ? 'modulo by zero' : (left % right) + 0;
  const a = exactInteger(left);
  const b = a === undefined ? undefined : exactInteger(right);
  if (a === undefined || b === undefined) return isBig(left) || isBig(right) ? BIG : 'modulo on floating-point number';
  return b === 0n ? 'modulo by zero' : ofInteger(a % b);
}

export function absolute(value: NumberValue): ArithmeticResult {
  if (isSmall(value)) return Math.abs(value);
  return onFloat(value, (float) => ({ ...float, negative: false }));
}

/** Halves go away from zero. */
export function round(value: NumberValue): ArithmeticResult {
  if (isSmall(value)) return value;
  return onFloat(value, (float) => whole(truncated(added(float, { ...HALF, negative: float.negative }, PRECISION))));
}

/** Like OPA's, which rounds what lies between -1 and 0 up to 1. */
export function ceil(value: NumberValue): ArithmeticResult {
  if (isSmall(value)) return value;
  return onFloat(value, (float) => {
    const integer = truncated(float);
    return whole(integer < 0n || isWhole(float) ? integer : integer + 1n);
  });
}

/** Like OPA's, which rounds what lies between -1 and 0 down to 0. */
export function floor(value: NumberValue): ArithmeticResult {
  if (isSmall(value)) return value;
  return onFloat(value, (float) => {
    const integer = truncated(float);
    return whole(integer >= 0n || isWhole(float) ? integer : integer - 1n);
  });
}

/** The sum, in this order: exact where all are integers. */
export function sum(values: readonly NumberValue[]): ArithmeticResult {
  const integers = exactIntegers(values);
  if (integers !== undefined) return ofInteger(integers.reduce((total, value) => total + value, 0n));
  let total: BigFloat | undefined = rounded(false, 0n, 0, PRECISION);
  for (const value of values) {
    const float = toBigFloat(value);
    if (total === undefined || float === undefined) return BIG;
    total = inRange(added(total, float, PRECISION));
  }
  return ofFloat(total);
}

/** OPA multiplies fractions with the 53 bits of a double. */
const PRODUCT_PRECISION = 53;

/** The product, in this order: exact where all are integers. */
export function product(values: readonly NumberValue[]): ArithmeticResult {
  const integers = exactIntegers(values);
  if (integers !== undefined) {
    let result = 1n;
    for (const integer of integers) {
      result *= integer;
      if (isTooBig(result)) return BIG;
    }
    return ofInteger(result);
  }
  let result: BigFloat | undefined = rounded(false, 1n, 0, PRODUCT_PRECISION);
  for (const value of values) {
    const float = toBigFloat(value);
    if (result === undefined || float === undefined) return BIG;
    result = inRange(multiplied(result, float, PRODUCT_PRECISION));
  }
  return ofFloat(result);
}

/** The integer that it means, however it is written: 1.0 and 1e3 are integers. `undefined` for others and for huge ones. */
export function exactInteger(value: NumberValue): bigint | undefined {
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : undefined;
  const decimal = toDecimal(value);
  if (decimal === undefined || decimal.exponent === 0) return decimal?.digits;
  const { digits, exponent } = decimal;
  if (exponent > 0) return digits * 10n ** BigInt(exponent);
  if (digits === 0n) return 0n;
  // Below 10^-exponent, which has more than three bits a digit.
  if (bitLength(digits < 0n ? -digits : digits) <= -3 * exponent) return undefined;
  const divisor = 10n ** BigInt(-exponent);
  return digits % divisor === 0n ? digits / divisor : undefined;
}

/** The number cut at its point, after OPA's rounding to 64 bits where it is no integer literal. */
export function wholePart(value: NumberValue): bigint | undefined {
  const text = numberText(value);
  if (INTEGER.test(text)) return text.length > MOST_DIGITS ? undefined : BigInt(text);
  const float = toBigFloat(value);
  return float === undefined ? undefined : truncated(float);
}

/** As OPA computes with it; `undefined` for what is out of range. */
export function toBigFloat(value: NumberValue): BigFloat | undefined {
  const decimal = toDecimal(value);
  if (decimal === undefined) return undefined;
  const { negative, digits, exponent } = decimal;
  return inRange(fromDecimal(negative, digits < 0n ? -digits : digits, exponent));
}

/** How much work the number makes, in steps of the evaluation's budget: next to none for those that are common. */
export function workOf(value: NumberValue): number {
  if (typeof value === 'number') return Number.isInteger(value) ? 0 : FRACTION_WORK;
  const text = value.toString();
  const mark = exponentMark(text);
  const size = text.length + (mark < 0 ? 0 : Math.min(Math.abs(Number(text.slice(mark + 1))), MOST_DIGITS));
  return FRACTION_WORK + Math.floor(0.06 * size ** 1.5);
}

const FRACTION_WORK = 200;
const BIG: ArithmeticFault = 'number too big';
const HALF: BigFloat = { negative: false, mantissa: 1n, exponent: -1, precision: 53 };
const INTEGER = /^-?[0-9]+$/;

function isSmall(value: NumberValue): value is number {
  return Number.isInteger(value);
}

function onFloat(value: NumberValue, operation: (value: BigFloat) => BigFloat): ArithmeticResult {
  const float = toBigFloat(value);
  return float === undefined ? BIG : ofFloat(operation(float));
}

function onFloats(
  left: NumberValue,
  right: NumberValue,
  operation: (left: BigFloat, right: BigFloat) => BigFloat,
): ArithmeticResult {
  const a = toBigFloat(left);
  const b = toBigFloat(right);
  return a === undefined || b === undefined ? BIG : ofFloat(inRange(operation(a, b)));
}

/** An integer as a float that holds all its digits. */
function whole(integer: bigint): BigFloat {
  const magnitude = integer < 0n ? -integer : integer;
  const precision = Math.max(PRECISION, bitLength(magnitude));
  return { negative: integer < 0n, mantissa: magnitude, exponent: 0, precision };
}

function ofFloat(float: BigFloat | undefined): ArithmeticResult {
  return float === undefined ? BIG : numberOf(bigFloatText(float));
}

function inRange(float: BigFloat): BigFloat | undefined {
  return Math.abs(magnitudeOf(float)) > MOST_BITS ? undefined : float;
}

function ofInteger(integer: bigint): ArithmeticResult {
  return isTooBig(integer) ? BIG : numberOfBigInt(integer);
}

const TOO_BIG = 1n << BigInt(MOST_BITS);

function isTooBig(integer: bigint): boolean {
  return integer >= TOO_BIG || integer <= -TOO_BIG;
}

function isBig(value: NumberValue): boolean {
  return toDecimal(value) === undefined;
}

function exactIntegers(values: readonly NumberValue[]): readonly bigint[] | undefined {
  const integers: bigint[] = [];
  for (const value of values) {
    const integer = exactInteger(value);
    if (integer === undefined) return undefined;
    integers.push(integer);
  }
  return integers;
}

/** digits × 10^exponent; the sign apart, because of -0. */
interface Decimal {
  readonly negative: boolean;
  readonly digits: bigint;
  readonly exponent: number;
}

function toDecimal(value: NumberValue): Decimal | undefined {
  const text = numberText(value);
  if (text.length > MOST_DIGITS) return undefined;
  const negative = text.charCodeAt(0) === 0x2d;
  const mark = exponentMark(text);
  const power = mark < 0 ? 0 : Number(text.slice(mark + 1));
  const mantissa = mark < 0 ? text : text.slice(0, mark);
  const point = mantissa.indexOf('.');
  const digits = BigInt(point < 0 ? mantissa : mantissa.slice(0, point) + mantissa.slice(point + 1));
  const exponent = power - (point < 0 ? 0 : mantissa.length - point - 1);
  return Math.abs(exponent) > MOST_DIGITS ? undefined : { negative, digits, exponent };
}

function exponentMark(text: string): number {
  const mark = text.indexOf('e');
  return mark < 0 ? text.indexOf('E') : mark;
}
