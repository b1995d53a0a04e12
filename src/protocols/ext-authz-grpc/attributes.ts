import type { JsonValue } from '../../decision/json.ts';
import { fieldOf, KIND, type Placed, type WireMessage, type WireValue } from '../../listener/wire-message.ts';
import { ListValue, Struct, Value } from './check-request.ts';

/**
 * The JSON value that opa-envoy-plugin makes of a message: only what was sent, zero scalars left out unless they
 * belong to a `oneof`, lowerCamelCase names, enums as numbers, bytes as padded base64, Struct as plain JSON, Any not
 * expanded. Integers beyond 2^53 are bigints.
 */
export function toAttributes(message: WireMessage): JsonValue {
  switch (message.table) {
    case Struct.table:
      return fromStruct(message);
    case Value.table:
      return fromValue(message);
    case ListValue.table:
      return fromList(message);
  }
  const json: Record<string, JsonValue> = {};
  for (const field of message.table.placed) {
    const value = message.values[field.slot];
    if (value !== undefined && !isOmitted(field, value)) json[field.name] = toJson(field, value);
  }
  return json;
}

/** A zero scalar looks as if it had not been sent; only in a `oneof` is it there. */
function isOmitted(field: Placed, value: WireValue): boolean {
  if (field.inOneof) return false;
  if (value instanceof Uint8Array) return value.length === 0;
  return value === '' || value === 0 || value === false;
}

function toJson(field: Placed, value: WireValue): JsonValue {
  if (value instanceof Uint8Array) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return bytes.toString(field.kind === KIND.utf8 ? 'utf8' : 'base64');
  }
  if (value instanceof Map) return fromMap(value);
  if (typeof value !== 'object') return value;
  return 'table' in value ? toAttributes(value) : value.map(toAttributes);
}

/** Keys are the caller's, so the object has no prototype for `__proto__` to reach. */
function fromMap(map: ReadonlyMap<string, string | WireMessage>): JsonValue {
  const json: Record<string, JsonValue> = Object.create(null);
  for (const [key, value] of map) json[key] = typeof value === 'string' ? value : toAttributes(value);
  return json;
}

function fromStruct(struct: WireMessage): JsonValue {
  return fromMap(fieldOf(struct, Struct.fields.fields) ?? new Map());
}

function fromList(list: WireMessage): JsonValue {
  return (fieldOf(list, ListValue.fields.values) ?? []).map(toAttributes);
}

function fromValue(value: WireMessage): JsonValue {
  const { numberValue, stringValue, boolValue, structValue, listValue } = Value.fields;
  const number = fieldOf(value, numberValue);
  // JSON has no NaN or infinity; protobuf's mapping writes them as texts.
  if (number !== undefined) return Number.isFinite(number) ? number : String(number);
  const nested = fieldOf(value, structValue) ?? fieldOf(value, listValue);
  if (nested !== undefined) return toAttributes(nested);
  return fieldOf(value, stringValue) ?? fieldOf(value, boolValue) ?? null;
}
