import { Buffer, isUtf8 } from 'node:buffer';

/** One field of a protobuf message: varints as numbers, all else as its bytes. */
export interface WireField {
  readonly number: number;
  readonly value: number | Uint8Array;
}

/** The fields of a protobuf message in order; `undefined` when it is malformed or holds an integer beyond 2^53. */
export function readWireFields(bytes: Uint8Array): readonly WireField[] | undefined {
  const fields: WireField[] = [];
  let position = 0;
  while (position < bytes.length) {
    const tag = readVarint(bytes, position);
    if (tag === undefined || tag.value < 8) return undefined;
    position = tag.end;
    let value: number | Uint8Array | undefined;
    const type = tag.value % 8;
    if (type === VARINT) {
      const varint = readVarint(bytes, position);
      if (varint === undefined) return undefined;
      position = varint.end;
      value = varint.value;
    } else {
      const start = type === BYTES ? readVarint(bytes, position) : { value: FIXED_LENGTHS[type], end: position };
      if (start?.value === undefined || start.end + start.value > bytes.length) return undefined;
      position = start.end + start.value;
      value = bytes.subarray(start.end, position);
    }
    fields.push({ number: Math.floor(tag.value / 8), value });
  }
  return fields;
}

/** The text of bytes that must be UTF-8; `undefined` when they are not. */
export function readText(bytes: Uint8Array): string | undefined {
  return isUtf8(bytes) ? Buffer.from(bytes).toString('utf8') : undefined;
}

const VARINT = 0;
const BYTES = 2;
/** By wire type; groups have none and are refused. */
const FIXED_LENGTHS: readonly (number | undefined)[] = [undefined, 8, undefined, undefined, undefined, 4];

function readVarint(bytes: Uint8Array, from: number): { readonly value: number; readonly end: number } | undefined {
  let value = 0;
  let scale = 1;
  for (let position = from; position < from + MAX_VARINT; position++) {
    const byte = bytes[position];
    if (byte === undefined) return undefined;
    value += (byte & 127) * scale;
    if (!Number.isSafeInteger(value)) return undefined;
    if (byte < 128) return { value, end: position + 1 };
    scale *= 128;
  }
  return undefined;
}

const MAX_VARINT = 10;
