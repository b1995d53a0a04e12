import { type Alphabet, EDGE } from './alphabet.ts';
import type { StepCounter } from './cost.ts';
import { edgeBefore } from './lazy-dfa.ts';
import { holds } from './look.ts';
import { OP, type Program } from './program.ts';

/** The places of a match: `[start, end]` of each group, -1 where it took no part; the whole match comes first. */
export type Places = readonly number[];

/**
 * Runs all threads of a pattern at once (Pike's machine): at most the program's length in steps for each code point,
 * whatever the text. Finds groups, and matches where a {@link LazyDfa} gives up.
 */
export class ThreadMachine {
  readonly #program: Program;
  readonly #alphabet: Alphabet;
  readonly #counter: StepCounter;
  readonly #seen: Int32Array;
  readonly #stack: number[] = [];
  readonly #stackPlaces: Places[] = [];
  readonly #unset: Places;
  #stamp = 0;

  constructor(program: Program, alphabet: Alphabet, counter: StepCounter) {
    this.#program = program;
    this.#alphabet = alphabet;
    this.#counter = counter;
    this.#seen = new Int32Array(program.length);
    this.#unset = Array.from({ length: program.slots }, () => -1);
  }

  /** The leftmost match at `from` or behind it; with `fixed`, the one that begins at `from` and ends by `end`. */
  exec(text: string, from: number, end: number, fixed: boolean, groups: boolean): Places | undefined {
    const { entry, scan, next } = this.#program;
    const alphabet = this.#alphabet;
    // An anchored pattern begins nowhere else.
    const once = fixed || entry === scan;
    const unset = groups ? this.#unset : [-1, -1];
    let threads: Thread[] = [];
    let found: Places | undefined;
    let before = edgeBefore(alphabet, text, from);
    for (let at = from; ; ) {
      const codePoint = text.codePointAt(at);
      const letter = codePoint === undefined ? -1 : alphabet.letterOf(codePoint);
      const after = letter === -1 ? EDGE.text : (alphabet.edges[letter] ?? EDGE.other);
      const place = { at, letter, before, after, groups };
      const following: Thread[] = [];
      this.#stamp++;
      let matched: Places | undefined;
      for (const thread of threads) {
        matched = this.#follow(thread.pc, thread.places, place, following);
        if (matched !== undefined) break;
      }
      if (matched === undefined && found === undefined && (at === from || !once)) {
        matched = this.#follow(entry, unset.with(0, at), place, following);
      }
      found = matched ?? found;
      this.#counter.addRead(1);
      if (codePoint === undefined || at >= end) return found;
      if (following.length === 0 && (once || found !== undefined)) return found;
      for (const thread of following) thread.pc = next[thread.pc] ?? 0;
      threads = following;
      before = after;
      at += codePoint > 0xffff ? 2 : 1;
    }
  }

  /** Adds the threads that take the letter, in order; returns the places of a match, which ends the search for lesser ones. */
  #follow(start: number, startPlaces: Places, place: Place, following: Thread[]): Places | undefined {
    const { ops, next, arguments: args } = this.#program;
    const stack = this.#stack;
    const stackPlaces = this.#stackPlaces;
    stack.length = 0;
    stackPlaces.length = 0;
    let pc: number | undefined = start;
    let places: Places | undefined = startPlaces;
    let visits = 0;
    let matched: Places | undefined;
    while (pc !== undefined && places !== undefined) {
      const argument: number = args[pc] ?? 0;
      const target: number = next[pc] ?? 0;
      const fresh = this.#seen[pc] !== this.#stamp;
      this.#seen[pc] = this.#stamp;
      visits++;
      switch (fresh ? ops[pc] : undefined) {
        case OP.take:
          if (place.letter !== -1 && this.#alphabet.members[argument]?.[place.letter] === 1) {
            following.push({ pc, places });
          }
          break;
        case OP.split:
          stack.push(argument, target);
          stackPlaces.push(places, places);
          break;
        case OP.look:
          if (holds(argument, place.before, place.after)) {
            stack.push(target);
            stackPlaces.push(places);
          }
          break;
        case OP.note:
          stack.push(target);
          stackPlaces.push(place.groups ? places.with(argument, place.at) : places);
          break;
        case OP.match:
          matched = places.with(1, place.at);
          break;
      }
      if (matched !== undefined) break;
      pc = stack.pop();
      places = stackPlaces.pop();
    }
    this.#counter.add(visits);
    return matched;
  }
}

interface Thread {
  pc: number;
  readonly places: Places;
}

interface Place {
  readonly at: number;
  readonly letter: number;
  readonly before: number;
  readonly after: number;
  readonly groups: boolean;
}
