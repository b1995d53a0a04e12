import { WIRE } from './wire-message.ts';

/**
 * Writes one protobuf message from its end to its start, so that the length of a nested message is known when it is
 * needed: fields are written last first, and what is inside a message before its own length and tag.
 */
export class WireWriter {
  private buffer: Buffer;
  private at: number;

  /** It grows beyond `expectedBytes`; much less than that wastes room. */
  constructor(expectedBytes = INITIAL_BYTES) {
    this.buffer = Buffer.allocUnsafe(expectedBytes);
    this.at = expectedBytes;
  }

  /** How many bytes are written so far; the end of a nested message for {@link close}. */
  written(): number {
    return this.buffer.length - this.at;
  }

  /** Makes a length-delimited field of everything written since `written()` answered `end`. */
  close(field: number, end: number): void {
    this.reserve(MAX_FIELD_HEAD);
    this.varint(this.written() - end);
    this.varint(field * 8 + WIRE.bytes);
  }

  text(field: number, value: string): void {
    const end = this.written();
    this.part(value);
    this.close(field, end);
  }

  /** A part of a text, without tag and length. */
  part(value: string): void {
    this.reserve(value.length * MAX_UTF8_BYTES);
    if (value.length < SHORT && this.ascii(value)) return;
    const length = Buffer.byteLength(value);
    this.at -= length;
    this.buffer.write(value, this.at, length, 'utf8');
  }

  /** Fields that were written before, as they are. */
  bytes(written: Uint8Array): void {
    const { length } = written;
    this.reserve(length);
    this.at -= length;
    const { buffer, at } = this;
    if (length >= SHORT) buffer.set(written, at);
    else for (let index = 0; index < length; index++) buffer[at + index] = written[index] ?? 0;
  }

  /** The digits of a whole number from 0 to 2^53 - 1: a part of a text. */
  digits(value: number): void {
    this.reserve(MAX_DIGITS);
    this.at = putDigits(this.buffer, value, this.at);
  }

  /** A number from 0 to 2^32 - 1, a flag or an enum. */
  uint32(field: number, value: number): void {
    this.reserve(MAX_FIELD_HEAD);
    this.varint(value);
    this.varint(field * 8 + WIRE.varint);
  }

  double(field: number, value: number): void {
    this.reserve(MAX_FIELD_HEAD);
    this.at -= 8;
    this.buffer.writeDoubleLE(value, this.at);
    this.varint(field * 8 + WIRE.fixed64);
  }

  /** The message; the writer is used up. */
  finish(): Buffer {
    return this.buffer.subarray(this.at);
  }

  /** Writes a text that is short and ASCII; leaves everything as it is and answers false when it is not. */
  private ascii(value: string): boolean {
    const start = this.at - value.length;
    const { buffer } = this;
    for (let index = 0; index < value.length; index++) {
      const code = value.charCodeAt(index);
      if (code >= 0x80) return false;
      buffer[start + index] = code;
    }
    this.at = start;
    return true;
  }

  private varint(value: number): void {
    if (value < 0x80) {
      this.at -= 1;
      this.buffer[this.at] = value;
      return;
    }
    let size = 1;
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size += 1;
    let at = this.at - size;
    this.at = at;
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.buffer[at++] = (rest % 0x80) + 0x80;
    this.buffer[at] = rest;
  }

  private reserve(bytes: number): void {
    if (this.at >= bytes) return;
    const written = this.written();
    const grown = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, written + bytes + INITIAL_BYTES));
    this.buffer.copy(grown, grown.length - written, this.at);
    this.at = grown.length - written;
    this.buffer = grown;
  }
}

/** Puts the digits of a whole number from 0 to 2^53 - 1 before `end`; answers where they begin. */
export function putDigits(bytes: Uint8Array, value: number, end: number): number {
  let at = end;
  let rest = value;
  // Beyond 31 bits every division is one of doubles.
  while (rest >= MANY) {
    const tenth = Math.floor(rest / 10);
    bytes[--at] = ZERO + (rest - tenth * 10);
    rest = tenth;
  }
  let small = rest | 0;
  do {
    const tenth = (small / 10) | 0;
    bytes[--at] = ZERO + (small - tenth * 10);
    small = tenth;
  } while (small > 0);
  return at;
}

const INITIAL_BYTES = 1024;
const MAX_UTF8_BYTES = 3;
/** Tag and length, or tag and value: two varints of 32 bits, or one and a double. */
const MAX_FIELD_HEAD = 13;
const MAX_DIGITS = 16;
const MANY = 2 ** 31;
const ZERO = 0x30;
/** Below this length a loop here beats a call out of JavaScript. */
const SHORT = 48;
