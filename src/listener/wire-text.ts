import { isUtf8 } from 'node:buffer';

/** Messages up to this size are made one string, of which each text is a slice; longer ones hold a body. */
const LARGEST_WHOLE = 32 * 1024;

/**
 * Reads the texts of one message. Most of them are ASCII, for which a slice of one Latin-1 string is the text: that
 * costs one call out of JavaScript for a message and not one for each of its fifty texts (measured: 1.3 kB, 3 µs less).
 */
export class WireTexts {
  readonly #buffer: Buffer;
  readonly #whole: string | undefined;
  /** INVARIANT: no byte from where it was last searched up to here is above 0x7f; texts are read in order. */
  #ascii = 0;
  #searchedFrom = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
    this.#whole = buffer.length > LARGEST_WHOLE ? undefined : buffer.toString('latin1');
  }

  /** The text of these bytes, `undefined` when they are no UTF-8. */
  read(from: number, until: number): string | undefined {
    if (this.#whole !== undefined && this.#isAscii(from, until)) return this.#whole.substring(from, until);
    const sent = this.#buffer.subarray(from, until);
    return isUtf8(sent) ? sent.toString('utf8') : undefined;
  }

  #isAscii(from: number, until: number): boolean {
    if (from < this.#searchedFrom || from > this.#ascii) {
      this.#searchedFrom = from;
      this.#ascii = from;
    }
    const buffer = this.#buffer;
    let at = this.#ascii;
    while (at < until && (buffer[at] ?? 0x80) < 0x80) at += 1;
    this.#ascii = at;
    return at >= until;
  }
}
