import { ANY, type CharSet, classSet, literalSet, NOT_NEWLINE, UnsureSyntax } from './char-set.ts';
import { readBracket, readEscape } from './parse-escape.ts';
import { LOOK, type Look, type Node, type ParsedPattern } from './syntax-tree.ts';

/**
 * Reads RE2's syntax (https://github.com/google/re2/wiki/Syntax). Throws {@link UnsureSyntax} for what is wrong and for
 * what is odd: whether a pattern is one is for re2js to say.
 */
export function parsePattern(pattern: string): ParsedPattern {
  const reader: Reader = { pattern, at: 0, flags: NO_FLAGS, groupNames: [undefined], repeated: [], depth: 0 };
  const root = readChoice(reader);
  if (reader.at !== pattern.length) throw new UnsureSyntax('unexpected )');
  return { root, groupNames: reader.groupNames, judged: withoutNames(pattern, reader.repeated) };
}

interface Flags {
  readonly i: boolean;
  readonly m: boolean;
  readonly s: boolean;
  readonly U: boolean;
}

const NO_FLAGS: Flags = { i: false, m: false, s: false, U: false };

interface Reader {
  readonly pattern: string;
  at: number;
  flags: Flags;
  readonly groupNames: (string | undefined)[];
  /** Where groups begin whose name an earlier one has, and where their names end. */
  readonly repeated: (readonly [start: number, end: number])[];
  depth: number;
}

const MAX_DEPTH = 250;

function withoutNames(pattern: string, groups: Reader['repeated']): string {
  let out = '';
  let from = 0;
  for (const [start, end] of groups) {
    out += `${pattern.slice(from, start)}(`;
    from = end;
  }
  return out + pattern.slice(from);
}

function readChoice(reader: Reader): Node {
  if (++reader.depth > MAX_DEPTH) throw new UnsureSyntax('nests too deeply');
  const parts = [readSequence(reader)];
  while (reader.pattern[reader.at] === '|') {
    reader.at++;
    parts.push(readSequence(reader));
  }
  reader.depth--;
  const [only] = parts;
  return only !== undefined && parts.length === 1 ? only : { kind: 'choice', parts };
}

function readSequence(reader: Reader): Node {
  const parts: Node[] = [];
  while (reader.at < reader.pattern.length) {
    const char = reader.pattern[reader.at];
    if (char === '|' || char === ')') break;
    const read = readAtom(reader);
    parts.push(...read);
    const repeat = readRepeat(reader);
    if (repeat === undefined) continue;
    const body = read.length > 0 ? parts.pop() : undefined;
    // `a(?i)*` and `a\Q\E*` repeat what stands before: leave the likes of them.
    if (body === undefined || startsRepeat(reader)) throw new UnsureSyntax('a repeat of nothing, or of a repeat');
    parts.push({ kind: 'repeat', body, ...repeat });
  }
  const [only] = parts;
  return only !== undefined && parts.length === 1 ? only : { kind: 'sequence', parts };
}

const COUNTS = /\{(0|[1-9]\d*)(,(0|[1-9]\d*)?)?\}/y;
const MAX_COUNT = 1_000;

function startsRepeat(reader: Reader): boolean {
  COUNTS.lastIndex = reader.at;
  return '*+?'.includes(reader.pattern[reader.at] ?? ' ') || COUNTS.test(reader.pattern);
}

function readRepeat(reader: Reader): { min: number; max: number; greedy: boolean } | undefined {
  const char = reader.pattern[reader.at] ?? '';
  let min = char === '+' ? 1 : 0;
  let max = char === '?' ? 1 : Infinity;
  if (char === '{') {
    COUNTS.lastIndex = reader.at;
    const counts = COUNTS.exec(reader.pattern);
    if (counts === null) return undefined;
    min = Number(counts[1]);
    if (counts[2] === undefined) max = min;
    else if (counts[3] !== undefined) max = Number(counts[3]);
    if (min > MAX_COUNT || (max !== Infinity && (max > MAX_COUNT || min > max)))
      throw new UnsureSyntax('a repeat count');
    reader.at = COUNTS.lastIndex;
  } else if (char === '*' || char === '+' || char === '?') {
    reader.at++;
  } else {
    return undefined;
  }
  let greedy = !reader.flags.U;
  if (reader.pattern[reader.at] === '?') {
    reader.at++;
    greedy = !greedy;
  }
  return { min, max, greedy };
}

/** The nodes of one atom: several for `\Q…\E`, none for flags. */
function readAtom(reader: Reader): readonly Node[] {
  const { pattern, at, flags } = reader;
  const char = pattern[at] ?? '';
  switch (char) {
    case '*':
    case '+':
    case '?':
      throw new UnsureSyntax('a repeat of nothing');
    case '(':
      return readGroup(reader);
    case '[':
      reader.at = readBracket(pattern, at);
      return [setNode(classSet(pattern.slice(at, reader.at), flags.i))];
    case '.':
      reader.at++;
      return [setNode(flags.s ? ANY : NOT_NEWLINE)];
    case '^':
      reader.at++;
      return [lookNode(flags.m ? LOOK.beginLine : LOOK.beginText)];
    case '$':
      reader.at++;
      return [lookNode(flags.m ? LOOK.endLine : LOOK.endText)];
    case '\\':
      return readBackslash(reader);
    default: {
      const codePoint = pattern.codePointAt(at) ?? 0;
      reader.at += codePoint > 0xffff ? 2 : 1;
      return [setNode(literalSet(codePoint, flags.i))];
    }
  }
}

const LOOKS: ReadonlyMap<string, Look> = new Map([
  ['A', LOOK.beginText],
  ['z', LOOK.endText],
  ['b', LOOK.wordBoundary],
  ['B', LOOK.noWordBoundary],
]);

function readBackslash(reader: Reader): readonly Node[] {
  const { pattern, at, flags } = reader;
  const char = pattern[at + 1] ?? '';
  const look = LOOKS.get(char);
  if (look !== undefined) {
    reader.at += 2;
    return [lookNode(look)];
  }
  if (char === 'Q') {
    const end = pattern.indexOf('\\E', at + 2);
    const quoted = pattern.slice(at + 2, end === -1 ? pattern.length : end);
    reader.at = end === -1 ? pattern.length : end + 2;
    return Array.from(quoted, (each) => setNode(literalSet(each.codePointAt(0) ?? 0, flags.i)));
  }
  const { end, codePoint } = readEscape(pattern, at);
  reader.at = end;
  return [
    setNode(codePoint === undefined ? classSet(pattern.slice(at, end), flags.i) : literalSet(codePoint, flags.i)),
  ];
}

const NAMED = /\(\?P?<([A-Za-z0-9_]+)>/y;
const FLAGS = /\(\?([imsU]*)(?:-([imsU]+))?([:)])/y;

function readGroup(reader: Reader): readonly Node[] {
  const { pattern, at, flags } = reader;
  if (pattern[at + 1] !== '?') {
    reader.at++;
    return [readCapture(reader, undefined)];
  }
  NAMED.lastIndex = at;
  const name = NAMED.exec(pattern)?.[1];
  if (name !== undefined) {
    reader.at = NAMED.lastIndex;
    if (reader.groupNames.includes(name)) reader.repeated.push([at, reader.at]);
    return [readCapture(reader, name)];
  }
  FLAGS.lastIndex = at;
  const found = FLAGS.exec(pattern);
  if (found === null) throw new UnsureSyntax('an unknown group');
  reader.at = FLAGS.lastIndex;
  const [, on = '', off = '', end] = found;
  reader.flags = withFlags(withFlags(flags, on, true), off, false);
  if (end === ')') return [];
  const body = readChoice(reader);
  close(reader, flags);
  return [body];
}

function readCapture(reader: Reader, name: string | undefined): Node {
  const { flags } = reader;
  const index = reader.groupNames.push(name) - 1;
  const body = readChoice(reader);
  close(reader, flags);
  return { kind: 'group', index, body };
}

/** Flags last until the group ends. */
function close(reader: Reader, flags: Flags): void {
  if (reader.pattern[reader.at] !== ')') throw new UnsureSyntax('missing )');
  reader.at++;
  reader.flags = flags;
}

function withFlags(flags: Flags, names: string, value: boolean): Flags {
  return Object.assign({ ...flags }, Object.fromEntries(Array.from(names, (name) => [name, value])));
}

function setNode(set: CharSet): Node {
  return { kind: 'set', set };
}

function lookNode(look: Look): Node {
  return { kind: 'look', look };
}
