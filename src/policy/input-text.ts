import { INPUT_MEMBERS, type InputMember, type PolicyInput } from '../decision/input.ts';
import { type JsonObject, type JsonValue, RawJson } from '../decision/json.ts';
import type { Projection } from './projection.ts';

/** Writes `input` as JSON text. Throws a `TypeError` for what JSON cannot say. */
export type WriteInput = (input: PolicyInput) => string;

/**
 * Makes the writer for one entrypoint: members that it cannot read are neither built nor written. Numbers keep every
 * digit, `undefined` members are left out, a lone surrogate becomes U+FFFD as it would in UTF-8.
 */
export function createInputWriter(projection: Projection): WriteInput {
  const members = inputMembers(projection);
  return (input) => {
    let text = '{';
    for (const { name, key, part } of members) {
      const value = input[name]();
      if (value === undefined) continue;
      text += text.length > 1 ? `,${key}` : key;
      text += part === 'whole' ? writeValue(value, 1) : writePart(value, part, 1);
    }
    return `${text}}`;
  };
}

/** A JSON value as text, by the same rules. */
export function toJsonText(value: JsonValue): string {
  return writeValue(value, 0);
}

interface Member<Name extends string> {
  readonly name: Name;
  /** `"name":` */
  readonly key: string;
  readonly part: Part;
}

type Part = 'whole' | readonly Member<string>[];

function inputMembers(projection: Projection): readonly Member<InputMember>[] {
  const members: Member<InputMember>[] = [];
  for (const name of INPUT_MEMBERS) {
    const part = projection === 'whole' ? 'whole' : projection.members.get(name);
    if (part !== undefined) members.push({ name, key: `"${name}":`, part: toPart(part) });
  }
  return members;
}

function toPart(projection: Projection): Part {
  if (projection === 'whole' || projection.members.size === 0) return 'whole';
  return [...projection.members].map(([name, part]) => ({ name, key: `${quote(name)}:`, part: toPart(part) }));
}

/** Deeper values are refused: the engine reads JSON by recursion, on a stack of its own. */
const MAX_DEPTH = 512;

function writePart(value: JsonValue, part: readonly Member<string>[], depth: number): string {
  if (!isPlainObject(value)) return writeValue(value, depth);
  let text = '{';
  for (const { name, key, part: below } of part) {
    // Only own members: `constructor` must not be found on a prototype.
    if (!Object.hasOwn(value, name)) continue;
    const member = value[name];
    if (member === undefined) continue;
    text += text.length > 1 ? `,${key}` : key;
    text += below === 'whole' ? writeValue(member, depth + 1) : writePart(member, below, depth + 1);
  }
  return `${text}}`;
}

function writeValue(value: JsonValue, depth: number): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'number') return writeNumber(value);
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (typeof value === 'bigint') return value.toString();
  if (value === null) return 'null';
  if (typeof value !== 'object') throw new TypeError(`a ${typeof value} cannot be part of \`input\``);
  if (depth > MAX_DEPTH) throw new TypeError('`input` is nested too deeply');
  if (value instanceof RawJson) return splice(value.text);
  return isList(value) ? writeList(value, depth) : writeObject(value, depth);
}

function writeNumber(value: number): string {
  if (!Number.isFinite(value)) throw new TypeError(`\`input\` holds ${value}, which JSON cannot say`);
  return Object.is(value, -0) ? '-0' : String(value);
}

function writeList(list: readonly JsonValue[], depth: number): string {
  let text = '[';
  for (let index = 0; index < list.length; index++) {
    const item = list[index];
    if (item === undefined) throw new TypeError('a list in `input` has a hole');
    text += index > 0 ? `,${writeValue(item, depth + 1)}` : writeValue(item, depth + 1);
  }
  return `${text}]`;
}

function writeObject(object: JsonObject, depth: number): string {
  let text = '{';
  for (const name of Object.keys(object)) {
    const value = object[name];
    if (value === undefined) continue;
    text += `${text.length > 1 ? ',' : ''}${quote(name)}:${writeValue(value, depth + 1)}`;
  }
  return `${text}}`;
}

function quote(text: string): string {
  if (isPlain(text)) return `"${text}"`;
  return JSON.stringify(text.isWellFormed() ? text : text.toWellFormed());
}

/** Whether a text is short and stands in JSON as it is: a loop here beats two calls out of JavaScript. */
function isPlain(text: string): boolean {
  if (text.length > 48) return false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) return false;
  }
  return true;
}

/** A `\u` escape of a surrogate code unit, alone or as the first of a pair. */
const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/;

/** Text is spliced as it is, but for half pairs: the engine stops at them. */
function splice(text: string): string {
  if (!SURROGATE_ESCAPE.test(text)) return text;
  // A pair passes; an escaped backslash is consumed, so that the `u` behind it starts no escape.
  return text.replace(
    /\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\[^u]/g,
    (found) => (found.length === 6 ? '\\ufffd' : found),
  );
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function isPlainObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !isList(value) && !(value instanceof RawJson);
}
