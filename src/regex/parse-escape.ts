import { MAX_CODE_POINT, UnsureSyntax } from './char-set.ts';

/** One escape: the place behind it, and its code point; none where it stands for a class. */
export interface Escape {
  readonly end: number;
  readonly codePoint: number | undefined;
}

const CLASS = /\\(?:[dDsSwW]|[pP](?:\{[^}]*\}|[^{]))/uy;
const OCTAL = /\\(?:0[0-7]{0,2}|[1-7][0-7]{1,2})/y;
const HEX = /\\x(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2}))/y;

const CONTROLS: ReadonlyMap<string, number> = new Map([
  ['a', 7],
  ['t', 9],
  ['n', 10],
  ['v', 11],
  ['f', 12],
  ['r', 13],
]);

/** Reads the escape whose backslash is at `at`; throws {@link UnsureSyntax} for one that it does not know. */
export function readEscape(pattern: string, at: number): Escape {
  CLASS.lastIndex = at;
  if (CLASS.test(pattern)) return { end: CLASS.lastIndex, codePoint: undefined };
  OCTAL.lastIndex = at;
  const octal = OCTAL.exec(pattern)?.[0];
  if (octal !== undefined) return { end: OCTAL.lastIndex, codePoint: Number.parseInt(octal.slice(1), 8) };
  HEX.lastIndex = at;
  const hex = HEX.exec(pattern);
  if (hex !== null) {
    const codePoint = Number.parseInt(hex[1] ?? hex[2] ?? '', 16);
    if (codePoint > MAX_CODE_POINT) throw new UnsureSyntax('a code point');
    return { end: HEX.lastIndex, codePoint };
  }
  const char = pattern[at + 1] ?? '';
  const codePoint = CONTROLS.get(char) ?? (char === '' || NO_PUNCTUATION.test(char) ? undefined : char.charCodeAt(0));
  if (codePoint === undefined) throw new UnsureSyntax('an escape');
  return { end: at + 2, codePoint };
}

/** Of ASCII everything but letters and digits may be escaped. */
const NO_PUNCTUATION = /[0-9A-Za-z\u0080-\uffff]/;

/** The place behind the bracket expression that starts at `at`. What stands in it is for {@link classSet}. */
export function readBracket(pattern: string, at: number): number {
  let next = pattern[at + 1] === '^' ? at + 2 : at + 1;
  for (let first = true; first || pattern[next] !== ']'; first = false) {
    if (next >= pattern.length) throw new UnsureSyntax('missing ]');
    const named = pattern.startsWith('[:', next) ? pattern.indexOf(':]', next) : -1;
    if (named !== -1) {
      next = named + 2;
      continue;
    }
    const low = readMember(pattern, next);
    next = low.end;
    // A class begins no range, so `-` behind it stands for itself.
    if (low.codePoint === undefined || pattern[next] !== '-' || pattern[next + 1] === ']') continue;
    const high = readMember(pattern, next + 1);
    if (high.codePoint === undefined) throw new UnsureSyntax('a range');
    next = high.end;
  }
  return next + 1;
}

function readMember(pattern: string, at: number): Escape {
  if (pattern[at] === '\\') return readEscape(pattern, at);
  const codePoint = pattern.codePointAt(at);
  if (codePoint === undefined) throw new UnsureSyntax('missing ]');
  return { end: at + (codePoint > 0xffff ? 2 : 1), codePoint };
}
