import type { Random } from './seed.ts';

/**
 * Changes a protobuf message in one of the ways in which a wire can lie; the original stays as it is. Half of the
 * mutants are changed somewhere inside, with the lengths around it put right again: else nearly every one would be
 * refused at its outermost length and nothing inside be tried.
 */
export function mutateWire(given: Uint8Array, random: Random): { readonly bytes: Uint8Array; readonly how: string } {
  // A Buffer's `slice` shares memory, a Uint8Array's copies.
  const bytes = new Uint8Array(given);
  const [how, mutate] = random.pick(MUTATIONS);
  return random.chance(0.5)
    ? { bytes: mutate(bytes, random), how }
    : { bytes: mutateInside(bytes, random, mutate, 0), how: `inner ${how}` };
}

/** Mutates one to three times over. */
export function mutateWireOften(bytes: Uint8Array, random: Random): { bytes: Uint8Array; how: string } {
  let mutant = mutateWire(bytes, random);
  const hows = [mutant.how];
  for (let more = random.below(3); more > 0; more--) {
    mutant = mutateWire(mutant.bytes, random);
    hows.push(mutant.how);
  }
  return { bytes: mutant.bytes, how: hows.join('+') };
}

function mutateInside(bytes: Uint8Array, random: Random, mutate: Mutation, depth: number): Uint8Array {
  const fields = splitFields(bytes) ?? [];
  const nested = fields.filter((field) => field.content !== undefined);
  if (nested.length === 0 || depth > 8 || (depth > 2 && random.chance(0.2))) return mutate(bytes, random);
  const chosen = random.pick(nested);
  return joinFields(
    fields.map((field) =>
      field !== chosen
        ? field
        : { ...field, content: mutateInside(field.content ?? NOTHING, random, mutate, depth + 1) },
    ),
  );
}

/** One field as sent: its tag, and either its content or, for the other wire types, its bytes as they are. */
interface SentField {
  readonly tag: Uint8Array;
  readonly content?: Uint8Array;
  readonly rest?: Uint8Array;
}

/** The fields of a message, `undefined` when the bytes are none. */
function splitFields(bytes: Uint8Array): SentField[] | undefined {
  const fields: SentField[] = [];
  let at = 0;
  const varint = (): number | undefined => {
    let value = 0;
    for (let index = 0; index < 5; index++) {
      const byte = bytes[at++];
      if (byte === undefined) return undefined;
      value += (byte & 0x7f) * 2 ** (7 * index);
      if (byte < 0x80) return value;
    }
    return undefined;
  };
  while (at < bytes.length) {
    const start = at;
    const key = varint();
    if (key === undefined || key < 8) return undefined;
    const tag = bytes.slice(start, at);
    const from = at;
    const wireType = key & 7;
    if (wireType === 2) {
      const length = varint();
      if (length === undefined || at + length > bytes.length) return undefined;
      fields.push({ tag, content: bytes.slice(at, at + length) });
      at += length;
      continue;
    }
    if (wireType === 0) {
      if (varint() === undefined) return undefined;
    } else if (wireType === 1 || wireType === 5) at += wireType === 1 ? 8 : 4;
    else return undefined;
    if (at > bytes.length) return undefined;
    fields.push({ tag, rest: bytes.slice(from, at) });
  }
  return fields;
}

function joinFields(fields: readonly SentField[]): Uint8Array {
  return concat(
    fields.flatMap(({ tag, content, rest }) =>
      content === undefined ? [tag, rest ?? NOTHING] : [tag, encodeVarint(content.length), content],
    ),
  );
}

function encodeVarint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80);
  return Uint8Array.from([...bytes, rest]);
}

const NOTHING = new Uint8Array();

type Mutation = (bytes: Uint8Array, random: Random) => Uint8Array;

const MUTATIONS: readonly (readonly [string, Mutation])[] = [
  ['flip', flipBit],
  ['set', setByte],
  ['truncate', (bytes, random) => bytes.slice(0, random.below(bytes.length + 1))],
  ['insert', (bytes, random) => splice(bytes, random, 0, random.bytes(1 + random.below(8)))],
  ['delete', (bytes, random) => splice(bytes, random, 1 + random.below(8), new Uint8Array())],
  ['length', lieAboutLength],
  ['repeat', repeatField],
  ['field', (bytes, random) => splice(bytes, random, 0, hostileField(random))],
  ['drop', (bytes, random) => editFields(bytes, random, () => [])],
  ['twice', (bytes, random) => editFields(bytes, random, (field) => [field, field])],
  ['renumber', (bytes, random) => editFields(bytes, random, (field) => [{ ...field, tag: renumbered(field, random) }])],
  ['utf8', (bytes, random) => splice(bytes, random, 2, random.pick(BAD_UTF8))],
];

const BAD_UTF8: readonly Uint8Array[] = [
  Uint8Array.of(0xff),
  Uint8Array.of(0xc0, 0xaf),
  Uint8Array.of(0xed, 0xa0, 0x80),
  Uint8Array.of(0xf4, 0x90, 0x80, 0x80),
  Uint8Array.of(0xe2, 0x82),
];

/** Replaces one whole field by others. */
function editFields(bytes: Uint8Array, random: Random, edit: (field: SentField) => readonly SentField[]): Uint8Array {
  const fields = splitFields(bytes);
  if (fields === undefined || fields.length === 0) return flipBit(bytes, random);
  const chosen = random.pick(fields);
  return joinFields(fields.flatMap((field) => (field === chosen ? edit(field) : [field])));
}

/** The same wire type under another number. */
function renumbered(field: SentField, random: Random): Uint8Array {
  return Uint8Array.of(((1 + random.below(14)) << 3) | ((field.tag[0] ?? 0) & 7));
}

function flipBit(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice();
  const at = random.below(copy.length);
  if (copy.length > 0) copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
  return copy;
}

function setByte(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice();
  if (copy.length > 0) copy[random.below(copy.length)] = random.pick([0x00, 0x01, 0x7f, 0x80, 0xff, 0x0a, 0x0b, 0x0c]);
  return copy;
}

/** Makes a byte that looks like the length of a length-delimited field too long, too short or a long varint. */
function lieAboutLength(bytes: Uint8Array, random: Random): Uint8Array {
  const places = [...bytes.keys()].filter((at) => at > 0 && ((bytes[at - 1] ?? 0) & 7) === 2);
  if (places.length === 0) return setByte(bytes, random);
  const at = random.pick(places);
  const lie = random.pick([
    Uint8Array.of(((bytes[at] ?? 0) + 1) & 0x7f),
    Uint8Array.of(((bytes[at] ?? 0) - 1) & 0x7f),
    Uint8Array.of(0),
    Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x07),
    Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01),
    // The same length in a longer form, which protobuf allows.
    Uint8Array.of((bytes[at] ?? 0) | 0x80, 0),
  ]);
  return concat([bytes.subarray(0, at), lie, bytes.subarray(at + 1)]);
}

/** Sends a stretch of the message, often a whole field, a second time. */
function repeatField(bytes: Uint8Array, random: Random): Uint8Array {
  const from = random.below(bytes.length + 1);
  const until = Math.min(bytes.length, from + 2 + random.below(64));
  const into = random.chance(0.5) ? bytes.length : random.below(bytes.length + 1);
  return concat([bytes.subarray(0, into), bytes.subarray(from, until), bytes.subarray(into)]);
}

/** A field of any number and wire type, groups, field number 0 and reserved wire types among them. */
function hostileField(random: Random): Uint8Array {
  const tag = (random.below(20) << 3) | random.below(8);
  return concat([
    tag < 0x80 ? Uint8Array.of(tag) : Uint8Array.of((tag & 0x7f) | 0x80, tag >>> 7),
    random.bytes(random.below(12)),
  ]);
}

function splice(bytes: Uint8Array, random: Random, remove: number, insert: Uint8Array): Uint8Array {
  const at = random.below(bytes.length + 1);
  return concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
