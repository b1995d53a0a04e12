import { Buffer, isUtf8 } from 'node:buffer';

/**
 * Decodes percent escapes strictly, `undefined` for a bad one. `plus`: whether `+` stands for a space. Bytes that are
 * no UTF-8 become one U+FFFD each, as Go prints them.
 */
export function percentDecode(text: string, plus: boolean): string | undefined {
  if (!text.includes('%')) return plus && text.includes('+') ? text.replaceAll('+', ' ') : text;
  const source = Buffer.from(text, 'utf8');
  let length = 0;
  for (let i = 0; i < source.length; i++) {
    let byte = source[i] ?? 0;
    if (byte === PERCENT) {
      byte = hexDigit(source[i + 1]) * 16 + hexDigit(source[i + 2]);
      if (!(byte >= 0)) return undefined;
      i += 2;
    } else if (plus && byte === PLUS) {
      byte = SPACE;
    }
    // INVARIANT: decoding never makes more bytes than were read, so it may overwrite its source.
    source[length++] = byte;
  }
  return decodeLikeGo(source.subarray(0, length));
}

/** UTF-8 to text with one U+FFFD for every byte that belongs to no character (Go's `range` over a string). */
export function decodeLikeGo(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  let text = '';
  let start = 0;
  let position = 0;
  while (position < bytes.length) {
    const length = characterLength(bytes, position);
    if (length === 0) {
      text += `${bytes.toString('utf8', start, position)}\ufffd`;
      start = position + 1;
    }
    position += length || 1;
  }
  return text + bytes.toString('utf8', start);
}

const SPACE = 0x20;
const PERCENT = 0x25;
const PLUS = 0x2b;

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return Number.NaN;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : Number.NaN;
}

/** Bytes of the well-formed character at a place, 0 when there is none. */
function characterLength(bytes: Buffer, at: number): number {
  const lead = bytes[at] ?? 0;
  const length = lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : 4;
  return isUtf8(bytes.subarray(at, at + length)) ? length : 0;
}
