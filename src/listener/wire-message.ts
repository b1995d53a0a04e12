/** What a field's slot holds once it was read. */
export type WireValue =
  | string
  | number
  | bigint
  | boolean
  | Uint8Array
  | WireMessage
  | readonly WireMessage[]
  | Map<string, string>
  | Map<string, WireMessage>;

/** Protobuf wire types (protobuf.dev/programming-guides/encoding). */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, startGroup: 3, endGroup: 4, fixed32: 5 } as const;

/**
 * How a field is read; numbers, because the reader switches on it for every field. `utf8` is a `string` field that is
 * kept as its bytes, checked, because it is large and mostly read as bytes.
 */
export const KIND = {
  text: 0,
  textMap: 1,
  message: 2,
  utf8: 3,
  bytes: 4,
  int64: 5,
  int32: 6,
  uint32: 7,
  bool: 8,
  double: 9,
  messages: 10,
  messageMap: 11,
} as const;

export type FieldKind = (typeof KIND)[keyof typeof KIND];

/** One field of a message; `T` is what {@link fieldOf} yields for it. */
export interface Field<T extends WireValue = WireValue> {
  readonly number: number;
  readonly kind: FieldKind;
  readonly wireType: number;
  /** The table of a message field's own type; late, because some types contain themselves. */
  readonly child?: () => MessageTable;
  /** Fields with the same mark exclude each other: the last one sent stands (protobuf `oneof`). */
  readonly oneof?: string;
  /** Only for the type: no field carries it. */
  readonly yields?: T;
}

/** A field in its message: where its value sits and what it is called. Every one has the same members, for speed. */
export interface Placed {
  readonly number: number;
  readonly kind: FieldKind;
  readonly wireType: number;
  readonly child: (() => MessageTable) | undefined;
  readonly inOneof: boolean;
  readonly slot: number;
  /** The JSON name. */
  readonly name: string;
  /** Slots that this field empties when it is read. */
  readonly rivals: readonly number[];
}

export interface MessageTable {
  readonly name: string;
  /** The slots of a message of which nothing was sent, to be copied. */
  readonly unsent: readonly (WireValue | undefined)[];
  /** By field number; the numbers are small in every message of the table. */
  readonly byNumber: readonly (Placed | undefined)[];
  readonly placed: readonly Placed[];
}

/** A message as it was sent: a slot is `undefined` when its field was not on the wire. */
export interface WireMessage {
  readonly table: MessageTable;
  readonly values: (WireValue | undefined)[];
}

/** A placed field together with the type that {@link fieldOf} yields for it. */
export type PlacedField<T extends WireValue> = Placed & { readonly yields?: T };

type PlacedFields<F extends Record<string, Field>> = {
  readonly [name in keyof F]: PlacedField<F[name] extends Field<infer T> ? T : never>;
};

/** Lays out a message type: its fields by JSON name, each with a slot. */
export function defineMessage<F extends Record<string, Field>>(
  name: string,
  fields: F,
): { readonly table: MessageTable; readonly fields: PlacedFields<F> } {
  const names = Object.keys(fields);
  const placed = Object.entries(fields).map(([fieldName, field], slot): Placed => {
    const rivals =
      field.oneof === undefined
        ? []
        : names.flatMap((other, index) => (index !== slot && fields[other]?.oneof === field.oneof ? [index] : []));
    const { number, kind, wireType, child, oneof } = field;
    return { number, kind, wireType, child, inOneof: oneof !== undefined, slot, name: fieldName, rivals };
  });
  const byNumber: (Placed | undefined)[] = [];
  for (let number = 0; number <= Math.max(0, ...placed.map((field) => field.number)); number++) {
    byNumber.push(placed.find((field) => field.number === number));
  }
  const table = { name, unsent: placed.map(() => undefined), byNumber, placed };
  // Every key of `fields` was placed just above, with its own field.
  return { table, fields: Object.fromEntries(placed.map((field) => [field.name, field])) as PlacedFields<F> };
}

/** The value of a field, `undefined` when it was not sent (or its message was not). */
export function fieldOf<T extends WireValue>(message: WireMessage | undefined, field: PlacedField<T>): T | undefined {
  // The reader puts into a field's slot nothing but what the field's kind yields.
  return message?.values[field.slot] as T | undefined;
}

/** The text of a field, empty when it was not sent, as protobuf has it. */
export function textOf(message: WireMessage | undefined, field: PlacedField<string>): string {
  return fieldOf(message, field) ?? '';
}

/** Makes a message forget a field. */
export function clearField(message: WireMessage | undefined, field: Placed): void {
  if (message !== undefined) message.values[field.slot] = undefined;
}

/** The table of a message field's own type. */
export function childOf(field: Placed): MessageTable {
  if (field.child === undefined) throw new TypeError(`the field \`${field.name}\` has no table of its own`);
  return field.child();
}

/** Whether a slot holds a single message. */
export function isMessage(value: WireValue | undefined): value is WireMessage {
  return typeof value === 'object' && 'values' in value && 'table' in value;
}

/** Whether a slot holds repeated messages. */
export function isList(value: WireValue | undefined): value is WireMessage[] {
  return Array.isArray(value);
}

export const text = (number: number): Field<string> => ({ number, kind: KIND.text, wireType: WIRE.bytes });
export const utf8 = (number: number): Field<Uint8Array> => ({ number, kind: KIND.utf8, wireType: WIRE.bytes });
export const bytes = (number: number): Field<Uint8Array> => ({ number, kind: KIND.bytes, wireType: WIRE.bytes });
export const int64 = (number: number): Field<number | bigint> => ({ number, kind: KIND.int64, wireType: WIRE.varint });
/** Also for enums, which are kept as their numbers. */
export const int32 = (number: number): Field<number> => ({ number, kind: KIND.int32, wireType: WIRE.varint });
export const uint32 = (number: number): Field<number> => ({ number, kind: KIND.uint32, wireType: WIRE.varint });
export const bool = (number: number): Field<boolean> => ({ number, kind: KIND.bool, wireType: WIRE.varint });
export const double = (number: number): Field<number> => ({ number, kind: KIND.double, wireType: WIRE.fixed64 });
export const textMap = (number: number): Field<Map<string, string>> => ({
  number,
  kind: KIND.textMap,
  wireType: WIRE.bytes,
});

export function message(number: number, child: () => MessageTable): Field<WireMessage> {
  return { number, kind: KIND.message, wireType: WIRE.bytes, child };
}

export function messages(number: number, child: () => MessageTable): Field<readonly WireMessage[]> {
  return { number, kind: KIND.messages, wireType: WIRE.bytes, child };
}

export function messageMap(number: number, child: () => MessageTable): Field<Map<string, WireMessage>> {
  return { number, kind: KIND.messageMap, wireType: WIRE.bytes, child };
}

/** Marks a field as member of a `oneof`. */
export function inOneof<T extends WireValue>(oneof: string, field: Field<T>): Field<T> {
  return { ...field, oneof };
}
