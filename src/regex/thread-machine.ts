import { type Alphabet, EDGE } from './alphabet.ts';
import type { StepCounter } from './cost.ts';
import { edgeBefore } from './lazy-dfa.ts';
import { holds } from './look.ts';
import { OP, type Program } from './program.ts';

/** The places of a match: `[start, end]` of each group, -1 where it took no part; the whole match comes first. */
export type Places = readonly number[];

export interface ThreadSearch {
  readonly from: number;
  /** No match ends behind this. */
  readonly end: number;
  /** Whether the match begins at `from`, or else there or behind it. */
  readonly fixed: boolean;
  /** Whether the places of groups are wanted, and not just those of the match. */
  readonly groups: boolean;
}

/**
 * Runs all threads of a pattern at once (Pike's machine): at most the program's length in steps for each code point,
 * whatever the text. Finds matches where a `LazyDfa` gives up, and the groups of long ones.
 */
export class ThreadMachine {
  readonly #program: Program;
  readonly #alphabet: Alphabet;
  readonly #counter: StepCounter;
  readonly #seen: Int32Array;
  readonly #stack: Int32Array;
  readonly #stackPlaces: Places[] = [];
  #threads: Threads;
  #following: Threads;
  #stamp = 0;

  constructor(program: Program, alphabet: Alphabet, counter: StepCounter) {
    this.#program = program;
    this.#alphabet = alphabet;
    this.#counter = counter;
    this.#seen = new Int32Array(program.length);
    // Each instruction is followed once for a code point, and leads to two at most.
    this.#stack = new Int32Array(2 * program.length + 2);
    this.#threads = { count: 0, pcs: new Int32Array(program.length), places: [] };
    this.#following = { count: 0, pcs: new Int32Array(program.length), places: [] };
  }

  /** The leftmost match, of those the preferred one. */
  exec(text: string, search: ThreadSearch): Places | undefined {
    const { from, end, fixed, groups } = search;
    const { entry, scan, next, slots } = this.#program;
    const alphabet = this.#alphabet;
    const unset: Places = Array.from({ length: groups ? slots : 2 }, () => -1);
    // An anchored pattern begins nowhere else.
    const once = fixed || entry === scan;
    this.#threads.count = 0;
    let found: Places | undefined;
    let before = edgeBefore(alphabet, text, from);
    for (let at = from; ; ) {
      const codePoint = text.codePointAt(at);
      const letter = codePoint === undefined ? -1 : alphabet.letterOf(codePoint);
      const after = letter === -1 ? EDGE.text : (alphabet.edges[letter] ?? EDGE.other);
      const place = { at, letter, before, after, groups };
      const threads = this.#threads;
      const following = this.#following;
      following.count = 0;
      this.#stamp++;
      let matched: Places | undefined;
      for (let thread = 0; thread < threads.count && matched === undefined; thread++) {
        matched = this.#follow(next[threads.pcs[thread] ?? 0] ?? 0, threads.places[thread] ?? unset, place);
      }
      if (matched === undefined && found === undefined && (at === from || !once)) {
        matched = this.#follow(entry, unset.with(0, at), place);
      }
      found = matched ?? found;
      this.#counter.addRead(1);
      const over = following.count === 0 && (once || found !== undefined);
      if (codePoint === undefined || at >= end || over) break;
      this.#threads = following;
      this.#following = threads;
      before = after;
      at += codePoint > 0xffff ? 2 : 1;
    }
    // What they hold is garbage from here on.
    this.#threads.places = [];
    this.#following.places = [];
    return found;
  }

  /** Adds the threads that take the letter, in order; returns the places of a match, which ends the search for lesser ones. */
  #follow(start: number, startPlaces: Places, place: Place): Places | undefined {
    const { ops, next, arguments: args } = this.#program;
    const stack = this.#stack;
    const stackPlaces = this.#stackPlaces;
    const seen = this.#seen;
    const stamp = this.#stamp;
    const following = this.#following;
    let depth = 0;
    let visits = 0;
    let pc = start;
    let places = startPlaces;
    for (;;) {
      let ahead = seen[pc] !== stamp;
      seen[pc] = stamp;
      visits++;
      if (ahead) {
        const argument = args[pc] ?? 0;
        const target = next[pc] ?? 0;
        const op = ops[pc];
        if (op === OP.take) {
          if (place.letter !== -1 && this.#alphabet.members[argument]?.[place.letter] === 1) {
            following.pcs[following.count] = pc;
            following.places[following.count++] = places;
          }
          ahead = false;
        } else if (op === OP.split) {
          stack[depth] = argument;
          stackPlaces[depth++] = places;
        } else if (op === OP.note) {
          if (place.groups) places = places.with(argument, place.at);
        } else if (op === OP.look) {
          ahead = holds(argument, place.before, place.after);
        } else {
          this.#counter.add(visits);
          return places.with(1, place.at);
        }
        pc = target;
      }
      if (ahead) continue;
      if (depth === 0) break;
      pc = stack[--depth] ?? 0;
      places = stackPlaces[depth] ?? startPlaces;
    }
    this.#counter.add(visits);
    return undefined;
  }
}

interface Threads {
  count: number;
  readonly pcs: Int32Array;
  places: Places[];
}

interface Place {
  readonly at: number;
  readonly letter: number;
  readonly before: number;
  readonly after: number;
  readonly groups: boolean;
}
