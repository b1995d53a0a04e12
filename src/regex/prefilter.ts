import { type CharSet, contains } from './char-set.ts';
import { leadingRun } from './run-prefilter.ts';
import type { Node } from './syntax-tree.ts';

/** Finds places fast where a match may begin, so that the automaton need not look at the others. */
export interface Prefilter {
  /** The first such place at `from` or behind it; -1 when there is no match from there on. */
  readonly next: (text: string, from: number) => number;
}

export interface Prefilters {
  readonly starts: Prefilter | undefined;
  /** False for a text without what every match holds; not when {@link starts} sees to it. */
  readonly mayMatch: ((text: string) => boolean) | undefined;
}

const NONE: Prefilters = { starts: undefined, mayMatch: undefined };

/**
 * What to look for first. V8's own engine looks for strings of sets without any repeat, so its time is linear in the text
 * with a factor of at most {@link MAX_STRINGS} × {@link MAX_LENGTH}, and mostly well below one step per code unit.
 */
export function createPrefilters(root: Node, anchored: boolean): Prefilters {
  // Such a one is done after a few steps as it is.
  if (anchored) return NONE;
  const parts = partsOf(root);
  const [first] = parts;
  if (first === undefined) return NONE;
  const run = leadingRun(first);
  if (run !== undefined) return { starts: run, mayMatch: undefined };
  const beginning = stringsOf(parts.slice(0, MAX_LENGTH));
  if (frequencyOf(beginning) <= RARE) return { starts: toPrefilter(beginning), mayMatch: undefined };
  let rarest = beginning;
  let least = RARE;
  for (let at = 1; at < Math.min(parts.length, MAX_PARTS); at++) {
    const strings = stringsOf(parts.slice(at, at + MAX_LENGTH));
    const frequency = frequencyOf(strings);
    if (frequency > least) continue;
    rarest = strings;
    least = frequency;
  }
  if (rarest === beginning) return NONE;
  const pattern = toV8(rarest, '');
  return { starts: undefined, mayMatch: (text) => pattern.test(text) };
}

const MAX_STRINGS = 16;
const MAX_LENGTH = 8;

/** Parts of a pattern that are looked at for what is rare. */
const MAX_PARTS = 32;

/** So many places of a text may look like a match for a look ahead to pay. */
const RARE = 0.02;

/** What a match consists of, one behind the other. */
function partsOf(node: Node): readonly Node[] {
  if (node.kind === 'sequence') return node.parts.flatMap(partsOf);
  return node.kind === 'group' ? partsOf(node.body) : [node];
}

/** The beginning of a match; `open` while what follows can be put behind it. */
interface Beginning {
  readonly sets: readonly CharSet[];
  readonly open: boolean;
}

/** One of these strings begins every match of the nodes; none when a match may be empty. */
function stringsOf(nodes: readonly Node[]): readonly (readonly CharSet[])[] {
  let beginnings: readonly Beginning[] = [{ sets: [], open: true }];
  for (const node of nodes) beginnings = append(beginnings, node);
  return beginnings.some(({ sets }) => sets.length === 0) ? [] : beginnings.map(({ sets }) => sets);
}

function append(beginnings: readonly Beginning[], node: Node): readonly Beginning[] {
  if (beginnings.every(({ open }) => !open)) return beginnings;
  const more = beginningsOf(node);
  const longer = beginnings.flatMap((beginning) => {
    if (!beginning.open) return [beginning];
    return more.map(({ sets, open }) => {
      const joined = [...beginning.sets, ...sets];
      return { sets: joined.slice(0, MAX_LENGTH), open: open && joined.length < MAX_LENGTH };
    });
  });
  if (longer.length <= MAX_STRINGS) return longer;
  return beginnings.map(({ sets }) => ({ sets, open: false }));
}

const EMPTY: Beginning = { sets: [], open: true };
const UNKNOWN: Beginning = { sets: [], open: false };

function beginningsOf(node: Node): readonly Beginning[] {
  switch (node.kind) {
    case 'set':
      return [{ sets: [node.set], open: true }];
    case 'look':
      return [EMPTY];
    case 'group':
      return beginningsOf(node.body);
    case 'sequence':
      return node.parts.reduce<readonly Beginning[]>(append, [EMPTY]);
    case 'choice': {
      if (node.parts.length > MAX_STRINGS) return [UNKNOWN];
      const all = node.parts.flatMap(beginningsOf);
      return all.length > MAX_STRINGS ? [UNKNOWN] : all;
    }
    case 'repeat': {
      let beginnings: readonly Beginning[] = [EMPTY];
      for (let copy = 0; copy < Math.min(node.min, MAX_LENGTH); copy++) beginnings = append(beginnings, node.body);
      if (node.max === node.min) return beginnings;
      if (node.min > 0) return beginnings.map(({ sets }) => ({ sets, open: false }));
      const once = beginningsOf(node.body).map(({ sets, open }) => ({ sets, open: open && node.max === 1 }));
      return [EMPTY, ...once];
    }
  }
}

/** How often one of the strings stands at a place, were the printable characters of ASCII equally frequent. */
function frequencyOf(strings: readonly (readonly CharSet[])[]): number {
  if (strings.length === 0) return Infinity;
  return strings.reduce((sum, sets) => sum + sets.reduce((product, set) => product * shareOf(set), 1), 0);
}

function shareOf(set: CharSet): number {
  let count = 0;
  for (let codePoint = 32; codePoint < 127; codePoint++) if (contains(set, codePoint)) count++;
  return Math.max(count, 1) / 95;
}

function toPrefilter(strings: readonly (readonly CharSet[])[]): Prefilter {
  const literal = literalOf(strings);
  if (literal !== undefined) return { next: (text, from) => text.indexOf(literal, from) };
  const pattern = toV8(strings, 'g');
  return {
    next: (text, from) => {
      pattern.lastIndex = from;
      return pattern.exec(text)?.index ?? -1;
    },
  };
}

/** The only string that the sets stand for, were there but one. */
function literalOf(strings: readonly (readonly CharSet[])[]): string | undefined {
  const [sets] = strings;
  if (sets === undefined || strings.length > 1) return undefined;
  let literal = '';
  for (const [low = 0, high = 0, ...more] of sets) {
    // Half a pair would be found inside of a whole one.
    if (low !== high || more.length > 0 || isSurrogate(low)) return undefined;
    literal += String.fromCodePoint(low);
  }
  return literal;
}

function isSurrogate(codePoint: number): boolean {
  return codePoint >= 0xd800 && codePoint <= 0xdfff;
}

/** Sets written out code point by code point, so that no reading of V8's differs: neither folding nor classes. */
function toV8(strings: readonly (readonly CharSet[])[], flags: 'g' | ''): RegExp {
  const beyond = strings.some((sets) => sets.some((set) => (set.at(-1) ?? 0) >= 0xd800));
  const source = strings.map((sets) => sets.map((set) => toClass(set, beyond)).join(''));
  return new RegExp(source.join('|'), beyond ? `${flags}u` : flags);
}

function toClass(set: CharSet, beyond: boolean): string {
  let out = '';
  for (let at = 0; at < set.length; at += 2) {
    const low = toEscape(set[at] ?? 0, beyond);
    const high = toEscape(set[at + 1] ?? 0, beyond);
    out += low === high ? low : `${low}-${high}`;
  }
  return `[${out}]`;
}

function toEscape(codePoint: number, beyond: boolean): string {
  const digits = codePoint.toString(16);
  return beyond ? `\\u{${digits}}` : `\\u${digits.padStart(4, '0')}`;
}
