/**
 * A binary floating-point number of OPA's: ±mantissa × 2^exponent, the mantissa of at most `precision` bits. Zero has a
 * sign. Every operation rounds once, to the nearest, halves to even.
 */
export interface BigFloat {
  readonly negative: boolean;
  readonly mantissa: bigint;
  readonly exponent: number;
  readonly precision: number;
}

/** What OPA computes fractions with. */
export const PRECISION = 64;

/** The number nearest to ±mantissa × 2^exponent; `inexact` says that a little more than that is meant. */
export function rounded(
  negative: boolean,
  mantissa: bigint,
  exponent: number,
  precision: number,
  inexact = false,
): BigFloat {
  const extra = bitLength(mantissa) - precision;
  if (extra <= 0) return { negative, mantissa, exponent, precision };
  const shift = BigInt(extra);
  const kept = mantissa >> shift;
  const rest = mantissa - (kept << shift);
  const half = 1n << (shift - 1n);
  const up = rest > half || (rest === half && (inexact || (kept & 1n) === 1n));
  return { negative, mantissa: up ? kept + 1n : kept, exponent: exponent + extra, precision };
}

/** ±digits × 10^exponent, as Go reads a decimal: the power of ten is itself rounded, to 64 bits more. */
export function fromDecimal(negative: boolean, digits: bigint, exponent: number): BigFloat {
  if (digits === 0n || exponent === 0) return rounded(negative, digits, 0, PRECISION);
  const whole: BigFloat = { negative, mantissa: digits, exponent, precision: PRECISION };
  const power = powerOfFive(Math.abs(exponent));
  return exponent > 0 ? multiplied(whole, power, PRECISION) : divided(whole, power, PRECISION);
}

export function negated(value: BigFloat): BigFloat {
  return { ...value, negative: !value.negative };
}

/** Opposite numbers add up to zero without a sign. */
export function added(left: BigFloat, right: BigFloat, precision: number): BigFloat {
  if (left.mantissa === 0n && right.mantissa === 0n) {
    return { negative: left.negative && right.negative, mantissa: 0n, exponent: 0, precision };
  }
  if (left.mantissa === 0n) return rounded(right.negative, right.mantissa, right.exponent, precision);
  if (right.mantissa === 0n) return rounded(left.negative, left.mantissa, left.exponent, precision);
  const exponent = Math.min(left.exponent, right.exponent);
  const sum = aligned(left, exponent) + aligned(right, exponent);
  return rounded(sum < 0n, sum < 0n ? -sum : sum, exponent, precision);
}

export function multiplied(left: BigFloat, right: BigFloat, precision: number): BigFloat {
  const negative = left.negative !== right.negative;
  return rounded(negative, left.mantissa * right.mantissa, left.exponent + right.exponent, precision);
}

/** The divisor is not zero. */
export function divided(left: BigFloat, right: BigFloat, precision: number): BigFloat {
  const negative = left.negative !== right.negative;
  if (left.mantissa === 0n) return { negative, mantissa: 0n, exponent: 0, precision };
  const shift = Math.max(0, precision + 2 - bitLength(left.mantissa) + bitLength(right.mantissa));
  const numerator = left.mantissa << BigInt(shift);
  const quotient = numerator / right.mantissa;
  const exact = quotient * right.mantissa === numerator;
  return rounded(negative, quotient, left.exponent - right.exponent - shift, precision, !exact);
}

/** The integer next to it towards zero. */
export function truncated({ negative, mantissa, exponent }: BigFloat): bigint {
  const magnitude = exponent >= 0 ? mantissa << BigInt(exponent) : mantissa >> BigInt(-exponent);
  return negative ? -magnitude : magnitude;
}

export function isWhole({ mantissa, exponent }: BigFloat): boolean {
  return exponent >= 0 || BigInt.asUintN(-exponent, mantissa) === 0n;
}

/** How many bits the integer part has; negative for small fractions. */
export function magnitudeOf({ mantissa, exponent }: BigFloat): number {
  return mantissa === 0n ? 0 : bitLength(mantissa) + exponent;
}

function aligned({ negative, mantissa, exponent }: BigFloat, to: number): bigint {
  const magnitude = mantissa << BigInt(exponent - to);
  return negative ? -magnitude : magnitude;
}

const double = new Float64Array(1);
const words = new Uint32Array(double.buffer);
const MOST_BITS_OF_DOUBLE = 1_000;

/** Of a number that is not negative; 0 for 0. */
export function bitLength(value: bigint): number {
  const nearest = Number(value);
  if (nearest < 2 ** 32) return 32 - Math.clz32(nearest);
  if (nearest < 2 ** MOST_BITS_OF_DOUBLE) {
    double[0] = nearest;
    const bits = ((words[1] ?? 0) >>> 20) - 1022;
    // The nearest double may be the power of two above.
    return value >> BigInt(bits - 1) === 0n ? bits - 1 : bits;
  }
  const digits = value.toString(16);
  return digits.length * 4 - Math.clz32(Number.parseInt(digits.charAt(0), 16)) + 28;
}

/** The greatest power of five below 2^64. */
const EXACT_POWERS = 27;
const POWER_PRECISION = PRECISION + 64;
const SQUARE_PRECISION = POWER_PRECISION + 64;
const KNOWN_POWERS = 1_024;
const powers: BigFloat[] = [];

function powerOfFive(exponent: number): BigFloat {
  const known = powers[exponent];
  if (known !== undefined) return known;
  const power = computePowerOfFive(exponent);
  if (exponent < KNOWN_POWERS) powers[exponent] = power;
  return power;
}

/** Rounded at the same places as Go's, which no longer power is exact in. */
function computePowerOfFive(exponent: number): BigFloat {
  const exact = 5n ** BigInt(Math.min(exponent, EXACT_POWERS));
  let power: BigFloat = { negative: false, mantissa: exact, exponent: 0, precision: POWER_PRECISION };
  let square: BigFloat = { negative: false, mantissa: 5n, exponent: 0, precision: SQUARE_PRECISION };
  for (let left = Math.max(0, exponent - EXACT_POWERS); left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) power = multiplied(power, square, POWER_PRECISION);
    square = multiplied(square, square, SQUARE_PRECISION);
  }
  return power;
}
