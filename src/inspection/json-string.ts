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
