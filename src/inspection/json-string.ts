import { Buffer } from 'node:buffer';

/**
 * The text of a JSON string that was validated, from its opening quote to behind its closing one; surrogates without
 * a partner become U+FFFD, as every UTF-8 reader has them.
 */
export function decodeJsonString(bytes: Uint8Array, start: number, end: number, escaped: boolean): string {
  const view = asBuffer(bytes);
  if (!escaped) return view.toString('utf8', start + 1, end - 1);
  // Never a whole object: some V8 releases misread an object's escaped keys (nodejs/node#63785).
  const text: unknown = JSON.parse(view.toString('utf8', start, end));
  return typeof text === 'string' ? text.toWellFormed() : '';
}

/** The same memory as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The value of four hexadecimal digits, -1 when they are none. */
export function hexQuad(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let i = at; i < at + 4; i++) {
    const byte = bytes[i] ?? 0;
    const lower = byte | 0x20;
    if (byte >= 0x30 && byte <= 0x39) value = value * 16 + byte - 0x30;
    else if (lower >= 0x61 && lower <= 0x66) value = value * 16 + lower - 0x57;
    else return -1;
  }
  return value;
}

export function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/** Whether the key whose quotes stand at `start` and before `end` is `__proto__`, however it is escaped. */
export function isProtoKey(bytes: Uint8Array, start: number, end: number, escaped: boolean): boolean {
  const length = end - start;
  if (escaped) return length <= LONGEST_PROTO && decodeJsonString(bytes, start, end, true) === '__proto__';
  if (length !== PROTO.length) return false;
  for (let i = 1; i < length; i++) if (bytes[start + i] !== PROTO[i]) return false;
  return true;
}

const PROTO = Buffer.from('"__proto__"');
/** Each of its nine characters as `\\u005f`. */
const LONGEST_PROTO = 9 * 6 + 2;

/** 1 for the bytes that a JSON string cannot simply hold: its quote, the backslash and control characters. */
const SPECIAL = new Uint8Array(256);
SPECIAL.fill(1, 0, 0x20);
SPECIAL[0x22] = SPECIAL[0x5c] = 1;

/** The first special byte at or after a place, the length when there is none: most bytes are passed over here. */
export function plainEnd(bytes: Uint8Array, from: number): number {
  const end = bytes.length;
  let i = from;
  // Inside of the bounds a byte is never absent, and the table has an entry for each.
  while (i < end && SPECIAL[bytes[i] as number] === 0) i++;
  return i;
}
