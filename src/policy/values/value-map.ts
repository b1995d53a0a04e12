import { numberKey, RegoNumber } from './number.ts';
import { entriesOf, isObject } from './object.ts';
import { RegoSet } from './set.ts';
import type { Value } from './value.ts';
import { countWork } from './work.ts';

type Primitive = null | boolean | number | string;

/** A map keyed by values: equal values are one key. The first of equal keys stays, the last of their entries. */
export class ValueMap<Entry> {
  #primitives: Map<Primitive, Entry> | undefined;
  /** By canonical text: apart, so that no text can be taken for what is written like it. */
  #composites: Map<string, Entry> | undefined;

  get size(): number {
    return (this.#primitives?.size ?? 0) + (this.#composites?.size ?? 0);
  }

  get(key: Value): Entry | undefined {
    if (typeof key !== 'object' || key === null) return this.#primitives?.get(key);
    const double = key instanceof RegoNumber ? numberKey(key) : undefined;
    if (typeof double === 'number') return this.#primitives?.get(double);
    return this.#composites?.get(canonicalText(key));
  }

  has(key: Value): boolean {
    if (typeof key !== 'object' || key === null) return this.#primitives?.has(key) ?? false;
    return this.get(key) !== undefined;
  }

  set(key: Value, entry: Entry): void {
    if (typeof key !== 'object' || key === null) {
      this.#primitives ??= new Map();
      this.#primitives.set(key, entry);
      return;
    }
    const double = key instanceof RegoNumber ? numberKey(key) : undefined;
    if (typeof double === 'number') {
      this.#primitives ??= new Map();
      this.#primitives.set(double, entry);
    } else {
      this.#composites ??= new Map();
      this.#composites.set(canonicalText(key), entry);
    }
  }

  /** In no order that means anything. */
  list(): Entry[] {
    const entries = this.#primitives === undefined ? [] : [...this.#primitives.values()];
    if (this.#composites !== undefined) for (const entry of this.#composites.values()) entries.push(entry);
    return entries;
  }
}

/** One text for all values that are equal. */
export function canonicalText(value: Value): string {
  if (typeof value === 'string') return counted(JSON.stringify(value));
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof RegoNumber) return counted(String(numberKey(value)));
  if (value instanceof RegoSet) return counted(`<${value.list().map(canonicalText).sort().join(',')}>`);
  if (isObject(value)) {
    const members = entriesOf(value).map(([key, member]) => `${canonicalText(key)}:${canonicalText(member)}`);
    return counted(`{${members.sort().join(',')}}`);
  }
  return counted(`[${value.map(canonicalText).join(',')}]`);
}

/** A value whose parts are shared has a text far longer than itself: it is counted as it grows. */
function counted(text: string): string {
  countWork((text.length >>> 4) + 2);
  return text;
}
