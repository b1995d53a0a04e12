import { type JsonObject, type JsonValue, RawJson } from '../decision/json.ts';
import type { WireWriter } from './wire-writer.ts';

/** A value that the gateway's parser would refuse, and with it the whole answer. */
export class UnwritableValue extends Error {
  override readonly name = 'UnwritableValue';
}

/**
 * Writes the fields of a google.protobuf.Struct. Throws {@link UnwritableValue} beyond 24 levels: protobuf's C++
 * parser stops at 100 nested messages, three to a level, and an answer that it cannot read is an error, not a denial.
 */
export function writeStruct(writer: WireWriter, object: JsonObject, level = 0): void {
  if (level > MAX_LEVELS) throw new UnwritableValue('the metadata is nested too deep');
  const keys = Object.keys(object);
  for (let index = keys.length - 1; index >= 0; index--) {
    const key = keys[index] ?? '';
    const value = object[key];
    if (value !== undefined) writeStructField(writer, key, value, level);
  }
}

/** Writes one entry of `Struct.fields`. */
export function writeStructField(writer: WireWriter, key: string, value: JsonValue, level = 0): void {
  const entry = writer.written();
  const end = writer.written();
  writeValue(writer, value, level);
  writer.close(ENTRY.value, end);
  writer.text(ENTRY.key, key);
  writer.close(STRUCT_FIELDS, entry);
}

const MAX_LEVELS = 24;
const STRUCT_FIELDS = 1;
const LIST_VALUES = 1;
const ENTRY = { key: 1, value: 2 } as const;
const VALUE = { null: 1, number: 2, string: 3, bool: 4, struct: 5, list: 6 } as const;

function writeValue(writer: WireWriter, value: JsonValue, level: number): void {
  if (typeof value === 'string') writer.text(VALUE.string, value);
  else if (typeof value === 'number' || typeof value === 'bigint') writer.double(VALUE.number, Number(value));
  else if (typeof value === 'boolean') writer.uint32(VALUE.bool, value ? 1 : 0);
  else if (value === null) writer.uint32(VALUE.null, 0);
  // RawJson is valid text by its maker's word.
  else if (value instanceof RawJson) writeValue(writer, JSON.parse(value.text) as JsonValue, level);
  else if (isList(value)) writeList(writer, value, level);
  else {
    const end = writer.written();
    writeStruct(writer, value, level + 1);
    writer.close(VALUE.struct, end);
  }
}

function writeList(writer: WireWriter, value: readonly JsonValue[], level: number): void {
  const end = writer.written();
  if (level > MAX_LEVELS) throw new UnwritableValue('the metadata is nested too deep');
  for (let index = value.length - 1; index >= 0; index--) {
    const item = writer.written();
    writeValue(writer, value[index] ?? null, level + 1);
    writer.close(LIST_VALUES, item);
  }
  writer.close(VALUE.list, end);
}

/** `Array.isArray` does not narrow a read-only list. */
function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}
