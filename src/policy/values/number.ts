import type { NumberValue, Value } from './value.ts';
import { countWork } from './work.ts';

/** A number that is not a `number` by the invariant of `Value`: it is its text, as JSON writes numbers. */
export class RegoNumber {
  readonly #text: string;

  /** Through {@link numberOf} only, which keeps the invariant. */
  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

/** The number that a JSON number's text means; the text is kept where it matters. */
export function numberOf(text: string): NumberValue {
  const value = Number(text);
  return String(value) === text && (!Number.isInteger(value) || Number.isSafeInteger(value))
    ? value
    : new RegoNumber(text);
}

/** The number of an integer of any size. */
export function numberOfBigInt(value: bigint): NumberValue {
  return value >= -MAX_SAFE && value <= MAX_SAFE ? Number(value) : new RegoNumber(value.toString());
}

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/** A double as a number: the decimal that `String` prints of it. Throws a `RangeError` for what is no number. */
export function numberOfDouble(value: number): NumberValue {
  if (Number.isSafeInteger(value)) return value === 0 ? 0 : value;
  if (!Number.isFinite(value)) throw new RangeError('no number');
  return numberOf(String(value));
}

export function isNumber(value: Value | undefined): value is NumberValue {
  return typeof value === 'number' || value instanceof RegoNumber;
}

/** The text that OPA prints of it. */
export function numberText(value: NumberValue): string {
  return typeof value === 'number' ? String(value) : value.toString();
}

/** The nearest double. */
export function toDouble(value: NumberValue): number {
  return typeof value === 'number' ? value : Number(value.toString());
}

const INTEGER = /^-?[0-9]+$/;

/** The integer that its text spells, `undefined` where there is a fraction or an exponent, even an empty one, as in OPA. */
export function toBigInt(value: NumberValue): bigint | undefined {
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : undefined;
  const text = value.toString();
  return INTEGER.test(text) ? BigInt(text) : undefined;
}

/** By value: 1, 1.0 and 1e0 are equal, and so are 0 and -0. Exact at any size. */
export function compareNumbers(left: NumberValue, right: NumberValue): number {
  if (typeof left === 'number' && typeof right === 'number') return left < right ? -1 : left > right ? 1 : 0;
  const a = toDecimal(numberText(left));
  const b = toDecimal(numberText(right));
  if (a.sign !== b.sign) return a.sign - b.sign;
  return a.sign * compareMagnitudes(a, b);
}

/** One key for all numbers that are equal: a `number` where there is one, else a text. */
export function numberKey(value: NumberValue): number | string {
  if (typeof value === 'number') return value;
  const text = value.toString();
  const normal = normalText(toDecimal(text));
  const double = Number(text);
  if (Number.isFinite(double) && (!Number.isInteger(double) || Number.isSafeInteger(double))) {
    if (normalText(toDecimal(String(double))) === normal) return double === 0 ? 0 : double;
  }
  return normal;
}

/** sign × 0.digits × 10^scale; no zeros at either end of the digits, and none for zero. */
interface Decimal {
  readonly sign: number;
  readonly digits: string;
  readonly scale: number;
}

const ZERO: Decimal = { sign: 0, digits: '', scale: 0 };

function toDecimal(text: string): Decimal {
  if (text.length >= 64) countWork(text.length >>> 2);
  const negative = text.charCodeAt(0) === 0x2d;
  const start = negative ? 1 : 0;
  let end = text.search(/[eE]/);
  const exponent = end < 0 ? 0 : Number(text.slice(end + 1));
  if (end < 0) end = text.length;
  const point = text.indexOf('.');
  const integer = text.slice(start, point < 0 ? end : point);
  const all = point < 0 ? integer : integer + text.slice(point + 1, end);
  let first = 0;
  while (first < all.length && all.charCodeAt(first) === 0x30) first++;
  if (first === all.length) return ZERO;
  let last = all.length;
  while (all.charCodeAt(last - 1) === 0x30) last--;
  return { sign: negative ? -1 : 1, digits: all.slice(first, last), scale: integer.length - first + exponent };
}

function normalText({ sign, digits, scale }: Decimal): string {
  return `${sign < 0 ? '-' : ''}.${digits}e${scale}`;
}

function compareMagnitudes(a: Decimal, b: Decimal): number {
  if (a.scale !== b.scale) return a.scale < b.scale ? -1 : 1;
  return a.digits < b.digits ? -1 : a.digits > b.digits ? 1 : 0;
}
