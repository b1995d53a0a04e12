import { type GlobToken, matches, readGlob } from './glob-token.ts';

/** Why a pattern of `regex.globs_match` is none, as OPA says it. */
export class GlobError extends Error {
  override readonly name = 'GlobError';
}

/**
 * Whether two patterns of characters, `.`, sets, `+` and `*` have a text in common, by the rules of OPA's
 * `regex.globs_match`: it is greedy in places and overlooks some. `charge` hears of the work before it is done.
 */
export function globsIntersect(left: string, right: string, charge: (steps: number) => void): boolean {
  const trimmed = trim(tokensOf(left), tokensOf(right));
  if (trimmed === undefined) return false;
  const [one, other] = trimmed;
  charge(STEPS_PER_CELL * (one.length + 1) * (other.length + 1));
  charge(one.length * rangesIn(other) + other.length * rangesIn(one));
  return intersect(one, other);
}

const STEPS_PER_CELL = 5;

function rangesIn(tokens: readonly GlobToken[]): number {
  let count = 0;
  for (const { ranges } of tokens) count += ranges.length;
  return count;
}

function tokensOf(text: string): readonly GlobToken[] {
  const tokens = readGlob(text);
  if (typeof tokens === 'string') throw new GlobError(tokens);
  return tokens;
}

type Globs = readonly [readonly GlobToken[], readonly GlobToken[]];

/** Takes away what plainly matches on both sides; `undefined` where something plainly does not. */
function trim(left: readonly GlobToken[], right: readonly GlobToken[]): Globs | undefined {
  let from = 0;
  for (; isPlain(left[from]) && isPlain(right[from]); from++) {
    if (!matches(left[from], right[from])) return undefined;
  }
  if (from > 0) from--;
  let leftEnd = left.length;
  let rightEnd = right.length;
  while (leftEnd > from && rightEnd > from && isPlain(left[leftEnd - 1]) && isPlain(right[rightEnd - 1])) {
    if (!matches(left[--leftEnd], right[--rightEnd])) return undefined;
  }
  if (leftEnd < left.length) {
    leftEnd++;
    rightEnd++;
  }
  return [left.slice(from, leftEnd), right.slice(from, rightEnd)];
}

function isPlain(token: GlobToken | undefined): boolean {
  return token !== undefined && token.flag === '';
}

/** For the rests of two globs from one place on: the answers to each question that the rules ask about them. */
interface Row {
  /** Do they meet, the left one being looked at first. */
  readonly leftFirst: Uint8Array;
  readonly rightFirst: Uint8Array;
  /** Do they meet when the left one's first token may stand for any number of the right one's, also none. */
  readonly leftRepeats: Uint8Array;
  readonly rightRepeats: Uint8Array;
}

/** From the ends to the beginnings, so that no question is asked twice. */
function intersect(left: readonly GlobToken[], right: readonly GlobToken[]): boolean {
  let below = newRow(right.length);
  let row = below;
  for (let i = left.length; i >= 0; i--) {
    row = newRow(right.length);
    for (let j = right.length; j >= 0; j--) fill(row, below, left, right, i, j);
    below = row;
  }
  return row.leftFirst[0] === 1;
}

function newRow(length: number): Row {
  const cells = (): Uint8Array => new Uint8Array(length + 2);
  return { leftFirst: cells(), rightFirst: cells(), leftRepeats: cells(), rightRepeats: cells() };
}

/** `below` is of the left rest that begins one later. */
function fill(
  row: Row,
  below: Row,
  left: readonly GlobToken[],
  right: readonly GlobToken[],
  i: number,
  j: number,
): void {
  const a = left[i];
  const b = right[j];
  if (a === undefined || b === undefined) {
    const both = a === b ? 1 : 0;
    row.leftFirst[j] = both;
    row.rightFirst[j] = both;
    // What repeats takes nothing more here, so nothing may be left behind it.
    row.leftRepeats[j] = i === left.length - 1 && b === undefined ? 1 : 0;
    row.rightRepeats[j] = j === right.length - 1 && a === undefined ? 1 : 0;
    return;
  }
  const match = matches(a, b);
  row.leftRepeats[j] =
    (matches(left[i + 1], b) && below.leftFirst[j] === 1) || (match && row.leftRepeats[j + 1] === 1) ? 1 : 0;
  row.rightRepeats[j] =
    (matches(right[j + 1], a) && row.rightFirst[j + 1] === 1) || (match && below.rightRepeats[j] === 1) ? 1 : 0;
  if (a.flag === '' && b.flag === '') {
    row.leftFirst[j] = match ? (below.leftFirst[j + 1] ?? 0) : 0;
    row.rightFirst[j] = match ? (below.rightFirst[j + 1] ?? 0) : 0;
    return;
  }
  const byLeft =
    a.flag === '*'
      ? row.leftRepeats[j] === 1
      : match && (row.leftRepeats[j + 1] === 1 || (b.flag !== '' && below.leftFirst[j] === 1));
  const byRight =
    b.flag === '*'
      ? row.rightRepeats[j] === 1
      : match && (below.rightRepeats[j] === 1 || (a.flag !== '' && row.rightFirst[j + 1] === 1));
  row.leftFirst[j] = (a.flag === '' ? byRight : byLeft) ? 1 : 0;
  row.rightFirst[j] = (b.flag === '' ? byLeft : byRight) ? 1 : 0;
}
