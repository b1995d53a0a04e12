import { parseJson } from './json.ts';
import { RegoObject } from './object.ts';
import type { Value } from './value.ts';

/** Where the members of one object stand in a JSON text, and how they are found by their keys. */
export interface StoredMembers {
  /** Four offsets a member: where its key begins and ends, quotes included, and where its value does. */
  readonly offsets: Uint32Array;
  /** Open addressing by {@link hashKey}: the number of a member plus one, 0 where there is none. A power of two long. */
  readonly slots: Uint32Array;
  /** Members, each key counted once. */
  readonly size: number;
}

/** What was read of an object so far is kept up to this many members. */
const MAX_KEPT = 50_000;

/**
 * A large object of the bundle's data whose members stay JSON text until they are asked for: taking it over costs
 * nothing, whatever its size. Walking it reads all of it, once.
 */
export class StoredObject extends RegoObject {
  readonly #text: Buffer;
  readonly #members: StoredMembers;
  readonly #read = new Map<string, Value>();
  #list: (readonly [Value, Value])[] | undefined;

  constructor(text: Buffer, members: StoredMembers) {
    super();
    this.#text = text;
    this.#members = members;
  }

  override get size(): number {
    return this.#members.size;
  }

  override get(key: Value): Value | undefined {
    if (typeof key !== 'string') return undefined;
    const known = this.#read.get(key);
    if (known !== undefined) return known;
    const member = findMember(this.#text, this.#members, key);
    if (member < 0) return undefined;
    const value = this.#valueOf(member);
    if (this.#read.size >= MAX_KEPT) this.#read.clear();
    this.#read.set(key, value);
    return value;
  }

  override set(): never {
    throw new TypeError('data do not change');
  }

  override list(): (readonly [Value, Value])[] {
    this.#list ??= this.#readAll();
    return this.#list;
  }

  #readAll(): (readonly [Value, Value])[] {
    const entries: (readonly [Value, Value])[] = [];
    for (const slot of this.#members.slots) {
      if (slot === 0) continue;
      const key = keyAt(this.#text, this.#members, slot - 1);
      entries.push([key, this.#read.get(key) ?? this.#valueOf(slot - 1)]);
    }
    return entries;
  }

  #valueOf(member: number): Value {
    const { offsets } = this.#members;
    const value = parseJson(this.#text.toString('utf8', offsets[member * 4 + 2], offsets[member * 4 + 3]));
    if (value === undefined) throw new TypeError('stored data are no JSON');
    return value;
  }
}

/** The member of this key, -1 where there is none. */
export function findMember(text: Buffer, members: StoredMembers, key: string): number {
  const { slots } = members;
  const mask = slots.length - 1;
  for (let at = hashKey(key) & mask; ; at = (at + 1) & mask) {
    const slot = slots[at] ?? 0;
    if (slot === 0) return -1;
    if (keyAt(text, members, slot - 1) === key) return slot - 1;
  }
}

function keyAt(text: Buffer, { offsets }: StoredMembers, member: number): string {
  const key = parseJson(text.toString('utf8', offsets[member * 4], offsets[member * 4 + 1]));
  if (typeof key !== 'string') throw new TypeError('stored data are no JSON');
  return key;
}

/** FNV-1a over UTF-16 code units. Who may choose the keys of data may also choose what policy says. */
export function hashKey(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** The same for a JSON text of ASCII without escapes that stands there; `undefined` for any other. */
export function hashBytes(text: Uint8Array, start: number, end: number): number | undefined {
  let hash = 0x811c9dc5;
  for (let at = start; at < end; at++) {
    const byte = text[at] ?? 0;
    if (byte >= 0x80 || byte === 0x5c) return undefined;
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}
