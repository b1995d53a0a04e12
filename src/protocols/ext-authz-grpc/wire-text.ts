import { isUtf8 } from 'node:buffer';

/** The text of these bytes, `undefined` when they are no UTF-8. */
export function readText(buffer: Buffer, from: number, until: number): string | undefined {
  const ascii = until - from < SHORT ? shortAscii(buffer, from, until) : undefined;
  if (ascii !== undefined) return ascii;
  const sent = buffer.subarray(from, until);
  return isUtf8(sent) ? sent.toString('utf8') : undefined;
}

/**
 * The same for the key of a map: few are ever seen and the same again and again, so short ones are kept and found
 * again by a hash of their bytes, which spares making and hashing the text.
 */
export function readName(buffer: Buffer, from: number, until: number): string | undefined {
  const length = until - from;
  if (length > LONGEST_NAME) return readText(buffer, from, until);
  let hash = length;
  for (let at = from; at < until; at++) hash = (Math.imul(hash, 31) + (buffer[at] ?? 0)) | 0;
  const slot = (hash ^ (hash >>> 11)) & (NAME_SLOTS - 1);
  const known = NAMES[slot] ?? '';
  if (known.length === length && isSame(known, buffer, from)) return known;
  const name = readText(buffer, from, until);
  if (name !== undefined) NAMES[slot] = name;
  return name;
}

/** Bounded whatever callers send: a name that falls on another's slot takes its place. */
const NAME_SLOTS = 1024;
const LONGEST_NAME = 48;
const NAMES: string[] = new Array<string>(NAME_SLOTS).fill('');

/** Below this many bytes, building a text here beats calling out of JavaScript (measured: 48 texts of 1.3 kB, 2.4 µs). */
const SHORT = 64;

/** Whether the bytes are this text, which is only true of ASCII. */
function isSame(text: string, buffer: Uint8Array, from: number): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code !== buffer[from + index] || code >= 0x80) return false;
  }
  return true;
}

/**
 * The text of a short run of ASCII bytes, `undefined` when there is another byte among them. Eight at a time, because
 * each step makes a string; `?? 0` only tells the type checker that the index is in range.
 */
function shortAscii(buffer: Uint8Array, from: number, until: number): string | undefined {
  let text = '';
  let at = from;
  for (; at + 8 <= until; at += 8) {
    const a = buffer[at] ?? 0;
    const b = buffer[at + 1] ?? 0;
    const c = buffer[at + 2] ?? 0;
    const d = buffer[at + 3] ?? 0;
    const e = buffer[at + 4] ?? 0;
    const f = buffer[at + 5] ?? 0;
    const g = buffer[at + 6] ?? 0;
    const h = buffer[at + 7] ?? 0;
    if ((a | b | c | d | e | f | g | h) >= 0x80) return undefined;
    text += String.fromCharCode(a, b, c, d, e, f, g, h);
  }
  for (; at < until; at++) {
    const a = buffer[at] ?? 0;
    if (a >= 0x80) return undefined;
    text += String.fromCharCode(a);
  }
  return text;
}
