import { isObject } from '../decision/json.ts';

export type CasePath = readonly (string | number)[];

/** A value of a case file, with its place; whatever is read of it is strict, and a fault does not end the reading. */
export interface Field {
  readonly value: unknown;
  readonly path: CasePath;
  /** Keeps a fault for the end; answers `undefined` so that a reader may return it. */
  readonly report: (path: CasePath, message: string) => undefined;
}

/** The fields of a strict object: unknown keys and `undefined` are faults. */
export type Fields<Name extends string> = { readonly [name in Name]: Field | undefined };

/** Reads an object that has no keys but these. */
export function fields<const Name extends string>(field: Field, names: readonly Name[]): Fields<Name> {
  const { value, path, report } = field;
  const found = new Map<string, Field>();
  if (!isObject(value)) report(path, 'is not an object');
  else {
    for (const [name, member] of Object.entries(value)) {
      if (!names.some((known) => known === name)) {
        report([...path, name], `is unknown; it may be ${names.map((known) => `\`${known}\``).join(', ')}`);
      } else found.set(name, { value: member, path: [...path, name], report });
    }
  }
  // Every name has its member, which is what the type says.
  return Object.fromEntries(names.map((name) => [name, found.get(name)])) as Fields<Name>;
}

/** The members of an object whose keys are the author's own. */
export function entries(field: Field): readonly (readonly [string, Field])[] {
  const { value, path, report } = field;
  if (!isObject(value)) {
    report(path, 'is not an object');
    return [];
  }
  return Object.entries(value).map(([name, member]) => [name, { value: member, path: [...path, name], report }]);
}

export function items(field: Field): readonly Field[] {
  const { value, path, report } = field;
  if (!Array.isArray(value)) {
    report(path, 'is not a list');
    return [];
  }
  return value.map((item: unknown, index) => ({ value: item, path: [...path, index], report }));
}

/** A text; empty where it is none, which is a fault. */
export function text({ value, path, report }: Field): string {
  if (typeof value === 'string') return value;
  report(path, 'is not a text; quote it');
  return '';
}

export function texts(field: Field): readonly string[] {
  return items(field).map(text);
}

/** A whole number that is not negative. */
export function natural({ value, path, report }: Field): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  report(path, 'is not a whole number from 0 up');
  return 0;
}

export function flag({ value, path, report }: Field): boolean {
  if (typeof value === 'boolean') return value;
  report(path, 'is neither `true` nor `false`');
  return false;
}

/** One of a few words. */
export function word<const Word extends string>({ value, path, report }: Field, words: readonly Word[]): Word {
  const [first] = words;
  const known = words.find((one) => one === value);
  if (known !== undefined) return known;
  report(path, `is none of ${words.map((one) => `\`${one}\``).join(', ')}`);
  if (first === undefined) throw new TypeError('there is no word to choose from');
  return first;
}

/** Names to texts, in the order of the file. */
export function textMap(field: Field): ReadonlyMap<string, string> {
  return new Map(entries(field).map(([name, value]) => [name, text(value)]));
}
