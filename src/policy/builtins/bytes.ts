import { isUtf8 } from 'node:buffer';

/**
 * Decoded bytes as a text. OPA's texts are bytes, ours are Unicode: a byte that is no UTF-8 becomes the lone surrogate
 * U+DC00 + byte, which no other text holds, so that different bytes never look alike to the policy and {@link toBytes}
 * brings them back. Wherever texts are printed it is U+FFFD, as Go prints such a byte.
 */
export function toText(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isUtf8(buffer)) return buffer.toString('utf8');
  let text = '';
  let plainFrom = 0;
  for (let at = 0; at < buffer.length; ) {
    const length = sequenceLength(buffer, at);
    if (length === 0) {
      text += buffer.toString('utf8', plainFrom, at) + String.fromCharCode(0xdc00 + (buffer[at] ?? 0));
      plainFrom = at + 1;
    }
    at += length || 1;
  }
  return text + buffer.toString('utf8', plainFrom);
}

/** The bytes that a text stands for. */
export function toBytes(text: string): Buffer {
  if (text.isWellFormed()) return Buffer.from(text, 'utf8');
  const parts: Buffer[] = [];
  let plainFrom = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit >= 0xd800 && unit <= 0xdbff && isLow(text.charCodeAt(at + 1))) at++;
    else if (isLow(unit)) {
      parts.push(Buffer.from(text.slice(plainFrom, at), 'utf8'), Buffer.of(unit & 0xff));
      plainFrom = at + 1;
    }
  }
  parts.push(Buffer.from(text.slice(plainFrom), 'utf8'));
  return Buffer.concat(parts);
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

/** How many bytes the character that begins there has, 0 where none does. */
function sequenceLength(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  return length > 0 && at + length <= bytes.length && isUtf8(bytes.subarray(at, at + length)) ? length : 0;
}
