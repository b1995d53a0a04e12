import { parseJson } from './json.ts';
import { define } from './object.ts';
import { hashBytes, hashKey, type StoredMembers, StoredObject } from './stored-object.ts';
import type { PlainObject, Value } from './value.ts';

/** A JSON document of which the large objects stay text; made in one thread, it can be sent to another. */
export interface StoredData {
  /** The whole document, UTF-8. */
  readonly text: Uint8Array;
  /** The document with `null` in the place of each large object. */
  readonly small: string;
  readonly large: readonly { readonly path: readonly (string | number)[]; readonly members: StoredMembers }[];
}

/** An object of so many members in so many bytes stays text. */
const LARGE_MEMBERS = 256;
const LARGE_BYTES = 65_536;

/**
 * Finds the large objects of a valid JSON document; may throw a `TypeError` for any other. Reads it through: for another
 * thread than the one that answers. It leaves next to nothing for the garbage collector, whose helpers would stand in the
 * way of that one.
 */
export function storeData(text: Uint8Array): StoredData {
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  const found: Found[] = [];
  /** Where we are: items by their position, members by where their key begins, as a negative number less one. */
  const path: number[] = [];
  /** The members seen so far of the objects that we are in, those of the innermost last. */
  let members = new Uint32Array(4_096);
  let used = 0;
  let at = 0;

  function skip(): void {
    while (at < bytes.length && (bytes[at] ?? 0) <= 0x20) at++;
  }

  function value(): void {
    skip();
    const first = bytes[at];
    if (first === 0x22) at = stringEnd(bytes, at);
    else if (first === 0x7b) object();
    else if (first === 0x5b) array();
    else {
      const start = at;
      while (at < bytes.length && !ENDS.has(bytes[at] ?? 0)) at++;
      if (at === start) throw notJson();
    }
  }

  function object(): void {
    const start = at++;
    const foundBefore = found.length;
    const usedBefore = used;
    for (skip(); bytes[at] !== 0x7d; skip()) {
      if (bytes[at] === 0x2c) {
        at++;
        skip();
      }
      const keyStart = at;
      at = stringEnd(bytes, at);
      const keyEnd = at;
      skip();
      at++;
      skip();
      const valueStart = at;
      path.push(-1 - keyStart);
      if (found.length > foundBefore) forgetBelow(foundBefore);
      value();
      path.pop();
      if (used + 4 > members.length) members = twice(members);
      members[used++] = keyStart;
      members[used++] = keyEnd;
      members[used++] = valueStart;
      members[used++] = at;
    }
    at++;
    const count = (used - usedBefore) / 4;
    if (count >= LARGE_MEMBERS && at - start >= LARGE_BYTES && path.length > 0) {
      // What is large within it is text like the rest of it.
      found.length = foundBefore;
      found.push({ start, end: at, path: decoded(), members: toMembers(bytes, members.slice(usedBefore, used)) });
    }
    used = usedBefore;
  }

  function array(): void {
    at++;
    let index = 0;
    for (skip(); bytes[at] !== 0x5d; skip()) {
      if (bytes[at] === 0x2c) {
        at++;
        skip();
      }
      path.push(index++);
      value();
      path.pop();
    }
    at++;
  }

  function decoded(): readonly (string | number)[] {
    return path.map((step) => (step >= 0 ? step : keyOf(bytes, -1 - step, stringEnd(bytes, -1 - step))));
  }

  /** Of two equal keys the last counts: what was found below the first is parsed like all that is small, and replaced. */
  function forgetBelow(first: number): void {
    const here = decoded();
    for (let index = found.length - 1; index >= first; index--) {
      const other = found[index]?.path ?? [];
      if (other.length >= here.length && here.every((step, depth) => step === other[depth])) found.splice(index, 1);
    }
  }

  value();
  let small = '';
  let copied = 0;
  for (const { start, end } of found) {
    small += `${bytes.toString('utf8', copied, start)}null`;
    copied = end;
  }
  small += bytes.toString('utf8', copied);
  return { text, small, large: found.map(({ path: to, members: own }) => ({ path: to, members: own })) };
}

interface Found {
  readonly start: number;
  readonly end: number;
  readonly path: readonly (string | number)[];
  readonly members: StoredMembers;
}

/** What ends a number or a word: a comma, a bracket, a space. */
const ENDS: ReadonlySet<number> = new Set([0x2c, 0x5d, 0x7d, 0x20, 0x0a, 0x0d, 0x09]);

/** Behind the quote that ends the text which begins with the one there. */
function stringEnd(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  for (; bytes[at] !== 0x22; at++) {
    if (bytes[at] === 0x5c) at++;
    if (at >= bytes.length) throw notJson();
  }
  return at + 1;
}

function twice(list: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const longer = new Uint32Array(list.length * 2);
  longer.set(list);
  return longer;
}

/** As `parseJson` reads it: half a surrogate pair becomes U+FFFD. What is quoted is a text. */
function keyOf(text: Buffer, start: number | undefined, end: number | undefined): string {
  return (JSON.parse(text.toString('utf8', start, end)) as string).toWellFormed();
}

function toMembers(text: Buffer, offsets: Uint32Array): StoredMembers {
  const count = offsets.length / 4;
  let capacity = 8;
  while (capacity < count * 2) capacity *= 2;
  const slots = new Uint32Array(capacity);
  let size = 0;
  for (let member = 0; member < count; member++) {
    const start = offsets[member * 4] ?? 0;
    const end = offsets[member * 4 + 1] ?? 0;
    let at = hashOf(text, start, end) & (capacity - 1);
    for (let slot = slots[at] ?? 0; slot !== 0; slot = slots[at] ?? 0) {
      const other = (slot - 1) * 4;
      // Of two equal keys the last counts, as for every reader of JSON.
      if (isSameKey(text, start, end, offsets[other] ?? 0, offsets[other + 1] ?? 0)) break;
      at = (at + 1) & (capacity - 1);
    }
    if (slots[at] === 0) size += 1;
    slots[at] = member + 1;
  }
  return { offsets, slots, size };
}

/** `hashKey` of what is quoted there: of its bytes, where these are its code units. */
function hashOf(text: Buffer, start: number, end: number): number {
  return hashBytes(text, start + 1, end - 1) ?? hashKey(keyOf(text, start, end));
}

/** Keys without escapes are equal where their bytes are. */
function isSameKey(text: Buffer, start: number, end: number, otherStart: number, otherEnd: number): boolean {
  if (text.compare(text, otherStart, otherEnd, start, end) === 0) return true;
  const isEscaped = (from: number, to: number): boolean => text.subarray(from, to).includes(0x5c);
  if (!isEscaped(start, end) && !isEscaped(otherStart, otherEnd)) return false;
  return keyOf(text, start, end) === keyOf(text, otherStart, otherEnd);
}

/** The document as a value; costs what its small part costs. Throws a `TypeError` for what `storeData` did not make. */
export function openStoredData({ text, small, large }: StoredData): Value {
  const root = parseJson(small);
  if (root === undefined) throw notJson();
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  for (const { path, members } of large) put(root, path, new StoredObject(bytes, members));
  return root;
}

function put(root: Value, path: readonly (string | number)[], value: StoredObject): void {
  const last = path.at(-1);
  let parent: unknown = root;
  // Each step was there when the path was found.
  for (const step of path.slice(0, -1)) parent = (parent as { readonly [step: string]: unknown } | null)?.[step];
  if (typeof parent !== 'object' || parent === null || last === undefined) return;
  if (Array.isArray(parent)) parent[Number(last)] = value;
  // It was just parsed, and is nobody else's.
  else if (Object.hasOwn(parent, last)) define(parent as PlainObject, String(last), value);
}

function notJson(): TypeError {
  return new TypeError('stored data are no JSON');
}
