import { randomUUID } from 'node:crypto';
import { isObject } from '../decision/json.ts';
import { BundleError } from './errors.ts';

/** Reads UTF-8 JSON of a member; a bad one is a `BundleError` that names it. */
export function parseJson(name: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(UTF8.decode(bytes));
  } catch (error) {
    throw new BundleError('bundle_invalid', `\`${name}\` is not valid JSON in UTF-8`, { cause: error });
  }
}

/**
 * Like {@link parseJson}, but a number that JavaScript cannot hold keeps its text through `JSON.stringify`. Not by a
 * reviver: that one takes microseconds for each value, and a bundle may have millions.
 */
export function parseExactJson(name: string, bytes: Uint8Array): unknown {
  const value = parseJson(name, bytes);
  const text = UTF8.decode(bytes);
  const mark = `${randomUUID()} `;
  const marked = markInexactNumbers(text, mark);
  return marked === text ? value : unmarkNumbers(JSON.parse(marked), mark);
}

/** Whether it is a number that {@link parseExactJson} kept by its text. */
export function isRawJson(value: unknown): boolean {
  return rawJson.isRawJSON(value);
}

/** Defined, not assigned: `__proto__` is a key like any other. */
export function put(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** V8's raw JSON (https://github.com/tc39/proposal-json-parse-with-source), not yet in TypeScript's library. */
interface RawJsonSupport {
  rawJSON(text: string): unknown;
  isRawJSON(value: unknown): boolean;
}

// Node 24 has both; `engines` in package.json demands it.
const rawJson = JSON as unknown as RawJsonSupport;

/** Puts each number of a valid JSON text that JavaScript would write otherwise into a text that begins with `mark`. */
function markInexactNumbers(text: string, mark: string): string {
  const parts: string[] = [];
  let copied = 0;
  for (let at = 0; at < text.length; ) {
    const code = text.charCodeAt(at);
    if (code !== MINUS && !isDigit(code)) {
      at = code === QUOTE ? endOfText(text, at) : at + 1;
      continue;
    }
    const end = endOfNumber(text, at);
    if (!isExact(text, at, end)) {
      parts.push(text.slice(copied, at), JSON.stringify(`${mark}${text.slice(at, end)}`));
      copied = end;
    }
    at = end;
  }
  // Two parts each.
  if (parts.length > 2 * MAX_INEXACT_NUMBERS) {
    throw new BundleError('bundle_too_large', `it has more than ${MAX_INEXACT_NUMBERS} numbers such as \`1.0\``);
  }
  return copied === 0 ? text : parts.join('') + text.slice(copied);
}

/** Each takes microseconds. */
const MAX_INEXACT_NUMBERS = 250_000;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const ZERO = 0x30;
/** What begins with neither a minus nor a zero and has so many digits is held by a double, and written as it was. */
const SAFE_DIGITS = 15;

function isDigit(code: number): boolean {
  return code >= ZERO && code <= ZERO + 9;
}

function endOfText(text: string, start: number): number {
  let at = start + 1;
  for (let code = text.charCodeAt(at); code !== QUOTE; code = text.charCodeAt(at)) at += code === BACKSLASH ? 2 : 1;
  return at + 1;
}

function endOfNumber(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && NUMBER_CODES.has(text.charCodeAt(at))) at += 1;
  return at;
}

const NUMBER_CODES = new Set(Array.from('0123456789.eE+-', (character) => character.charCodeAt(0)));

function isExact(text: string, start: number, end: number): boolean {
  const first = text.charCodeAt(start);
  if (end - start === 1) return true;
  if (first !== MINUS && first !== ZERO && end - start <= SAFE_DIGITS) {
    let at = start + 1;
    while (at < end && isDigit(text.charCodeAt(at))) at += 1;
    if (at === end) return true;
  }
  const token = text.slice(start, end);
  return String(Number(token)) === token;
}

function unmarkNumbers(value: unknown, mark: string): unknown {
  if (typeof value === 'string') return value.startsWith(mark) ? rawJson.rawJSON(value.slice(mark.length)) : value;
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at += 1) value[at] = unmarkNumbers(value[at], mark);
  } else if (isObject(value)) {
    for (const [key, inner] of Object.entries(value)) {
      const unmarked = unmarkNumbers(inner, mark);
      if (unmarked !== inner) put(value, key, unmarked);
    }
  }
  return value;
}
