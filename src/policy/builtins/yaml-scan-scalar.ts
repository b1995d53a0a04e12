import { isBlank, isBlankOrEnd, isBreak, isBreakOrEnd, scanFault, type YamlCursor } from './yaml-cursor.ts';
import type { YamlToken } from './yaml-token.ts';

/** A text without quotes, and whether it ended on a line below, on which a key may begin. */
export function scanPlain(
  cursor: YamlCursor,
  indent: number,
  inFlow: boolean,
): { readonly token: YamlToken; readonly newLine: boolean } {
  const { line } = cursor;
  const folds = new Folds();
  let text = '';
  while (!cursor.atDocumentMark() && cursor.unit() !== '#') {
    const start = cursor.at;
    while (!isBlankOrEnd(cursor.unit()) && !endsPlain(cursor, inFlow)) cursor.skip();
    const run = cursor.since(start);
    if (run !== '') text += `${folds.taken()}${run}`;
    if (!isBlank(cursor.unit()) && !isBreak(cursor.unit())) break;
    while (isBlank(cursor.unit()) || isBreak(cursor.unit())) {
      if (folds.broken && cursor.column <= indent && cursor.unit() === '\t') {
        throw scanFault('a tab where a line is indented', line, cursor);
      }
      folds.add(cursor);
    }
    if (!inFlow && cursor.column <= indent) break;
  }
  return { token: { kind: 'scalar', line, text, plain: true }, newLine: folds.broken };
}

function endsPlain(cursor: YamlCursor, inFlow: boolean): boolean {
  const unit = cursor.unit();
  if (unit === ':' && isBlankOrEnd(cursor.unit(1))) return true;
  return inFlow && /[,?[\]{}]/.test(unit);
}

/** The blanks and line breaks between two words of a text that goes over lines. */
class Folds {
  #blanks = '';
  #first = '';
  #further = '';
  broken = false;

  add(cursor: YamlCursor): void {
    if (isBlank(cursor.unit())) {
      if (!this.broken) this.#blanks += cursor.unit();
      cursor.skip();
    } else if (this.broken) {
      this.#further += cursor.readBreak();
    } else {
      this.#blanks = '';
      this.#first = cursor.readBreak();
      this.broken = true;
    }
  }

  /** A line break that stands for nothing. */
  escape(cursor: YamlCursor): void {
    cursor.readBreak();
    this.broken = true;
  }

  /** What they stand for; one line break is a space. */
  taken(): string {
    const folded = this.#first === '\n' ? (this.#further === '' ? ' ' : this.#further) : this.#first + this.#further;
    const stand = this.broken ? folded : this.#blanks;
    this.#blanks = this.#first = this.#further = '';
    this.broken = false;
    return stand;
  }
}

export function scanQuoted(cursor: YamlCursor): YamlToken {
  const { line } = cursor;
  const quote = cursor.unit();
  const folds = new Folds();
  let text = '';
  cursor.skip();
  for (;;) {
    if (cursor.atDocumentMark()) throw scanFault('a quoted text that a document ends', line, cursor);
    if (cursor.unit() === '') throw scanFault('a quoted text without an end', line, cursor);
    while (!isBlankOrEnd(cursor.unit())) {
      if (cursor.unit() === quote) {
        if (quote === '"' || cursor.unit(1) !== "'") break;
        text += quote;
        cursor.skip(2);
      } else if (quote === "'" || cursor.unit() !== '\\') {
        const start = cursor.at;
        cursor.skip();
        text += cursor.since(start);
      } else if (isBreak(cursor.unit(1))) {
        cursor.skip();
        folds.escape(cursor);
        break;
      } else {
        text += scanEscape(cursor, line);
      }
    }
    if (cursor.unit() === quote) break;
    while (isBlank(cursor.unit()) || isBreak(cursor.unit())) folds.add(cursor);
    text += folds.taken();
  }
  cursor.skip();
  return { kind: 'scalar', line, text, plain: false };
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['0', '\0'],
  ['a', '\u0007'],
  ['b', '\b'],
  ['t', '\t'],
  ['\t', '\t'],
  ['n', '\n'],
  ['v', '\v'],
  ['f', '\f'],
  ['r', '\r'],
  ['e', '\u001b'],
  [' ', ' '],
  ['"', '"'],
  ["'", "'"],
  ['\\', '\\'],
  ['N', '\u0085'],
  ['_', '\u00a0'],
  ['L', '\u2028'],
  ['P', '\u2029'],
]);

const HEX_DIGITS: ReadonlyMap<string, number> = new Map([
  ['x', 2],
  ['u', 4],
  ['U', 8],
]);

function scanEscape(cursor: YamlCursor, line: number): string {
  const name = cursor.unit(1);
  const short = ESCAPES.get(name);
  const digits = HEX_DIGITS.get(name);
  if (short === undefined && digits === undefined) throw scanFault('an unknown escape', line, cursor);
  cursor.skip(2);
  if (short !== undefined) return short;
  const start = cursor.at;
  for (let left = digits ?? 0; left > 0; left--) {
    if (!/[0-9a-fA-F]/.test(cursor.unit())) throw scanFault('an escape that is no number', line, cursor);
    cursor.skip();
  }
  const code = Number.parseInt(cursor.since(start), 16);
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
    throw scanFault('an escape of what is no character', line, cursor);
  }
  return String.fromCodePoint(code);
}

/** A text behind `|` or `>`: all lines that are indented further. */
export function scanBlock(cursor: YamlCursor, indent: number): YamlToken {
  const { line } = cursor;
  const literal = cursor.unit() === '|';
  cursor.skip();
  const { keep, increment } = scanBlockHeader(cursor, line);
  const lines = new BlockLines(cursor, line, indent, increment);
  let text = '';
  let first = '';
  let further = lines.skipEmpty();
  let indented = false;
  while (cursor.column === lines.indent && cursor.unit() !== '') {
    const indentedNow = isBlank(cursor.unit());
    const folds = !literal && !indented && !indentedNow && first === '\n';
    text += folds ? (further === '' ? ' ' : further) : first + further;
    indented = indentedNow;
    const start = cursor.at;
    cursor.skipLine();
    text += cursor.since(start);
    first = cursor.readBreak();
    further = lines.skipEmpty();
  }
  if (keep !== 'none') text += first;
  if (keep === 'all') text += further;
  return { kind: 'scalar', line, text, plain: false };
}

/** Which line breaks at its end are kept, and by how much it is indented, 0 where its first line says so. */
function scanBlockHeader(
  cursor: YamlCursor,
  line: number,
): { readonly keep: 'all' | 'one' | 'none'; readonly increment: number } {
  let keep: 'all' | 'one' | 'none' = 'one';
  let increment = 0;
  let chomped = false;
  for (let left = 2; left > 0; left--) {
    const unit = cursor.unit();
    if (!chomped && (unit === '+' || unit === '-')) {
      keep = unit === '+' ? 'all' : 'none';
      chomped = true;
    } else if (increment === 0 && /[0-9]/.test(unit)) {
      if (unit === '0') throw scanFault('a block that is indented by 0', line, cursor);
      increment = Number(unit);
    } else {
      break;
    }
    cursor.skip();
  }
  cursor.skipBlanks();
  if (cursor.unit() === '#') cursor.skipLine();
  if (!isBreakOrEnd(cursor.unit())) throw scanFault('a block that begins on the line of its mark', line, cursor);
  cursor.readBreak();
  return { keep, increment };
}

class BlockLines {
  readonly #cursor: YamlCursor;
  readonly #line: number;
  readonly #outer: number;
  /** 0 until a line has said it. */
  indent: number;

  constructor(cursor: YamlCursor, line: number, outer: number, increment: number) {
    this.#cursor = cursor;
    this.#line = line;
    this.#outer = outer;
    this.indent = increment === 0 ? 0 : Math.max(outer, 0) + increment;
  }

  /** Moves to the next line that is not empty, or that is not of the block; gives the line breaks before it. */
  skipEmpty(): string {
    const cursor = this.#cursor;
    const isBefore = (): boolean => this.indent === 0 || cursor.column < this.indent;
    let breaks = '';
    let deepest = 0;
    for (;;) {
      while (isBefore() && cursor.unit() === ' ') cursor.skip();
      deepest = Math.max(deepest, cursor.column);
      if (isBefore() && cursor.unit() === '\t') throw scanFault('a tab where a block is indented', this.#line, cursor);
      if (!isBreak(cursor.unit())) break;
      breaks += cursor.readBreak();
    }
    if (this.indent === 0) this.indent = Math.max(deepest, this.#outer + 1, 1);
    return breaks;
  }
}
