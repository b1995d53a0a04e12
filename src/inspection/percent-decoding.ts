import { Buffer, isUtf8 } from 'node:buffer';

/**
 * Decodes percent escapes strictly, `undefined` for a bad one. `plus`: whether `+` stands for a space. Bytes that are
 * no UTF-8 become one U+FFFD each, as Go prints them.
 */
export function percentDecode(text: string, plus: boolean): string | undefined {
  if (!text.includes('%') && !(plus && text.includes('+'))) return text;
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
  const mended = Buffer.allocUnsafe(bytes.length * REPLACEMENT.length);
  let length = 0;
  for (let at = 0; at < bytes.length; ) {
    const size = characterLength(bytes, at);
    if (size === 0) for (const byte of REPLACEMENT) mended[length++] = byte;
    for (let i = at; i < at + size; i++) mended[length++] = bytes[i] ?? 0;
    at += size || 1;
  }
  return mended.toString('utf8', 0, length);
}

/** U+FFFD */
const REPLACEMENT = [0xef, 0xbf, 0xbd] as const;

const SPACE = 0x20;
const PERCENT = 0x25;
const PLUS = 0x2b;

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return Number.NaN;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : Number.NaN;
}

/** Bytes of the well-formed character at a place (Unicode, table 3-7), 0 when there is none. */
function characterLength(bytes: Buffer, at: number): number {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  const second = bytes[at + 1] ?? 0;
  if (second < (SECOND_FROM.get(lead) ?? 0x80) || second > (SECOND_UNTIL.get(lead) ?? 0xbf)) return 0;
  for (let i = at + 2; i < at + length; i++) if (((bytes[i] ?? 0) & 0xc0) !== 0x80) return 0;
  return length;
}

/** What may follow some first bytes: neither overlong forms nor surrogates nor what is beyond U+10FFFF. */
const SECOND_FROM: ReadonlyMap<number, number> = new Map([
  [0xe0, 0xa0],
  [0xf0, 0x90],
]);
const SECOND_UNTIL: ReadonlyMap<number, number> = new Map([
  [0xed, 0x9f],
  [0xf4, 0x8f],
]);
