import { isUtf8 } from 'node:buffer';
import { fault, WireFault } from './wire-fault.ts';
import {
  childOf,
  isList,
  isMessage,
  KIND,
  type MessageTable,
  type Placed,
  WIRE,
  type WireMessage,
  type WireValue,
} from './wire-message.ts';
import { WireTexts } from './wire-text.ts';

/**
 * Reads one protobuf message, strictly: truncation, a wrong wire type, a `string` that is no UTF-8, field number 0
 * and nesting beyond 100 are faults. Unknown fields are skipped. The last scalar wins, single messages merge, the
 * last entry of a map key wins, presence is kept (protobuf.dev/programming-guides/encoding). Throws a
 * {@link WireFault}. Byte fields are views into `source`.
 */
export function readMessage(source: Uint8Array, table: MessageTable): WireMessage {
  const reader = new WireReader(source);
  return reader.message(table, reader.buffer.length, MAX_DEPTH, undefined);
}

const MAX_DEPTH = 100;
/** The tags of a map entry's two fields. */
const ENTRY_KEY = 8 + WIRE.bytes;
const ENTRY_VALUE = 16 + WIRE.bytes;

class WireReader {
  readonly buffer: Buffer;
  private readonly texts: WireTexts;
  private at = 0;

  constructor(source: Uint8Array) {
    this.buffer = Buffer.isBuffer(source) ? source : Buffer.from(source.buffer, source.byteOffset, source.byteLength);
    this.texts = new WireTexts(this.buffer);
  }

  /** Reads up to `end`; into `merged` when the message was sent before. */
  message(table: MessageTable, end: number, depth: number, merged: WireMessage | undefined): WireMessage {
    if (depth === 0) throw new WireFault(`\`${table.name}\` is nested too deep`);
    const message = merged ?? { table, values: table.unsent.slice() };
    const { values } = message;
    while (this.at < end) {
      const tag = this.tag(end, table);
      const field = table.byNumber[tag >>> 3];
      if (field === undefined) {
        this.skip(tag, end, depth, table);
        continue;
      }
      if ((tag & 7) !== field.wireType) throw fault(table, field, 'has the wrong wire type');
      values[field.slot] = this.value(table, field, values[field.slot], end, depth);
      if (field.inOneof) for (const rival of field.rivals) values[rival] = undefined;
    }
    return message;
  }

  private value(
    table: MessageTable,
    field: Placed,
    before: WireValue | undefined,
    end: number,
    depth: number,
  ): WireValue {
    switch (field.kind) {
      case KIND.text:
        return this.text(this.length(end, table, field), table, field);
      case KIND.utf8: {
        const sent = this.bytes(this.length(end, table, field));
        if (!isUtf8(sent)) throw fault(table, field, 'is not valid UTF-8');
        return sent;
      }
      case KIND.bytes:
        return this.bytes(this.length(end, table, field));
      case KIND.int64:
        return this.int64(end, table, field);
      case KIND.int32:
        return toInt32(this.int64(end, table, field));
      case KIND.uint32:
        return toInt32(this.int64(end, table, field)) >>> 0;
      case KIND.bool:
        return this.int64(end, table, field) !== 0;
      case KIND.double:
        return this.double(end, table, field);
      case KIND.message: {
        const until = this.length(end, table, field);
        return this.message(childOf(field), until, depth - 1, isMessage(before) ? before : undefined);
      }
      case KIND.messages: {
        const one = this.message(childOf(field), this.length(end, table, field), depth - 1, undefined);
        if (!isList(before)) return [one];
        before.push(one);
        return before;
      }
      case KIND.textMap: {
        const until = this.length(end, table, field);
        return this.plainEntry(table, field, before, until) ?? this.entry(table, field, before, until, depth - 1);
      }
      case KIND.messageMap:
        return this.entry(table, field, before, this.length(end, table, field), depth - 1);
    }
  }

  /** An entry as every encoder writes it, the key and then the value; leaves any other for {@link entry}. */
  private plainEntry(
    table: MessageTable,
    field: Placed,
    before: WireValue | undefined,
    end: number,
  ): WireValue | undefined {
    const start = this.at;
    if (this.buffer[start] === ENTRY_KEY) {
      this.at += 1;
      const key = this.text(this.length(end, table, field), table, field, true);
      if (this.at < end && this.buffer[this.at] === ENTRY_VALUE) {
        this.at += 1;
        const value = this.text(this.length(end, table, field), table, field);
        if (this.at === end) {
          // A map field's slot holds nothing but its own kind of map; see `fieldOf`.
          const map = (before ?? new Map()) as Map<string, string>;
          return map.set(key, value);
        }
      }
    }
    this.at = start;
    return undefined;
  }

  /** A map entry is a message of key 1 and value 2, either of which may be missing. */
  private entry(
    table: MessageTable,
    field: Placed,
    before: WireValue | undefined,
    end: number,
    depth: number,
  ): WireValue {
    // A map field's slot holds nothing but its own kind of map; see `fieldOf`.
    const map = (before ?? new Map()) as Map<string, string | WireMessage>;
    const child = field.kind === KIND.messageMap ? childOf(field) : undefined;
    let key = '';
    let value: string | WireMessage | undefined;
    while (this.at < end) {
      const tag = this.tag(end, table);
      const number = tag >>> 3;
      if (number > 2) {
        this.skip(tag, end, depth, table);
        continue;
      }
      if ((tag & 7) !== WIRE.bytes) throw fault(table, field, 'has the wrong wire type in a map entry');
      const until = this.length(end, table, field);
      if (number === 1) key = this.text(until, table, field);
      else if (child === undefined) value = this.text(until, table, field);
      else value = this.message(child, until, depth, typeof value === 'object' ? value : undefined);
    }
    map.set(key, value ?? (child === undefined ? '' : this.message(child, this.at, depth, undefined)));
    // `map` is of the field's own kind, as above.
    return map as Map<string, string>;
  }

  /** A field number and its wire type. */
  private tag(end: number, table: MessageTable): number {
    const first = this.buffer[this.at];
    if (first !== undefined && first < 0x80 && first > 7) {
      this.at += 1;
      return first;
    }
    const tag = this.uint32(end, `a field of \`${table.name}\``);
    if (tag >>> 3 === 0) throw new WireFault(`\`${table.name}\` has a field number 0`);
    return tag;
  }

  /** Where the length-delimited value ends that starts here. */
  private length(end: number, table: MessageTable, field: Placed): number {
    const first = this.buffer[this.at];
    let length: number;
    if (this.at < end && first !== undefined && first < 0x80) {
      this.at += 1;
      length = first;
    } else {
      length = this.uint32(end, `\`${table.name}.${field.name}\``);
    }
    const until = this.at + length;
    if (until > end) throw fault(table, field, 'is truncated');
    return until;
  }

  /** A varint that has to fit 32 bits: a tag or a length. */
  private uint32(end: number, what: string): number {
    let result = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      if (this.at >= end) throw new WireFault(`${what} is truncated`);
      const byte = this.buffer[this.at++] ?? 0;
      if (shift === 28 && byte > 0x0f) break;
      result += ((byte & 0x7f) << shift) >>> 0;
      if (byte < 0x80) return result;
    }
    throw new WireFault(`${what} has a tag or length beyond 32 bits`);
  }

  /** A varint of 64 bits, signed; a bigint where a number would not be exact. No `**`: it leaves JavaScript. */
  private int64(end: number, table: MessageTable, field: Placed): number | bigint {
    let low = 0;
    let high = 0;
    for (let shift = 0, scale = 1; shift < 70; shift += 7) {
      if (this.at >= end) throw fault(table, field, 'is truncated');
      const byte = this.buffer[this.at++] ?? 0;
      if (shift === 63 && byte > 1) break;
      const bits = byte & 0x7f;
      // 49 bits fit a double exactly; the 15 above them are kept apart.
      if (shift < 49) low += bits * scale;
      else high += bits * scale;
      scale = shift === 42 ? 1 : scale * 0x80;
      if (byte < 0x80) {
        if (high < 16) return high * 2 ** 49 + low;
        const exact = BigInt.asIntN(64, (BigInt(high) << 49n) | BigInt(low));
        const number = Number(exact);
        return Number.isSafeInteger(number) ? number : exact;
      }
    }
    throw fault(table, field, 'is a number beyond 64 bits');
  }

  private double(end: number, table: MessageTable, field: Placed): number {
    if (this.at + 8 > end) throw fault(table, field, 'is truncated');
    const value = this.buffer.readDoubleLE(this.at);
    this.at += 8;
    return value;
  }

  private bytes(until: number): Uint8Array {
    const view = this.buffer.subarray(this.at, until);
    this.at = until;
    return view;
  }

  private text(until: number, table: MessageTable, field: Placed, isName = false): string {
    const text = isName ? this.texts.readName(this.at, until) : this.texts.read(this.at, until);
    if (text === undefined) throw fault(table, field, 'is not valid UTF-8');
    this.at = until;
    return text;
  }

  /** Steps over the value of an unknown field; groups are stepped over whole. */
  private skip(tag: number, end: number, depth: number, table: MessageTable): void {
    switch (tag & 7) {
      case WIRE.varint:
        this.skipVarint(end, table);
        return;
      case WIRE.fixed64:
        this.step(8, end, table);
        return;
      case WIRE.bytes:
        this.step(this.uint32(end, `an unknown field of \`${table.name}\``), end, table);
        return;
      case WIRE.startGroup:
        this.skipGroup(tag >>> 3, end, depth - 1, table);
        return;
      case WIRE.fixed32:
        this.step(4, end, table);
        return;
      default:
        throw new WireFault(`\`${table.name}\` has a stray end of group or an unknown wire type`);
    }
  }

  private skipGroup(number: number, end: number, depth: number, table: MessageTable): void {
    if (depth === 0) throw new WireFault(`\`${table.name}\` has groups nested too deep`);
    while (this.at < end) {
      const tag = this.tag(end, table);
      if ((tag & 7) !== WIRE.endGroup) {
        this.skip(tag, end, depth, table);
        continue;
      }
      if (tag >>> 3 !== number) throw new WireFault(`\`${table.name}\` has a group that ends as another`);
      return;
    }
    throw new WireFault(`\`${table.name}\` has a group without an end`);
  }

  private skipVarint(end: number, table: MessageTable): void {
    for (let count = 0; count < 10; count++) {
      if (this.at >= end) throw new WireFault(`an unknown field of \`${table.name}\` is truncated`);
      if ((this.buffer[this.at++] ?? 0) < 0x80) return;
    }
    throw new WireFault(`an unknown field of \`${table.name}\` is a number beyond 64 bits`);
  }

  private step(length: number, end: number, table: MessageTable): void {
    if (this.at + length > end) throw new WireFault(`an unknown field of \`${table.name}\` is truncated`);
    this.at += length;
  }
}

/** Keeps the low 32 bits, as protobuf does with a longer number in an `int32` or `enum` field. */
function toInt32(value: number | bigint): number {
  return typeof value === 'number' ? value | 0 : Number(BigInt.asIntN(32, value));
}
