import { RawJson } from '../decision/json.ts';
import type { Principal } from '../decision/principal.ts';
import { quoteSafe } from '../telemetry/json-line.ts';
import { type AllowList, allowed, WHOLE } from './allow-list.ts';
import { pointerMember } from './mask.ts';
import type { PresentedCredentials } from './presented.ts';

/**
 * Where a text comes from decides what may be logged of it. `caller`: chosen by whoever sent the request. `verified`:
 * proven by a credential or the connection. `policy`: made by a policy, out of anything it could read.
 */
export type Origin = 'caller' | 'verified' | 'policy';

export interface CopyOptions {
  readonly presented: PresentedCredentials | undefined;
  /** Whether a text is a constant of the policy, and so cannot carry a caller's secret. */
  readonly isConstant: (text: string) => boolean;
}

/** Writes values of one event as JSON: bounded, without credentials, noting the pointer of whatever it had to touch. */
export class EventCopy {
  readonly erased: string[] = [];
  readonly masked: string[] = [];
  /** Whose credential is the only one that the request presented, so that nothing else decides what is masked. */
  readonly presentedOnlyBy: Principal | undefined;
  readonly #presented: PresentedCredentials | undefined;
  readonly #isConstant: (text: string) => boolean;

  constructor({ presented, isConstant }: CopyOptions) {
    this.#presented = presented;
    this.presentedOnlyBy = presented?.onlyBy;
    this.#isConstant = isConstant;
  }

  /** What the list keeps of a value, as JSON; `undefined` when that is nothing. */
  value(
    value: unknown,
    list: AllowList | typeof WHOLE,
    pointer: string,
    origin: Origin,
    depth = 0,
  ): string | undefined {
    switch (typeof value) {
      case 'string':
        return list === WHOLE ? quoteSafe(this.text(value, pointer, origin)) : undefined;
      case 'number':
        return list === WHOLE && Number.isFinite(value) ? String(value) : undefined;
      case 'boolean':
        return list === WHOLE ? String(value) : undefined;
      case 'bigint':
        return list === WHOLE ? quoteSafe(this.text(String(value), pointer, origin)) : undefined;
      case 'object':
        if (value === null) return list === WHOLE ? 'null' : undefined;
        if (depth >= MAX_DEPTH || value instanceof RawJson) return this.erase(pointer);
        return Array.isArray(value)
          ? this.#list(value, list, pointer, origin, depth)
          : this.#object(value, list, pointer, origin, depth);
      case 'undefined':
      case 'function':
      case 'symbol':
        return undefined;
    }
  }

  /** One text as its origin allows it to be logged, cut to `max` characters. */
  text(text: string, pointer: string, origin: Origin, max = MAX_TEXT): string {
    if (origin === 'policy') {
      if (this.#isConstant(text)) return cut(text, max);
      this.erase(pointer);
      return `dynamic:${text.length}`;
    }
    if (this.#presented === undefined) return cut(text, max);
    // Masked before the last cut, so that no cut can leave half of a credential; cut once before to bound the search.
    const bounded = text.length > 2 * max ? text.slice(0, 2 * max) : text;
    const masked = this.#presented.mask(bounded, origin === 'verified');
    if (masked !== bounded) this.masked.push(pointer);
    return cut(masked, max);
  }

  /** Notes that something was left out here. */
  erase(pointer: string): undefined {
    if (this.erased.length < MAX_POINTERS && this.erased.at(-1) !== pointer) this.erased.push(pointer);
    return undefined;
  }

  #object(
    value: object,
    list: AllowList | typeof WHOLE,
    pointer: string,
    origin: Origin,
    depth: number,
  ): string | undefined {
    let json = '';
    let members = 0;
    for (const [name, member] of Object.entries(value)) {
      const kept = allowed(list, name);
      if (kept === undefined || member === undefined) continue;
      if (members === MAX_MEMBERS || !this.#isLoggableName(name, origin)) {
        this.erase(pointer);
        continue;
      }
      const written = this.value(member, kept, `${pointer}/${pointerMember(name)}`, origin, depth + 1);
      if (written === undefined) continue;
      json += `${members === 0 ? '{' : ','}${quoteSafe(name)}:${written}`;
      members += 1;
    }
    return members === 0 ? undefined : `${json}}`;
  }

  /** Whether a name that a policy made may stand in the event. */
  #isLoggableName(name: string, origin: Origin): boolean {
    if (name.length > MAX_NAME) return false;
    if (origin === 'policy') return this.#isConstant(name);
    return this.#presented === undefined || this.#presented.mask(name, origin === 'verified') === name;
  }

  #list(
    value: readonly unknown[],
    list: AllowList | typeof WHOLE,
    pointer: string,
    origin: Origin,
    depth: number,
  ): string | undefined {
    if (list !== WHOLE) return undefined;
    if (value.length > MAX_ITEMS) this.erase(`${pointer}/${MAX_ITEMS}`);
    let json = '[';
    for (let index = 0; index < value.length && index < MAX_ITEMS; index += 1) {
      if (index > 0) json += ',';
      json += this.value(value[index], WHOLE, `${pointer}/${index}`, origin, depth + 1) ?? 'null';
    }
    return `${json}]`;
  }
}

/** A text of at most `max` characters, with `…` where it was cut. */
export function cut(text: string, max: number): string {
  // `toWellFormed`: half a surrogate pair is no text that every JSON reader takes.
  return text.length <= max ? text.toWellFormed() : `${text.slice(0, max - 1).toWellFormed()}…`;
}

const MAX_TEXT = 256;
const MAX_NAME = 128;
const MAX_MEMBERS = 32;
const MAX_ITEMS = 32;
const MAX_DEPTH = 6;
const MAX_POINTERS = 64;
