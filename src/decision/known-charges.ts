import { ownText } from './own-text.ts';

type Fields = { readonly [key: string]: unknown };

/** What charges were read as lately, by all that they say. */
export interface KnownCharges<Terms> {
  find(charge: Fields): Terms | undefined;
  /** Only for a charge that could be read. Answers the terms that stand for it from here on, if it is kept. */
  add(charge: Fields, terms: Terms): Terms;
}

/** Keeps a few charges of each name. Much is known by the identity of terms, which equal charges therefore share. */
export function createKnownCharges<Terms>(read: (charge: Fields) => Terms): KnownCharges<Terms> {
  let byName = new Map<unknown, Variants<Terms>>();
  return {
    find: (charge) => {
      const variants = byName.get(charge['name']);
      if (variants === undefined) return undefined;
      for (const { names, values, terms } of variants.kept) if (isSame(charge, names, values)) return terms;
      return undefined;
    },
    add: (charge, terms) => {
      const name = charge['name'];
      let variants = byName.get(name);
      if (variants === undefined) {
        if (byName.size >= MAX_NAMES) byName = new Map();
        variants = { kept: [], missed: 0 };
        byName.set(own(name), variants);
      }
      const { kept } = variants;
      // Where costs differ with every request, few of them are worth keeping.
      if (kept.length >= MAX_VARIANTS && ++variants.missed % MISSES_EACH !== 0) return terms;
      const copy = copyOf(charge);
      const known = { names: Object.keys(copy), values: Object.values(copy), terms: read(copy) };
      if (kept.length < MAX_VARIANTS) kept.push(known);
      else kept[(variants.missed / MISSES_EACH) % MAX_VARIANTS] = known;
      return known.terms;
    },
  };
}

interface Variants<Terms> {
  readonly kept: { readonly names: readonly string[]; readonly values: readonly unknown[]; readonly terms: Terms }[];
  missed: number;
}

const MAX_NAMES = 512;
const MAX_VARIANTS = 4;
const MISSES_EACH = 8;

function isSame(charge: Fields, names: readonly string[], values: readonly unknown[]): boolean {
  let at = 0;
  // Without a list of them, which would be made for each charge; nothing that charges inherit can be listed.
  for (const name in charge) {
    if (name !== names[at] || !isSameMember(charge[name], values[at])) return false;
    at += 1;
  }
  return at === names.length;
}

/** Members of a charge are scalars, lists of texts, or objects of scalars; anything else is never the same. */
function isSameMember(one: unknown, other: unknown): boolean {
  if (typeof one !== 'object' || one === null) return one === other;
  if (Array.isArray(one)) return Array.isArray(other) && isSameList(one, other);
  if (typeof other !== 'object' || other === null || Array.isArray(other)) return false;
  const names = Object.keys(one);
  if (names.length !== Object.keys(other).length) return false;
  for (const name of names) {
    if (!Object.hasOwn(other, name)) return false;
    // Whatever has the keys can be asked for them.
    const member = (one as Fields)[name];
    if (typeof member === 'object' || member !== (other as Fields)[name]) return false;
  }
  return true;
}

function isSameList(one: readonly unknown[], other: readonly unknown[]): boolean {
  if (one.length !== other.length) return false;
  for (let at = 0; at < one.length; at++) {
    const item = one[at];
    if (typeof item === 'object' || item !== other[at]) return false;
  }
  return true;
}

/** A copy of all of a charge that was read, which is one level deep at the most. */
function copyOf(charge: Fields): Fields {
  return Object.fromEntries(
    Object.entries(charge).map(([name, member]) => {
      if (Array.isArray(member)) return [name, member.map(own)];
      if (typeof member !== 'object' || member === null) return [name, own(member)];
      return [name, Object.fromEntries(Object.entries(member).map(([key, value]) => [key, own(value)]))];
    }),
  );
}

function own(value: unknown): unknown {
  return typeof value === 'string' ? ownText(value) : value;
}
