import { toBytes } from './bytes.ts';

/** A text in quotes as Go's `time` writes it: what is no printable ASCII is spelt byte by byte. */
export function quoteBytes(text: string): string {
  let quoted = '"';
  for (const byte of toBytes(text)) {
    const character = String.fromCharCode(byte);
    if (character === '"' || character === '\\') quoted += `\\${character}`;
    else if (byte >= 0x20 && byte < 0x80) quoted += character;
    else quoted += `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return `${quoted}"`;
}
