import { numberOf } from './number.ts';
import { define } from './object.ts';
import type { NumberValue, PlainObject, Value } from './value.ts';

/** Arrays and objects within each other. */
const DEEPEST = 1_000;

/**
 * JSON text as a value; `undefined` when it is not exactly one JSON document (RFC 8259), when it is nested more than
 * 1,000 deep, or has a number beyond what OPA takes, about 10^±30,102. Every digit of numbers is kept, of two equal
 * keys the last counts, and half a surrogate pair becomes U+FFFD.
 */
export function parseJson(text: string): Value | undefined {
  const wellFormed = text.toWellFormed();
  try {
    switch (survey(wellFormed)) {
      case 'plain':
        // What JSON.parse makes are values but for the numbers and texts that the survey looks for.
        return JSON.parse(wellFormed) as Value;
      case 'special':
        return createReader(wellFormed).document();
      case 'too_deep':
        return undefined;
    }
  } catch {
    return undefined;
  }
}

/** A `\\u` escape of half a surrogate pair whose other half is not beside it. */
const HALF_PAIR =
  /\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]/;

/** Whether JSON.parse would lose something. Judges what is no JSON as it comes. */
function survey(text: string): 'plain' | 'special' | 'too_deep' {
  let special = (text.includes('\\ud') || text.includes('\\uD')) && HALF_PAIR.test(text);
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 0x22) {
      do {
        at = text.indexOf('"', at + 1);
        if (at < 0) return 'plain';
      } while (text.charCodeAt(at - 1) === 0x5c && isEscaped(text, at));
    } else if (unit === 0x7b || unit === 0x5b) {
      depth += 1;
      if (depth > DEEPEST) return 'too_deep';
    } else if (unit === 0x7d || unit === 0x5d) {
      depth -= 1;
    } else if (unit === 0x2d || (unit >= 0x30 && unit <= 0x39)) {
      const end = numberEnd(text, at + 1);
      special ||= !isPlainNumber(text, at, end);
      at = end - 1;
    }
  }
  return special ? 'special' : 'plain';
}

function isEscaped(text: string, quote: number): boolean {
  let start = quote;
  while (text.charCodeAt(start - 1) === 0x5c) start--;
  return (quote - start) % 2 === 1;
}

/** Behind the last of the characters that numbers consist of. */
function numberEnd(text: string, from: number): number {
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
function isPlainNumber(text: string, start: number, end: number): boolean {
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

interface Reader {
  /** Throws a `SyntaxError`. */
  document(): Value;
}

function createReader(text: string): Reader {
  let at = 0;

  function fail(): never {
    throw new SyntaxError('no JSON');
  }

  /** The first character that is no space, to which it goes. */
  function next(): number {
    let unit = text.charCodeAt(at);
    while (unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09) unit = text.charCodeAt(++at);
    return unit;
  }

  function value(): Value {
    const unit = next();
    if (unit === 0x22) return string();
    if (unit === 0x7b) return object();
    if (unit === 0x5b) return array();
    if (unit === 0x74) return word('true', true);
    if (unit === 0x66) return word('false', false);
    if (unit === 0x6e) return word('null', null);
    return number();
  }

  function word(spelled: string, meant: boolean | null): boolean | null {
    if (!text.startsWith(spelled, at)) fail();
    at += spelled.length;
    return meant;
  }

  function string(): string {
    const start = ++at;
    for (;;) {
      const unit = text.charCodeAt(at++);
      if (unit === 0x22) return text.slice(start, at - 1);
      if (unit === 0x5c) break;
      if (!(unit >= 0x20)) fail();
    }
    do {
      at = text.indexOf('"', at) + 1;
      if (at === 0) fail();
    } while (text.charCodeAt(at - 2) === 0x5c && isEscaped(text, at - 1));
    // What is quoted is a text.
    return (JSON.parse(text.slice(start - 1, at)) as string).toWellFormed();
  }

  function number(): NumberValue {
    const start = at;
    at = numberEnd(text, at);
    return jsonNumber(text.slice(start, at)) ?? fail();
  }

  function array(): readonly Value[] {
    const items: Value[] = [];
    at++;
    if (next() === 0x5d) {
      at++;
      return items;
    }
    for (;;) {
      items.push(value());
      const unit = next();
      at++;
      if (unit === 0x5d) return items;
      if (unit !== 0x2c) fail();
    }
  }

  function object(): PlainObject {
    const members: PlainObject = {};
    at++;
    if (next() === 0x7d) {
      at++;
      return members;
    }
    for (;;) {
      if (next() !== 0x22) fail();
      const key = string();
      if (next() !== 0x3a) fail();
      at++;
      define(members, key, value());
      const unit = next();
      at++;
      if (unit === 0x7d) return members;
      if (unit !== 0x2c) fail();
    }
  }

  return {
    document() {
      const result = value();
      next();
      return at === text.length ? result : fail();
    },
  };
}

const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:[.][0-9]+)?(?:[eE][-+]?[0-9]+)?$/;

function jsonNumber(text: string): NumberValue | undefined {
  return NUMBER.test(text) && isInRange(text) ? numberOf(text) : undefined;
}

/** The greatest binary exponent that OPA's numbers have, as a decimal one. */
const GREATEST_EXPONENT = 100_000 * Math.log10(2);

function isInRange(text: string): boolean {
  const mark = text.search(/[eE]/);
  if (mark < 0) return true;
  const exponent = Number(text.slice(mark + 1));
  if (mark + Math.abs(exponent) <= 25_000) return true;
  const mantissa = text.slice(0, mark).replace('-', '');
  const digits = mantissa.replace('.', '');
  const first = digits.search(/[1-9]/);
  if (first < 0) return true;
  const point = mantissa.indexOf('.');
  const scale = (point < 0 ? mantissa.length : point) - first + exponent;
  const magnitude = scale + Math.log10(Number(`0.${digits.slice(first, first + 17)}`));
  return magnitude <= GREATEST_EXPONENT && magnitude > -GREATEST_EXPONENT - 0.30103;
}
