/** What one place of a pattern of `regex.globs_match` takes, and how often. */
export interface GlobToken {
  /** A set of one character is not that character to OPA when it makes equal repeats one. */
  readonly kind: 'character' | 'dot' | 'set';
  /** Code points from–to, in order and apart from each other; `any` is a dot. */
  readonly ranges: readonly Range[] | 'any';
  readonly flag: '' | '+' | '*';
}

type Range = readonly [number, number];

/** Whether two tokens have a character in common, however often they take it. */
export function matches(left: GlobToken | undefined, right: GlobToken | undefined): boolean {
  if (left === undefined || right === undefined) return false;
  if (left.ranges === 'any' || right.ranges === 'any') return true;
  let at = 0;
  for (const [from, to] of left.ranges) {
    while ((right.ranges[at]?.[1] ?? Infinity) < from) at++;
    const range = right.ranges[at];
    if (range !== undefined && range[0] <= to) return true;
  }
  return false;
}

/** The tokens of a pattern, equal repeats that follow each other made one; a text says why it is no pattern. */
export function readGlob(text: string): readonly GlobToken[] | string {
  const reader: Reader = { text, characters: Array.from(text), at: 0 };
  const tokens: GlobToken[] = [];
  while (reader.at < reader.characters.length) {
    const taken = readTaken(reader);
    if (typeof taken === 'string') return taken;
    const last = reader.characters[reader.at];
    const flag = last === '+' || last === '*' ? last : '';
    if (flag !== '') reader.at++;
    else if (last === '\\' && reader.at === reader.characters.length - 1) return wrong(reader, ENDS_WITH_ESCAPE);
    push(tokens, { ...taken, flag });
  }
  return tokens;
}

interface Reader {
  readonly text: string;
  readonly characters: readonly string[];
  at: number;
}

const ENDS_WITH_ESCAPE = 'input ends with a \\ (escape) character';

/** The place is counted in characters. */
function wrong({ text, at }: Reader, reason: string): string {
  return `input:${text}, pos:${at}, ${reason}: the input provided is invalid`;
}

function push(tokens: GlobToken[], token: GlobToken): void {
  const last = tokens.at(-1);
  if (last === undefined || token.flag === '' || last.flag === '' || !sameRanges(last, token)) tokens.push(token);
  else if (token.flag === '+') tokens[tokens.length - 1] = token;
}

function sameRanges({ kind, ranges }: GlobToken, { kind: otherKind, ranges: other }: GlobToken): boolean {
  if (kind !== otherKind || ranges === 'any' || other === 'any') return kind === otherKind;
  return (
    ranges.length === other.length && ranges.every(([from, to], at) => from === other[at]?.[0] && to === other[at]?.[1])
  );
}

interface Character {
  readonly value: string;
  readonly escaped: boolean;
}

/** The next character without the backslash before it; a text says what is wrong. */
function next(reader: Reader): Character | string {
  const value = reader.characters[reader.at] ?? '';
  if (value !== '\\') {
    reader.at++;
    return { value, escaped: false };
  }
  const escaped = reader.characters[reader.at + 1];
  if (escaped === undefined) return wrong(reader, ENDS_WITH_ESCAPE);
  reader.at += 2;
  return { value: escaped, escaped: true };
}

function readTaken(reader: Reader): Omit<GlobToken, 'flag'> | string {
  const character = next(reader);
  if (typeof character === 'string') return character;
  const { value, escaped } = character;
  if (!escaped) {
    if (value === '.') return { kind: 'dot', ranges: 'any' };
    if (value === '[') {
      const ranges = readSet(reader);
      return typeof ranges === 'string' ? ranges : { kind: 'set', ranges };
    }
    if (value === ']') return wrong(reader, "set-close ']' with no preceding '['");
    if (value === '+' || value === '*') return wrong(reader, `flag '${value}' must be preceded by a non-flag`);
  }
  const point = pointOf(value);
  return { kind: 'character', ranges: [[point, point]] };
}

function pointOf(character: string): number {
  return character.codePointAt(0) ?? 0;
}

function readSet(reader: Reader): readonly Range[] | string {
  const { characters } = reader;
  const ranges: Range[] = [];
  let before: string | undefined;
  while (reader.at < characters.length) {
    const character = next(reader);
    if (typeof character === 'string') return character;
    const { value, escaped } = character;
    if (!escaped && value === ']') return normal(ranges);
    if (escaped || value !== '-') {
      ranges.push([pointOf(value), pointOf(value)]);
      before = value;
      continue;
    }
    if (before === undefined) return wrong(reader, "range character '-' must be preceded by a Unicode character");
    if (reader.at >= characters.length - 1) {
      return wrong(reader, "range character '-' must be followed by a Unicode character");
    }
    const end = next(reader);
    if (typeof end === 'string') return end;
    if (!end.escaped && (end.value === ']' || end.value === '-')) {
      return wrong(reader, "range character '-' cannot be followed by a special symbol");
    }
    if (pointOf(end.value) < pointOf(before)) {
      return wrong(reader, `range is out of order: '${end.value}' comes before '${before}' in Unicode`);
    }
    ranges.push([pointOf(before), pointOf(end.value)]);
    before = undefined;
  }
  return wrong(reader, 'found [ without matching ]');
}

/** In order, and joined where they touch. */
function normal(ranges: readonly Range[]): readonly Range[] {
  const joined: [number, number][] = [];
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = joined.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else joined.push([from, to]);
  }
  return joined;
}
