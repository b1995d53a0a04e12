import { asBuffer, decodeJsonString, isDigit, plainEnd } from './json-string.ts';

/**
 * The value of JSON bytes that `scanJson` accepted: it checks nothing again and goes no deeper than that did. Objects
 * are plain ones with own members only, whatever their names; the last twin of a key wins.
 */
export function buildJsonValue(bytes: Uint8Array): unknown {
  return new ValueBuilder(bytes).value();
}

const BACKSLASH = 0x5c;
const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const LETTER_F = 0x66;
const LETTER_N = 0x6e;
const LETTER_T = 0x74;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

class ValueBuilder {
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  value(): unknown {
    const first = this.#next();
    switch (first) {
      case QUOTE:
        return this.#string();
      case OPEN_BRACE:
        return this.#object();
      case OPEN_BRACKET:
        return this.#list();
      case LETTER_T:
        this.#position += 4;
        return true;
      case LETTER_F:
        this.#position += 5;
        return false;
      case LETTER_N:
        this.#position += 4;
        return null;
      default:
        return this.#number();
    }
  }

  #object(): unknown {
    const entries: [string, unknown][] = [];
    this.#position++;
    while (this.#next() !== CLOSE_BRACE) {
      const key = this.#string();
      this.#skip(COLON);
      entries.push([key, this.value()]);
      if (this.#next() === COMMA) this.#position++;
    }
    this.#position++;
    // It defines members and never assigns them, so that no inherited name is in the way.
    return Object.fromEntries(entries);
  }

  #list(): unknown {
    const items: unknown[] = [];
    this.#position++;
    while (this.#next() !== CLOSE_BRACKET) {
      items.push(this.value());
      if (this.#next() === COMMA) this.#position++;
    }
    this.#position++;
    return items;
  }

  #string(): string {
    const start = this.#position;
    let escaped = false;
    let end = plainEnd(this.#bytes, start + 1);
    while (this.#bytes[end] === BACKSLASH) {
      escaped = true;
      end = plainEnd(this.#bytes, end + 2);
    }
    this.#position = end + 1;
    return decodeJsonString(this.#bytes, start, end + 1, escaped);
  }

  #number(): number {
    const start = this.#position;
    while (isNumeric(this.#bytes[this.#position] ?? -1)) this.#position++;
    if (this.#position === start) throw new Error('the bytes are no JSON that was scanned');
    return Number(asBuffer(this.#bytes).toString('latin1', start, this.#position));
  }

  #skip(byte: number): void {
    if (this.#next() !== byte) throw new Error('the bytes are no JSON that was scanned');
    this.#position++;
  }

  /** The next byte that is no white space. */
  #next(): number {
    for (;;) {
      const byte = this.#bytes[this.#position];
      if (byte === undefined) throw new Error('the bytes are no JSON that was scanned');
      if (byte > 0x20) return byte;
      this.#position++;
    }
  }
}

function isNumeric(byte: number): boolean {
  return isDigit(byte) || byte === MINUS || byte === 0x2b || byte === 0x2e || (byte | 0x20) === 0x65;
}
