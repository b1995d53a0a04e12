import { isPlainNumber, LONGEST_DOUBLE, numberEnd, readJson, stringEnd } from './json-reader.ts';
import { numberOf } from './number.ts';
import type { Value } from './value.ts';

/** Arrays and objects within each other. */
const DEEPEST = 1_000;

/**
 * JSON text as a value; `undefined` when it is not exactly one JSON document (RFC 8259), when it is nested more than
 * 1,000 deep, or has a number beyond what OPA takes, about 10^±30,102. Every digit of numbers is kept, of two equal
 * keys the last counts, and half a surrogate pair becomes U+FFFD.
 *
 * Linear. What `JSON.parse` reads exactly costs 1.2 to 2.7 times as much as it takes (100 kB of chat completion 2.5, of
 * embeddings 6); else a second reader follows: 100 kB of chat with one such number 2.6, of long numbers 3, of exponents 6,
 * of short escaped texts 8 times, and twice the time of `JSON.parse` for what it is slowest at, ever new keys.
 */
export function parseJson(text: string): Value | undefined {
  const wellFormed = text.toWellFormed();
  try {
    const found = survey(wellFormed);
    if (found === 'too_deep') return undefined;
    // What JSON.parse makes are values but for the numbers and texts that the survey looks for.
    const value = JSON.parse(wellFormed) as Value;
    return found === 'plain' ? value : readJson(wellFormed);
  } catch {
    return undefined;
  }
}

/** Whether the text is exactly one JSON document, nested no deeper; its numbers may be any. */
export function isJson(text: string): boolean {
  try {
    if (survey(text) === 'too_deep') return false;
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** A `\u` escape of half a surrogate pair whose other half is not beside it. */
const HALF_PAIR = /\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]/;

/** Whether JSON.parse would lose something. Judges what is no JSON as it comes. */
function survey(text: string): 'plain' | 'special' | 'too_deep' {
  let backslash = text.indexOf('\\');
  let special = backslash >= 0 && HALF_PAIR.test(text);
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 0x22) {
      const start = at;
      at = stringEnd(text, at + 1);
      if (at < 0) return 'plain';
      if (backslash >= 0 && backslash < start) backslash = text.indexOf('\\', start);
      special ||= backslash >= 0 && backslash < at && isKey(text, at + 1);
    } else if (unit === 0x7b || unit === 0x5b) {
      depth += 1;
      if (depth > DEEPEST) return 'too_deep';
    } else if (unit === 0x7d || unit === 0x5d) {
      depth -= 1;
    } else if (unit === 0x2d || (unit >= 0x30 && unit <= 0x39)) {
      const end = numberEnd(text, at + 1);
      special ||= !isPlainNumber(text, at, end) && (end - at > LONGEST_DOUBLE || !isDouble(text.slice(at, end)));
      at = end - 1;
    }
  }
  return special ? 'special' : 'plain';
}

/**
 * Whether what ends there is a key: V8's `JSON.parse` can take a key with an escape for one of an earlier text
 * (nodejs/node#63785), so such an object is read here.
 */
function isKey(text: string, end: number): boolean {
  let at = end;
  while (text.charCodeAt(at) <= 0x20) at++;
  return text.charCodeAt(at) === 0x3a;
}

function isDouble(text: string): boolean {
  return typeof numberOf(text) === 'number';
}
