import { RE2JS, RE2JSException } from 're2js';
import { createAutomatonSearch } from './automaton-search.ts';
import { UnsureSyntax } from './char-set.ts';
import { RegexCostError, type SearchLimits, StepCounter } from './cost.ts';
import { parsePattern } from './parse.ts';
import { createPrefilters } from './prefilter.ts';
import { compilePrograms } from './program.ts';
import { createRe2jsSearch } from './re2js-search.ts';
import type { Search } from './search.ts';
import { isAnchored, sizeOf } from './syntax-tree.ts';
import type { Places } from './thread-machine.ts';

/** In UTF-16 code units. */
export const MAX_PATTERN_LENGTH = 32_768;

/** In instructions, with repeats written out: `(abc){1000}` has about 6,000. */
export const MAX_PATTERN_SIZE = 60_000;

/** A pattern that is none, or is too large. */
export class RegexError extends Error {
  override readonly name = 'RegexError';
}

export interface Match {
  /** In UTF-16 code units, as all places are. */
  readonly start: number;
  readonly end: number;
  /** `[start, end]` of group 0, 1, …; -1 where a group took no part. Only group 0 unless groups were asked for. */
  readonly places: Places;
}

/**
 * A compiled pattern. Every search takes time linear in the text, at worst the pattern's size times the text's length.
 * It keeps at most about 5 MB (10 MB where re2js has to search), usually some 20 kB.
 */
export interface Regex {
  readonly pattern: string;
  /** Without group 0. */
  readonly groupCount: number;
  /** At 0 the whole match, which has none. Go lets groups share a name; the first that took part counts. */
  readonly groupNames: readonly (string | undefined)[];
  /** About how many steps a code unit of text costs, of a nanosecond or some; an integer of 1 or more. */
  readonly weight: number;
  /** Steps taken so far, by all calls: what a call really cost is the difference. */
  readonly steps: number;
  /** Whether there is a match anywhere in `text`. */
  readonly test: (text: string, limits?: SearchLimits) => boolean;
  /** The leftmost match at `from` or behind it, with its groups; what stands before `from` counts for `^` and `\b`. */
  readonly exec: (text: string, from?: number, limits?: SearchLimits) => Match | undefined;
  /**
   * Up to `limit` matches from left to right; an empty one right behind another is none, as in Go. Throws
   * {@link RegexCostError} where that means to read the text more than 64 times.
   */
  readonly matchAll: (text: string, options?: MatchAllOptions) => readonly Match[];
}

export interface MatchAllOptions extends SearchLimits {
  readonly limit?: number;
  /** Whether {@link Match.places} has the groups; not when absent. */
  readonly groups?: boolean;
}

/** Compiles RE2's syntax, as Go's `regexp` reads it. Throws {@link RegexError}. */
export function compileRegex(pattern: string): Regex {
  if (pattern.length > MAX_PATTERN_LENGTH) throw new RegexError('error parsing regexp: expression too large');
  const counter = new StepCounter();
  const { search, groupNames } = compileSearch(pattern, counter);
  return {
    pattern,
    groupCount: groupNames.length - 1,
    groupNames,
    weight: search.weight,
    get steps() {
      return counter.steps;
    },
    test: (text, limits) => {
      counter.allow(limits);
      return search.test(text);
    },
    exec: (text, from = 0, limits) => {
      counter.allow(limits);
      return toMatch(search.exec(text, from, true));
    },
    matchAll: (text, options) => matchAll(search, counter, text, options ?? {}),
  };
}

/** The text of a group; `undefined` where it took no part, or where there is none of this number. */
export function groupText(text: string, match: Match, group: number): string | undefined {
  const start = match.places[2 * group] ?? -1;
  return start === -1 ? undefined : text.slice(start, match.places[2 * group + 1]);
}

/** A pattern that matches `text` and nothing else. */
export function quoteRegex(text: string): string {
  return RE2JS.quote(text);
}

interface CompiledSearch {
  readonly search: Search;
  readonly groupNames: readonly (string | undefined)[];
}

function compileSearch(pattern: string, counter: StepCounter): CompiledSearch {
  const parsed = tryParse(pattern);
  if (parsed === undefined ? mayBeLarge(pattern) : sizeOf(parsed.root) > MAX_PATTERN_SIZE) {
    throw new RegexError(`error parsing regexp: expression too large: more than ${MAX_PATTERN_SIZE} instructions`);
  }
  const compiled = compileWithRe2js(parsed?.judged ?? pattern);
  const search = createRe2jsSearch(compiled, counter);
  const groupCount = compiled.groupCount();
  // Two readers that do not agree on the groups do not agree on the pattern.
  if (parsed?.groupNames.length !== groupCount + 1) return { search, groupNames: groupNamesOf(compiled) };
  const anchored = isAnchored(parsed.root);
  const programs = compilePrograms(parsed.root, groupCount, anchored);
  if (programs === undefined) return { search, groupNames: parsed.groupNames };
  return {
    search: createAutomatonSearch(programs, createPrefilters(parsed.root, anchored), counter),
    groupNames: parsed.groupNames,
  };
}

function tryParse(pattern: string): ReturnType<typeof parsePattern> | undefined {
  try {
    return parsePattern(pattern);
  } catch (error) {
    if (error instanceof UnsureSyntax) return undefined;
    throw error;
  }
}

/** Of a pattern that was not read: nested counts multiply to 1,000 at most. */
function mayBeLarge(pattern: string): boolean {
  return pattern.includes('{') && pattern.length > MAX_UNREAD_LENGTH;
}

const MAX_UNREAD_LENGTH = 1_000;

/** re2js is the judge of what is a pattern. */
function compileWithRe2js(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    if (error instanceof RE2JSException) throw new RegexError(error.message, { cause: error });
    throw error;
  }
}

function groupNamesOf(compiled: RE2JS): readonly (string | undefined)[] {
  const groupNames: (string | undefined)[] = Array.from({ length: compiled.groupCount() + 1 });
  for (const [name, group] of Object.entries(compiled.namedGroups())) groupNames[group] = name;
  return groupNames;
}

/** Beyond this a text is read again and again: `.*x|a` on `aaaa…` would take time that grows as its square. */
const MAX_READINGS = 64;
const FREE_UNITS = 64_000;

function matchAll(search: Search, counter: StepCounter, text: string, options: MatchAllOptions): readonly Match[] {
  const { limit = Infinity, groups = false } = options;
  counter.allow(options);
  const maxRead = counter.read + MAX_READINGS * text.length + FREE_UNITS;
  const matches: Match[] = [];
  let previousEnd = -1;
  for (let from = 0; from <= text.length && matches.length < limit; ) {
    const match = toMatch(search.exec(text, from, groups));
    if (match === undefined) break;
    if (counter.read > maxRead) throw new RegexCostError('the regular expression reads this text too many times');
    const empty = match.start === match.end;
    if (!empty || match.start !== previousEnd) {
      matches.push(match);
      previousEnd = match.end;
    }
    from = empty ? match.end + ((text.codePointAt(match.end) ?? 0) > 0xffff ? 2 : 1) : match.end;
  }
  return matches;
}

function toMatch(places: Places | undefined): Match | undefined {
  if (places === undefined) return undefined;
  const [start = 0, end = 0] = places;
  return { start, end, places };
}
