import { type CharSet, contains, MAX_CODE_POINT, NEWLINE, WORD } from './char-set.ts';

/** What the place beside a code point is to `^`, `$` and `\b`. */
export const EDGE = { text: 0, newline: 1, word: 2, other: 3 } as const;

export type Edge = (typeof EDGE)[keyof typeof EDGE];

/** Code points that no part of a pattern tells apart are one letter. */
export interface Alphabet {
  /** Letters are `0` to `size - 1`. */
  readonly size: number;
  /** The letter of every code point below {@link LATIN}. */
  readonly latin: Uint8Array;
  /** The letter of any code point. */
  readonly letterOf: (codePoint: number) => number;
  /** What a letter is to assertions. */
  readonly edges: Uint8Array;
  /** For each set of the pattern, 1 at the letters that are in it. */
  readonly members: readonly Uint8Array[];
}

export const LATIN = 256;
const MAX_LETTERS = 250;
const MAX_STARTS = 8_000;
const MAX_QUESTIONS = 200_000;

/**
 * Splits the code points by the sets of a pattern, and by what its assertions look at. `undefined` for more than 250
 * letters, or so many ranges that this alone would take long.
 */
export function createAlphabet(
  sets: readonly CharSet[],
  looks: { readonly lines: boolean; readonly words: boolean },
): Alphabet | undefined {
  const splitting = [...sets, ...(looks.lines ? [NEWLINE] : []), ...(looks.words ? [WORD] : [])];
  const starts = startsOf(splitting);
  if (starts.length > MAX_STARTS || starts.length * splitting.length > MAX_QUESTIONS) return undefined;
  const letters = new Uint8Array(starts.length);
  const samples = new Map<string, number>();
  const points: number[] = [];
  for (const [at, start] of starts.entries()) {
    const signature = splitting.map((set) => (contains(set, start) ? '1' : '0')).join('');
    let letter = samples.get(signature);
    if (letter === undefined) {
      letter = points.push(start) - 1;
      if (letter >= MAX_LETTERS) return undefined;
      samples.set(signature, letter);
    }
    letters[at] = letter;
  }
  const letterOf = createLookup(starts, letters);
  return {
    size: points.length,
    latin: Uint8Array.from({ length: LATIN }, (_none, codePoint) => letterOf(codePoint)),
    letterOf,
    edges: Uint8Array.from(points, (point) => edgeOf(point, looks)),
    members: sets.map((set) => Uint8Array.from(points, (point) => (contains(set, point) ? 1 : 0))),
  };
}

/** What a code point is to the assertions that a pattern has. */
function edgeOf(codePoint: number, looks: { readonly lines: boolean; readonly words: boolean }): Edge {
  if (looks.lines && codePoint === 10) return EDGE.newline;
  return looks.words && contains(WORD, codePoint) ? EDGE.word : EDGE.other;
}

function startsOf(sets: readonly CharSet[]): Int32Array {
  const starts = new Set([0]);
  for (const set of sets) {
    for (let at = 0; at < set.length; at += 2) {
      starts.add(set[at] ?? 0);
      const behind = (set[at + 1] ?? 0) + 1;
      if (behind <= MAX_CODE_POINT) starts.add(behind);
    }
  }
  return Int32Array.from(starts).sort();
}

/** Binary search, with the last range at hand: neighbours in a text tend to be of one script. */
function createLookup(starts: Int32Array, letters: Uint8Array): (codePoint: number) => number {
  let low = 1;
  let high = 0;
  let letter = 0;
  return (codePoint) => {
    if (codePoint >= low && codePoint <= high) return letter;
    let first = 0;
    let last = starts.length - 1;
    while (first < last) {
      const middle = (first + last + 1) >> 1;
      if ((starts[middle] ?? 0) <= codePoint) first = middle;
      else last = middle - 1;
    }
    low = starts[first] ?? 0;
    high = (starts[first + 1] ?? MAX_CODE_POINT + 1) - 1;
    letter = letters[first] ?? 0;
    return letter;
  };
}
