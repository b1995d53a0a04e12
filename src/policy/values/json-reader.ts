import { numberOf, RegoNumber } from './number.ts';
import { define } from './object.ts';
import type { NumberValue, PlainObject, Value } from './value.ts';

/** What is JSON, and not nested too deep for recursion, as a value. Throws a `RangeError` for a number that OPA refuses. */
export function readJson(text: string): Value {
  let at = 0;

  /** The first character that is no space, to which it goes. */
  function next(): number {
    let unit = text.charCodeAt(at);
    while (unit <= 0x20) unit = text.charCodeAt(++at);
    return unit;
  }

  function value(): Value {
    switch (next()) {
      case 0x22:
        return string();
      case 0x7b:
        return object();
      case 0x5b:
        return array();
      case 0x74:
        at += 4;
        return true;
      case 0x66:
        at += 5;
        return false;
      case 0x6e:
        at += 4;
        return null;
      default:
        return number();
    }
  }

  function string(): string {
    const start = at + 1;
    const end = stringEnd(text, start);
    at = end + 1;
    const raw = text.slice(start, end);
    // What is quoted is a text.
    return raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string).toWellFormed() : raw;
  }

  function number(): NumberValue {
    const start = at;
    let integer = 0;
    let unit = text.charCodeAt(at);
    while (unit >= 0x30 && unit <= 0x39) {
      integer = integer * 10 + unit - 0x30;
      unit = text.charCodeAt(++at);
    }
    if (at > start && at - start <= KEPT_DIGITS && unit !== 0x2e && (unit & 0xdf) !== 0x45) return integer;
    at = numberEnd(text, Math.max(at, start + 1));
    const spelled = text.slice(start, at);
    return isPlainNumber(text, start, at) ? Number(spelled) : longNumber(spelled);
  }

  function array(): readonly Value[] {
    const items: Value[] = [];
    at++;
    if (next() === 0x5d) at++;
    else {
      do items.push(value());
      while (separator());
    }
    return items;
  }

  function object(): PlainObject {
    const members: PlainObject = {};
    at++;
    if (next() === 0x7d) at++;
    else {
      do {
        next();
        const key = string();
        next();
        at++;
        define(members, key, value());
      } while (separator());
    }
    return members;
  }

  /** Whether it is a comma, and no end. */
  function separator(): boolean {
    const unit = next();
    at++;
    return unit === 0x2c;
  }

  return value();
}

/** The quote that ends the string of which the first character stands there, -1 where there is none. */
export function stringEnd(text: string, start: number): number {
  let end = text.indexOf('"', start);
  while (end > 0 && text.charCodeAt(end - 1) === 0x5c && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end;
}

function isEscaped(text: string, quote: number): boolean {
  let start = quote;
  while (text.charCodeAt(start - 1) === 0x5c) start--;
  return (quote - start) % 2 === 1;
}

/** Behind the last of the characters that numbers consist of. */
export function numberEnd(text: string, from: number): number {
  for (let at = from; ; at++) {
    const unit = text.charCodeAt(at);
    const belongs = (unit >= 0x30 && unit <= 0x39) || unit === 0x2e || unit === 0x2d || unit === 0x2b;
    // `E` and `e`.
    if (!belongs && (unit & 0xdf) !== 0x45) return at;
  }
}

/** Digits that every double keeps. */
const KEPT_DIGITS = 15;

/** Whether the number is surely one that `String` prints as it is written here. */
export function isPlainNumber(text: string, start: number, end: number): boolean {
  if (end - start > KEPT_DIGITS) return false;
  let point = -1;
  let zero = true;
  for (let at = start; at < end; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 0x2e) point = at;
    else if (unit >= 0x31 && unit <= 0x39) zero = false;
    else if (unit !== 0x30 && at > start) return false;
  }
  if (point < 0) return !zero || text.charCodeAt(start) !== 0x2d;
  // A double below a millionth is printed with an exponent.
  return !zero && text.charCodeAt(end - 1) !== 0x30 && !text.startsWith('.00000', point);
}

/** No double is printed in more characters. */
export const LONGEST_DOUBLE = 25;

function longNumber(text: string): NumberValue {
  const mark = text.search(/[eE]/);
  if (mark < 0) return text.length > LONGEST_DOUBLE ? new RegoNumber(text) : numberOf(text);
  if (!isInRange(text, mark)) throw new RangeError('the exponent of a number is too great');
  const sign = text.charCodeAt(mark + 1);
  // `String` prints an exponent as `e+21` or `e-7` only.
  return sign === 0x2b || sign === 0x2d ? numberOf(text) : new RegoNumber(text);
}

/** The greatest binary exponent of OPA's numbers, as a decimal one. */
const GREATEST_EXPONENT = 100_000 * Math.log10(2);

function isInRange(text: string, mark: number): boolean {
  const exponent = Number(text.slice(mark + 1));
  if (mark + Math.abs(exponent) <= 25_000) return true;
  const mantissa = text.slice(0, mark).replace('-', '');
  const digits = mantissa.replace('.', '');
  const first = digits.search(/[1-9]/);
  if (first < 0) return true;
  const point = mantissa.indexOf('.');
  const scale = (point < 0 ? mantissa.length : point) - first + exponent;
  const magnitude = scale + Math.log10(Number(`0.${digits.slice(first, first + 17)}`));
  return magnitude <= GREATEST_EXPONENT && magnitude > -GREATEST_EXPONENT - Math.log10(2);
}
