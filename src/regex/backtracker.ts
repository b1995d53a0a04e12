import { type Alphabet, LATIN } from './alphabet.ts';
import type { StepCounter } from './cost.ts';
import { edgeBefore, edgeBehind } from './lazy-dfa.ts';
import { holds } from './look.ts';
import { OP, type Program } from './program.ts';
import type { Places } from './thread-machine.ts';

const MAX_CELLS = 1 << 18;

/**
 * Finds the groups of a match whose ends are known, by going back and trying again, but at each place through each
 * instruction once (RE2's "bit state"): never more steps than the pattern's size times the match's length.
 */
export class Backtracker {
  readonly #program: Program;
  readonly #alphabet: Alphabet;
  readonly #counter: StepCounter;
  #visited = new Uint32Array(64);
  readonly #stack: number[] = [];

  constructor(program: Program, alphabet: Alphabet, counter: StepCounter) {
    this.#program = program;
    this.#alphabet = alphabet;
    this.#counter = counter;
  }

  /** Whether the pattern and a match of so many units are small enough. */
  takes(units: number): boolean {
    return this.#program.length * (units + 1) <= MAX_CELLS;
  }

  /** The places of the groups of the match that begins at `start` and ends at `end`. */
  exec(text: string, start: number, end: number): Places | undefined {
    const { ops, next, arguments: args, length, entry, slots } = this.#program;
    const words = (length * (end - start + 1) + 31) >> 5;
    if (words > this.#visited.length) this.#visited = new Uint32Array(2 * words);
    else this.#visited.fill(0, 0, words);
    const visited = this.#visited;
    const places: number[] = Array.from({ length: slots }, () => -1);
    const stack = this.#stack;
    stack.length = 0;
    stack.push(entry, start);
    let steps = 0;
    while (stack.length > 0) {
      let at = stack.pop() ?? 0;
      let pc = stack.pop() ?? 0;
      if (pc < 0) {
        // A note of a way that led nowhere is taken back.
        places[~pc] = at;
        continue;
      }
      for (;;) {
        const cell = (at - start) * length + pc;
        const bit = 1 << (cell & 31);
        const word = visited[cell >> 5] ?? 0;
        if ((word & bit) !== 0) break;
        visited[cell >> 5] = word | bit;
        steps++;
        const argument = args[pc] ?? 0;
        const op = ops[pc];
        if (op === OP.match) {
          if (at !== end) break;
          this.#counter.add(steps);
          places[0] = start;
          places[1] = end;
          return places;
        }
        if (op === OP.take) {
          if (at >= end) break;
          const codePoint = text.codePointAt(at) ?? 0;
          const letter =
            codePoint < LATIN ? (this.#alphabet.latin[codePoint] ?? 0) : this.#alphabet.letterOf(codePoint);
          if (this.#alphabet.members[argument]?.[letter] !== 1) break;
          at += codePoint > 0xffff ? 2 : 1;
        } else if (op === OP.split) {
          stack.push(argument, at);
        } else if (op === OP.note) {
          stack.push(~argument, places[argument] ?? -1);
          places[argument] = at;
        } else if (!holds(argument, edgeBefore(this.#alphabet, text, at), edgeBehind(this.#alphabet, text, at))) {
          break;
        }
        pc = next[pc] ?? 0;
      }
    }
    this.#counter.add(steps);
    return undefined;
  }
}
