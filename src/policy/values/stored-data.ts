import { parseJson } from './json.ts';
import { define } from './object.ts';
import { findMember, hashKey, type StoredMembers, StoredObject } from './stored-object.ts';
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

/** Finds the large objects of a valid JSON document. Reads it through: for another thread than the one that answers. */
export function storeData(text: Uint8Array): StoredData {
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  const found: { start: number; end: number; path: readonly (string | number)[]; offsets: number[] }[] = [];
  const path: (string | number)[] = [];
  let at = 0;

  function skip(): void {
    while (at < bytes.length && (bytes[at] ?? 0) <= 0x20) at++;
  }

  function string(): void {
    for (at++; bytes[at] !== 0x22; at++) if (bytes[at] === 0x5c) at++;
    at++;
  }

  /** Of two equal keys the last counts: what was found below the first is parsed like all that is small, and replaced. */
  function forgetBelow(): void {
    for (let index = found.length - 1; index >= 0; index--) {
      const other = found[index]?.path ?? [];
      if (other.length >= path.length && path.every((step, depth) => step === other[depth])) found.splice(index, 1);
    }
  }

  function value(): void {
    skip();
    const first = bytes[at];
    if (first === 0x22) string();
    else if (first === 0x7b) object();
    else if (first === 0x5b) array();
    else while (at < bytes.length && !ENDS.has(bytes[at] ?? 0)) at++;
  }

  function object(): void {
    const start = at++;
    const before = found.length;
    const offsets: number[] = [];
    for (skip(); bytes[at] !== 0x7d; skip()) {
      if (bytes[at] === 0x2c) {
        at++;
        skip();
      }
      const keyStart = at;
      string();
      const keyEnd = at;
      skip();
      at++;
      skip();
      const valueStart = at;
      path.push(keyOf(bytes, keyStart, keyEnd));
      forgetBelow();
      value();
      path.pop();
      offsets.push(keyStart, keyEnd, valueStart, at);
    }
    at++;
    if (offsets.length / 4 < LARGE_MEMBERS || at - start < LARGE_BYTES || path.length === 0) return;
    // What is large within it is text like the rest of it.
    found.length = before;
    found.push({ start, end: at, path: [...path], offsets });
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

  value();
  let small = '';
  let copied = 0;
  for (const { start, end } of found) {
    small += `${bytes.toString('utf8', copied, start)}null`;
    copied = end;
  }
  small += bytes.toString('utf8', copied);
  return { text, small, large: found.map((each) => ({ path: each.path, members: toMembers(bytes, each.offsets) })) };
}

/** What ends a number or a word: a comma, a bracket, a space. */
const ENDS: ReadonlySet<number> = new Set([0x2c, 0x5d, 0x7d, 0x20, 0x0a, 0x0d, 0x09]);

/** As `parseJson` reads it: half a surrogate pair becomes U+FFFD. What is quoted is a text. */
function keyOf(text: Buffer, start: number | undefined, end: number | undefined): string {
  return (JSON.parse(text.toString('utf8', start, end)) as string).toWellFormed();
}

function toMembers(text: Buffer, list: readonly number[]): StoredMembers {
  const count = list.length / 4;
  let capacity = 8;
  while (capacity < count * 2) capacity *= 2;
  const offsets = Uint32Array.from(list);
  const slots = new Uint32Array(capacity);
  let size = 0;
  for (let member = 0; member < count; member++) {
    const key = keyOf(text, offsets[member * 4], offsets[member * 4 + 1]);
    const before = findMember(text, { offsets, slots, size }, key);
    let at = hashKey(key) & (capacity - 1);
    // Of two equal keys the last counts, as for every reader of JSON.
    if (before >= 0) while (slots[at] !== before + 1) at = (at + 1) & (capacity - 1);
    else {
      while (slots[at] !== 0) at = (at + 1) & (capacity - 1);
      size += 1;
    }
    slots[at] = member + 1;
  }
  return { offsets, slots, size };
}

/** The document as a value; costs what its small part costs. Throws a `TypeError` for what `storeData` did not make. */
export function openStoredData({ text, small, large }: StoredData): Value {
  const root = parseJson(small);
  if (root === undefined) throw new TypeError('stored data are no JSON');
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
