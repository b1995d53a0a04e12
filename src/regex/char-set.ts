import { RE2JS } from 're2js';

/** Code points as sorted, disjoint, inclusive ranges: `[low, high, low, high, …]`. */
export type CharSet = readonly number[];

export const MAX_CODE_POINT = 0x10ffff;

export const ANY: CharSet = [0, MAX_CODE_POINT];
export const NEWLINE: CharSet = [10, 10];
export const NOT_NEWLINE: CharSet = [0, 9, 11, MAX_CODE_POINT];
/** ASCII only, as `\b` and `\w` of RE2 are. */
export const WORD: CharSet = [48, 57, 65, 90, 95, 95, 97, 122];

/** A pattern, or a part of one, that this library does not read for sure: re2js has to. */
export class UnsureSyntax extends Error {
  override readonly name = 'UnsureSyntax';
}

export function contains(set: CharSet, codePoint: number): boolean {
  let first = 0;
  let last = set.length >> 1;
  // The ranges before `first` begin at the code point or before it, those from `last` on behind it.
  while (first < last) {
    const middle = (first + last) >> 1;
    if ((set[2 * middle] ?? 0) <= codePoint) first = middle + 1;
    else last = middle;
  }
  return first > 0 && codePoint <= (set[2 * first - 1] ?? -1);
}

/** The one code point, or with `fold` all that Unicode's simple folding takes for the same. */
export function literalSet(codePoint: number, fold: boolean): CharSet {
  const ascii = fold ? FOLDED_ASCII : ASCII;
  return ascii[codePoint] ?? (fold ? foldedSet(codePoint) : [codePoint, codePoint]);
}

function foldedSet(codePoint: number): CharSet {
  // The NUL, which folds with nothing, keeps re2js from answering with a folded literal.
  const withNul = classSet(`[\\x00\\x{${codePoint.toString(16)}}]`, true);
  return withNul[1] === 0 ? withNul.slice(2) : withNul;
}

function foldedAscii(codePoint: number): CharSet {
  const upper = codePoint >= 97 && codePoint <= 122 ? codePoint - 32 : codePoint;
  if (upper < 65 || upper > 90) return [codePoint, codePoint];
  const lower = upper + 32;
  if (lower === 0x6b) return [upper, upper, lower, lower, KELVIN, KELVIN];
  if (lower === 0x73) return [upper, upper, lower, lower, LONG_S, LONG_S];
  return [upper, upper, lower, lower];
}

const KELVIN = 0x212a;
const LONG_S = 0x17f;

const ASCII: readonly CharSet[] = Array.from({ length: 128 }, (_none, codePoint) => [codePoint, codePoint]);
const FOLDED_ASCII: readonly CharSet[] = ASCII.map((_set, codePoint) => foldedAscii(codePoint));

/**
 * What a bracket expression, `\p…` or `\d`-like escape stands for, read off what re2js compiles it to: its Unicode tables
 * and its folding are the ones that count. Throws {@link UnsureSyntax} where that is not one plain set.
 */
export function classSet(source: string, fold: boolean): CharSet {
  const key = fold ? `i${source}` : `-${source}`;
  const known = kept.get(key);
  if (known !== undefined) return known;
  const set = compileClass(source, fold);
  if (kept.size >= MAX_KEPT) kept.clear();
  if (key.length <= MAX_KEPT_LENGTH) kept.set(key, set);
  return set;
}

const kept = new Map<string, CharSet>();
const MAX_KEPT = 256;
const MAX_KEPT_LENGTH = 64;

function compileClass(source: string, fold: boolean): CharSet {
  let program: unknown;
  try {
    program = RE2JS.compile(fold ? `(?i)${source}` : source).re2Input.prog;
  } catch {
    throw new UnsureSyntax(source);
  }
  const [instruction, behind] = instructionsOf(program);
  if (instruction === undefined) throw new UnsureSyntax(source);
  if (instruction.op === FAIL) return [];
  if (instruction.op < FIRST_RUNE || instruction.op > LAST_RUNE || behind?.op !== MATCH) throw new UnsureSyntax(source);
  const runes = Array.from(instruction.runes);
  const [only] = runes;
  if (runes.length === 1 && only !== undefined) {
    return (instruction.arg & FOLD_CASE) === 0 ? [only, only] : literalSet(only, true);
  }
  if (!isSorted(runes)) throw new UnsureSyntax(source);
  return runes;
}

/** The numbers that re2js 2.10.0 gives to its instructions and flags; `char-set.test.ts` notices other ones. */
const FAIL = 5;
const MATCH = 6;
const FIRST_RUNE = 8;
const LAST_RUNE = 11;
const FOLD_CASE = 1;

interface Instruction {
  readonly op: number;
  readonly out: number;
  readonly arg: number;
  readonly runes: ArrayLike<number>;
}

/** The first instruction of a program of re2js, and the one behind it. */
function instructionsOf(program: unknown): readonly [Instruction | undefined, Instruction | undefined] {
  if (!isRecord(program) || !Array.isArray(program['inst']) || typeof program['start'] !== 'number') {
    return [undefined, undefined];
  }
  const list: readonly unknown[] = program['inst'];
  const first = toInstruction(list[program['start']]);
  return [first, first === undefined ? undefined : toInstruction(list[first.out])];
}

function toInstruction(value: unknown): Instruction | undefined {
  if (!isRecord(value)) return undefined;
  const { op, out, arg, runes } = value;
  if (typeof op !== 'number' || typeof out !== 'number' || typeof arg !== 'number') return undefined;
  if (!(runes instanceof Int32Array) && !Array.isArray(runes)) return undefined;
  return { op, out, arg, runes: Array.from(runes, Number) };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function isSorted(ranges: readonly number[]): boolean {
  if (ranges.length % 2 !== 0) return false;
  return ranges.every((edge, at) => {
    const before = ranges[at - 1] ?? -1;
    return Number.isInteger(edge) && edge <= MAX_CODE_POINT && (at % 2 === 0 ? edge > before : edge >= before);
  });
}
