import { type BigFloat, bitLength, isWhole } from './big-float.ts';

/** The shortest decimal that rounds to the number, as OPA prints it: without an exponent only where that is short. */
export function bigFloatText(value: BigFloat): string {
  const sign = value.negative ? '-' : '';
  if (value.mantissa === 0n) return `${sign}0`;
  const { digits, scale } = shortest(value);
  if (isWhole(value)) return sign + digits.padEnd(scale, '0');
  const exponent = scale - 1;
  if (exponent < -4 || exponent >= SHORT_EXPONENT) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
    const size = String(Math.abs(exponent)).padStart(2, '0');
    return `${sign}${digits.charAt(0)}${fraction}e${exponent < 0 ? '-' : '+'}${size}`;
  }
  if (scale <= 0) return `${sign}0.${'0'.repeat(-scale)}${digits}`;
  return digits.length > scale
    ? `${sign}${digits.slice(0, scale)}.${digits.slice(scale)}`
    : sign + digits.padEnd(scale, '0');
}

/** From this exponent on a fraction is written with one. */
const SHORT_EXPONENT = 6;

/** 0.digits × 10^scale, without zeros at the end of the digits. */
interface Decimal {
  readonly digits: string;
  readonly scale: number;
}

/**
 * Compares the digits of the number with those of the two bounds between which all decimals round to it, place by place
 * (so not by value where a bound has one digit more), and stops where rounding up or down stays between them.
 */
function shortest({ mantissa, exponent, precision }: BigFloat): Decimal {
  // One bit more than the precision, so that 1 is half of the last place.
  const shift = precision + 1 - bitLength(mantissa);
  const middle = shift >= 0 ? mantissa << BigInt(shift) : mantissa >> BigInt(-shift);
  const power = exponent - shift;
  const inclusive = (middle & 2n) === 0n;
  // The bounds differ from the number in a digit that the precision cannot hold: none is needed beyond.
  const places = Math.ceil(precision * DIGITS_OF_BIT) + SPARE_DIGITS - Math.floor((precision + power) * DIGITS_OF_BIT);
  const value = leadingDigits(middle, power, places);
  const lower = leadingDigits(middle - 1n, power, places).digits;
  const upper = leadingDigits(middle + 1n, power, places).digits;
  for (let at = 0; at < value.digits.length; at++) {
    const digit = value.digits.charCodeAt(at);
    const above = digitAt(upper, at);
    const mayCut = digitAt(lower, at) !== digit || (inclusive && at + 1 === lower.length);
    const mayRaise = digit !== above && (inclusive || digit + 1 < above || at + 1 < upper.length);
    if (mayCut && mayRaise) return isNearerAbove(value.digits, at + 1) ? raised(value, at + 1) : cut(value, at + 1);
    if (mayCut) return cut(value, at + 1);
    if (mayRaise) return raised(value, at + 1);
  }
  return value;
}

const DIGITS_OF_BIT = Math.LOG10E * Math.LN2;
const SPARE_DIGITS = 4;
const ZERO = 0x30;
const FIVE = 0x35;
const NINE = 0x39;

function digitAt(digits: string, at: number): number {
  return at < digits.length ? digits.charCodeAt(at) : ZERO;
}

/** mantissa × 2^exponent to so many places behind the point; a 1 stands for all that is beyond them. */
function leadingDigits(mantissa: bigint, exponent: number, places: number): Decimal {
  const shift = exponent + places;
  const power = powerOfFive(Math.abs(places));
  const numerator = (places >= 0 ? mantissa * power : mantissa) << BigInt(Math.max(0, shift));
  const denominator = (places >= 0 ? 1n : power) << BigInt(Math.max(0, -shift));
  const quotient = places >= 0 ? numerator >> BigInt(Math.max(0, -shift)) : numerator / denominator;
  const digits = quotient.toString();
  const exact = quotient * denominator === numerator;
  return { digits: exact ? withoutZeros(digits) : `${digits}1`, scale: digits.length - places };
}

const KNOWN_POWERS = 400;
const powers: bigint[] = [];

function powerOfFive(exponent: number): bigint {
  if (exponent >= KNOWN_POWERS) return 5n ** BigInt(exponent);
  const power = powers[exponent] ?? 5n ** BigInt(exponent);
  powers[exponent] = power;
  return power;
}

function withoutZeros(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits.charCodeAt(end - 1) === ZERO) end--;
  return digits.slice(0, end);
}

/** Halves go to the even digit. */
function isNearerAbove(digits: string, count: number): boolean {
  const next = digits.charCodeAt(count);
  if (next === FIVE && count + 1 === digits.length) return (digits.charCodeAt(count - 1) & 1) === 1;
  return next >= FIVE;
}

function cut({ digits, scale }: Decimal, count: number): Decimal {
  return { digits: withoutZeros(digits.slice(0, count)), scale };
}

function raised(value: Decimal, count: number): Decimal {
  const { digits, scale } = value;
  if (count >= digits.length) return value;
  let end = count;
  while (end > 0 && digits.charCodeAt(end - 1) === NINE) end--;
  if (end === 0) return { digits: '1', scale: scale + 1 };
  return { digits: digits.slice(0, end - 1) + String.fromCharCode(digits.charCodeAt(end - 1) + 1), scale };
}
