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
  const value = exactDecimal(middle, power);
  const lower = exactDecimal(middle - 1n, power);
  const upper = exactDecimal(middle + 1n, power);
  const inclusive = (middle & 2n) === 0n;
  for (let at = 0; at < value.digits.length; at++) {
    const digit = value.digits.charCodeAt(at);
    const above = digitAt(upper.digits, at);
    const mayCut = digitAt(lower.digits, at) !== digit || (inclusive && at + 1 === lower.digits.length);
    const mayRaise = digit !== above && (inclusive || digit + 1 < above || at + 1 < upper.digits.length);
    if (mayCut && mayRaise) return isNearerAbove(value.digits, at + 1) ? raised(value, at + 1) : cut(value, at + 1);
    if (mayCut) return cut(value, at + 1);
    if (mayRaise) return raised(value, at + 1);
  }
  return value;
}

const ZERO = 0x30;
const FIVE = 0x35;
const NINE = 0x39;

function digitAt(digits: string, at: number): number {
  return at < digits.length ? digits.charCodeAt(at) : ZERO;
}

function exactDecimal(mantissa: bigint, exponent: number): Decimal {
  const all = (exponent >= 0 ? mantissa << BigInt(exponent) : mantissa * powerOfFive(-exponent)).toString();
  return { digits: withoutZeros(all), scale: all.length - Math.max(0, -exponent) };
}

const KNOWN_POWERS = 256;
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
