import type { InputMember, PolicyInput } from '../decision/input.ts';
import { type JsonObject, type JsonValue, RawJson } from '../decision/json.ts';
import { inputParts, isJsonObject, memberOf, type Part } from './input-parts.ts';
import type { Projection } from './projection.ts';
import { parseJson } from './values/json.ts';
import { numberOf, numberOfBigInt, numberOfDouble } from './values/number.ts';
import { define } from './values/object.ts';
import type { PlainObject, Value } from './values/value.ts';

/** Makes `input` of a request's members. Throws a `TypeError` for what is no value of Rego. */
export type ReadInput = (input: PolicyInput) => PlainObject;

/**
 * Makes the reader for one entrypoint: members that it cannot read are neither built nor looked at. Numbers keep every
 * digit, `undefined` members are left out, a lone surrogate becomes U+FFFD as it would in UTF-8.
 */
export function createInputReader(projection: Projection): ReadInput {
  const members: { readonly name: InputMember; readonly read: (value: JsonValue) => Value }[] = [];
  for (const { name, part, shared } of inputParts(projection)) {
    const read = part === 'whole' ? readWhole : (value: JsonValue): Value => readPart(value, part, 1);
    members.push({ name, read: shared ? onceEach(read) : read });
  }
  return (input) => {
    const object: { [name: string]: Value } = {};
    for (const { name, read } of members) {
      const value = input[name]();
      if (value !== undefined) object[name] = read(value);
    }
    return object;
  };
}

function onceEach(read: (value: JsonValue) => Value): (value: JsonValue) => Value {
  const known = new WeakMap<object, Value>();
  return (value) => {
    if (typeof value !== 'object' || value === null) return read(value);
    const before = known.get(value);
    if (before !== undefined) return before;
    const made = read(value);
    if (Object.isFrozen(value)) known.set(value, made);
    return made;
  };
}

function readWhole(value: JsonValue): Value {
  return toValue(value, 1);
}

/** As deep as the other engine reads: an evaluation walks values by recursion. */
const MAX_DEPTH = 512;

function readPart(value: JsonValue, part: Exclude<Part, 'whole'>, depth: number): Value {
  if (!isJsonObject(value)) return toValue(value, depth);
  const object: { [name: string]: Value } = {};
  for (const below of part) {
    const member = memberOf(value, below);
    if (member === undefined) continue;
    const read = below.part === 'whole' ? toValue(member, depth + 1) : readPart(member, below.part, depth + 1);
    if (below.inherited) define(object, below.name, read);
    else object[below.name] = read;
  }
  return object;
}

function toValue(value: JsonValue, depth: number): Value {
  if (typeof value === 'string') return value.isWellFormed() ? value : value.toWellFormed();
  if (typeof value === 'number') return toNumber(value);
  if (typeof value === 'boolean' || value === null) return value;
  if (typeof value === 'bigint') return numberOfBigInt(value);
  if (typeof value !== 'object') throw new TypeError(`a ${typeof value} cannot be part of \`input\``);
  if (depth > MAX_DEPTH) throw new TypeError('`input` is nested too deeply');
  if (value instanceof RawJson) return readText(value.text);
  return isList(value) ? readList(value, depth) : readObject(value, depth);
}

function toNumber(value: number): Value {
  if (!Number.isFinite(value)) throw new TypeError(`\`input\` holds ${value}, which JSON cannot say`);
  return Object.is(value, -0) ? numberOf('-0') : numberOfDouble(value);
}

function readText(text: string): Value {
  const value = parseJson(text);
  if (value === undefined) throw new TypeError('a part of `input` is no JSON');
  return value;
}

function readList(list: readonly JsonValue[], depth: number): Value {
  const items: Value[] = [];
  for (let index = 0; index < list.length; index++) {
    const item = list[index];
    if (item === undefined) throw new TypeError('a list in `input` has a hole');
    items.push(toValue(item, depth + 1));
  }
  return items;
}

function readObject(object: JsonObject, depth: number): Value {
  const read: PlainObject = {};
  for (const name of Object.keys(object)) {
    const member = object[name];
    if (member !== undefined) define(read, name.toWellFormed(), toValue(member, depth + 1));
  }
  return read;
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}
