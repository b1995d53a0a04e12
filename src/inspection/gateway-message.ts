import { readText, readWireFields, type WireField } from './wire-fields.ts';

/** Fields by name, of a null-prototype object. */
export type NamedFields = { readonly [name: string]: unknown };

/**
 * Reads the protobuf bytes of an `envoy.data.ai.v3.RequestInfo` (Envoy 1.40) into its fields by name; `undefined` when
 * they are malformed, name a field twice, or hold an integer beyond 2^53. Fields that it does not know are skipped.
 */
export function readPublished(bytes: Uint8Array): NamedFields | undefined {
  const wire = readWireFields(bytes);
  if (wire === undefined) return undefined;
  const named: { [name: string]: unknown } = Object.create(null);
  for (const { number, value } of wire) {
    const field = FIELDS.get(number);
    if (field === undefined) continue;
    if (field.name in named || typeof value === 'number') return undefined;
    const read = field.read(value);
    if (read === undefined) return undefined;
    // Protobuf does not tell an empty text from an absent one.
    if (read !== '') named[field.name] = read;
  }
  return named;
}

/** The scalar members of a `google.protobuf.Struct`; lists and structs in it are `null`. `undefined` as above. */
export function readStruct(bytes: Uint8Array): NamedFields | undefined {
  const wire = readWireFields(bytes);
  if (wire === undefined) return undefined;
  const named: { [name: string]: unknown } = Object.create(null);
  for (const { number, value } of wire) {
    if (number !== 1 || typeof value === 'number') return undefined;
    const [key, member] = readWireFields(value) ?? [];
    if (key?.number !== 1 || typeof key.value === 'number') return undefined;
    if (member?.number !== 2 || typeof member.value === 'number') return undefined;
    const name = readText(key.value);
    const scalar = readScalar(readWireFields(member.value));
    if (name === undefined || name in named || scalar === undefined) return undefined;
    named[name] = scalar;
  }
  return named;
}

const FIELDS: ReadonlyMap<
  number,
  { readonly name: string; readonly read: (value: Uint8Array) => string | number | boolean | undefined }
> = new Map([
  [2, { name: 'model', read: readText }],
  [3, { name: 'stream', read: readFlag }],
  [4, { name: 'max_output_tokens', read: readCount }],
  [5, { name: 'message_count', read: readCount }],
  [7, { name: 'estimated_input_tokens', read: readCount }],
]);

/** The wrappers of google/protobuf/wrappers.proto: field 1, absent where it is zero. */
function readCount(wrapper: Uint8Array): number | undefined {
  if (wrapper.length === 0) return 0;
  const [only, ...more] = readWireFields(wrapper) ?? [];
  return only?.number === 1 && more.length === 0 && typeof only.value === 'number' ? only.value : undefined;
}

function readFlag(wrapper: Uint8Array): boolean | undefined {
  const count = readCount(wrapper);
  return count === undefined ? undefined : count !== 0;
}

/** google/protobuf/struct.proto, `Value`: a `oneof`, so exactly one field. */
function readScalar(fields: readonly WireField[] | undefined): string | number | boolean | null | undefined {
  const [only, ...more] = fields ?? [];
  if (only === undefined || more.length > 0) return undefined;
  const { number, value } = only;
  if (typeof value === 'number') return number === 4 ? value !== 0 : number === 1 ? null : undefined;
  if (number === 2 && value.length === 8) return new DataView(value.buffer, value.byteOffset).getFloat64(0, true);
  if (number === 3) return readText(value);
  return number === 5 || number === 6 ? null : undefined;
}
