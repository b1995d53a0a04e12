import { INPUT_MEMBERS, type InputMember } from '../decision/input.ts';
import { type JsonObject, type JsonValue, RawJson } from '../decision/json.ts';
import type { Projection } from './projection.ts';
import { isInherited } from './values/object.ts';

/** What an entrypoint can read of a value: all of it, or members by name. */
export type Part = 'whole' | readonly PartMember[];

export interface PartMember {
  readonly name: string;
  readonly part: Part;
  /** Whether a prototype has the name too. */
  readonly inherited: boolean;
}

/** The members of `input` that an entrypoint can read, in one order for all requests. */
export function inputParts(projection: Projection): readonly InputPart[] {
  return INPUT_MEMBERS.flatMap((name) => {
    const projected = projection === 'whole' ? 'whole' : projection.members.get(name);
    return projected === undefined ? [] : [{ name, part: toPart(projected), shared: SHARED.has(name) }];
  });
}

export interface InputPart {
  readonly name: InputMember;
  readonly part: Part;
  /** Whether it may be one frozen object for many requests, which never changes in any of its parts. */
  readonly shared: boolean;
}

const SHARED: ReadonlySet<InputMember> = new Set(['route', 'identity']);

function toPart(projection: Projection): Part {
  if (projection === 'whole' || projection.members.size === 0) return 'whole';
  return Array.from(projection.members, ([name, part]) => ({
    name,
    part: toPart(part),
    inherited: isInherited(name),
  }));
}

/** Only own members: `constructor` must not be found on a prototype. */
export function memberOf(object: JsonObject, { name, inherited }: PartMember): JsonValue | undefined {
  return !inherited || Object.hasOwn(object, name) ? object[name] : undefined;
}

/** Whether it has members, and so is read by them. */
export function isJsonObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof RawJson);
}
