/**
 * Source text that only this folder's own literals and integers went into: {@link js} is the one way to make it, and takes
 * no text, so nothing that a plan says can become code.
 */
export class Source {
  readonly #text: string;

  /** Through {@link js} and {@link joined} only. */
  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

/** A piece of source; throws a `TypeError` for a part that is neither source nor an integer. */
export function js(literals: TemplateStringsArray, ...parts: readonly (Source | number)[]): Source {
  let text = literals[0] ?? '';
  for (const [index, part] of parts.entries()) text += `${partText(part)}${literals[index + 1] ?? ''}`;
  return new Source(text);
}

/** The pieces one after the other. */
export function joined(pieces: readonly Source[]): Source {
  return new Source(pieces.map(partText).join(''));
}

/** The pieces with commas between them. */
export function listed(pieces: readonly Source[]): Source {
  return new Source(pieces.map(partText).join(','));
}

export const NOTHING: Source = new Source('');

function partText(part: Source | number): string {
  if (part instanceof Source) return part.toString();
  if (!Number.isSafeInteger(part)) throw new TypeError('a part of generated source is neither source nor an integer');
  return String(part);
}

/** The names that generated source may use beside its own, in the order in which it takes them. */
export const RUNTIME_NAMES = [
  'constant',
  'builtin',
  'table',
  'choose',
  'slot',
  'template',
  'meter',
  'get',
  'rare',
  'stored',
  'equal',
  'size',
  'isObject',
  'isSet',
  'makeSet',
  'insert',
  'insertOnce',
  'appended',
  'owned',
  'ownedInsert',
  'ownedInsertOnce',
  'ownedAdd',
  'merge',
  'upsert',
  'openInput',
  'closeInput',
  'openData',
  'closeData',
  'keys',
  'sortedKeys',
  'values',
  'found',
  'result',
  'conflict',
  'enter',
  'passed',
  'failed',
] as const;

export type RuntimeName = (typeof RUNTIME_NAMES)[number];

/** What generated source may say after a dot. */
export const MEMBER_NAMES: readonly string[] = ['steps', 'exhausted', 'push', 'add', 'length', 'isArray'];
