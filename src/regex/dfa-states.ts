import { type Alphabet, EDGE } from './alphabet.ts';
import type { StepCounter } from './cost.ts';
import { holds } from './look.ts';
import { OP, type Program } from './program.ts';

/** A cell of {@link DfaStates.table} that {@link DfaStates.step} has to fill in. */
export const UNKNOWN = 0;

/** The kinds of {@link EDGE}. */
const EDGES = 4;

const MAX_CELLS = 32_768;
const MAX_KEY_CHARS = 131_072;

/**
 * The states of a lazy DFA (RE2's technique): a state is the instructions to run, in order of preference, with the kind of
 * the code point before them and whether a match ended before that one. A cell holds the row of the state behind a letter,
 * negative where a match ends before that letter. Bounded: 32,768 cells and 131,072 characters of keys, about 500 kB.
 */
export class DfaStates {
  readonly stride: number;
  /** The offset of the row of the state that is left by no letter. */
  readonly dead: number;
  /** Rows from here down to behind {@link dead} are those where matching begins. */
  readonly idle: number;
  /** Replaced when it grows or is emptied: read it again after {@link step}. */
  table: Int32Array;
  /** How often the table was full and was emptied. */
  cleared = 0;
  readonly #program: Program;
  readonly #alphabet: Alphabet;
  readonly #longest: boolean;
  readonly #counter: StepCounter;
  readonly #rows = new Map<string, number>();
  #keys: string[] = [];
  #keyChars = 0;
  readonly #seen: Int32Array;
  readonly #kept: Int32Array;
  #stamp = 0;
  readonly #stack: number[] = [];

  constructor(options: {
    readonly program: Program;
    readonly alphabet: Alphabet;
    /** Every match counts, not only those that leftmost-first preference leaves. */
    readonly longest: boolean;
    readonly counter: StepCounter;
  }) {
    this.#program = options.program;
    this.#alphabet = options.alphabet;
    this.#longest = options.longest;
    this.#counter = options.counter;
    this.stride = options.alphabet.size + 1;
    this.dead = this.stride;
    this.idle = this.dead + EDGES * this.stride;
    this.table = new Int32Array(this.stride * 8);
    this.#seen = new Int32Array(options.program.length);
    this.#kept = new Int32Array(options.program.length);
    this.#clear();
  }

  /** The letter for the end of the text. */
  get end(): number {
    return this.stride - 1;
  }

  /** How many states the table holds at most; of large ones fewer. */
  get capacity(): number {
    return Math.floor(MAX_CELLS / this.stride);
  }

  /** The row where matching begins behind a code point of this kind. */
  start(edge: number): number {
    return this.dead + (edge + 1) * this.stride;
  }

  /** Fills the cell of `row` and `letter` in, and returns it. */
  step(row: number, letter: number): number {
    const key = this.#keys[row / this.stride] ?? '';
    const { matched, next } = this.#follow(key, letter);
    const behind = letter === this.end ? EDGE.text : (this.#alphabet.edges[letter] ?? EDGE.other);
    const before = this.cleared;
    const target = next === '' ? this.dead : this.#rowOf(String.fromCharCode(behind) + next);
    const cell = matched ? -target : target;
    // After a clearing the row is another state's.
    if (this.cleared === before) this.table[row + letter] = cell;
    return cell;
  }

  #clear(): void {
    this.#rows.clear();
    this.#keys = ['', ''];
    this.#keyChars = 0;
    this.table.fill(UNKNOWN);
    this.table.fill(this.dead, this.dead, this.dead + this.stride);
    for (let edge = 0; edge < EDGES; edge++) this.#rowOf(String.fromCharCode(edge, this.#program.scan));
  }

  #rowOf(key: string): number {
    const known = this.#rows.get(key);
    if (known !== undefined) return known;
    if ((this.#keys.length + 1) * this.stride > MAX_CELLS || this.#keyChars + key.length > MAX_KEY_CHARS) {
      this.#clear();
      this.cleared++;
    }
    const row = this.#keys.length * this.stride;
    if (row + this.stride > this.table.length) {
      const larger = new Int32Array(Math.min(this.table.length * 2, MAX_CELLS));
      larger.set(this.table);
      this.table = larger;
    }
    this.#keys.push(key);
    this.#keyChars += key.length;
    this.#rows.set(key, row);
    return row;
  }

  #follow(key: string, letter: number): { readonly matched: boolean; readonly next: string } {
    const { ops, next, arguments: args } = this.#program;
    const before = key.charCodeAt(0);
    const after = letter === this.end ? EDGE.text : (this.#alphabet.edges[letter] ?? EDGE.other);
    const stamp = ++this.#stamp;
    const stack = this.#stack;
    const targets: number[] = [];
    let matched = false;
    let visits = 0;
    for (let at = 1; at < key.length && (this.#longest || !matched); at++) {
      stack.push(key.charCodeAt(at));
      for (let pc = stack.pop(); pc !== undefined; pc = stack.pop()) {
        if (this.#seen[pc] === stamp) continue;
        this.#seen[pc] = stamp;
        visits++;
        const argument = args[pc] ?? 0;
        const target = next[pc] ?? 0;
        const op = ops[pc];
        if (op === OP.take) {
          if (letter === this.end || this.#alphabet.members[argument]?.[letter] !== 1) continue;
          if (this.#kept[target] === stamp) continue;
          this.#kept[target] = stamp;
          targets.push(target);
        } else if (op === OP.match) {
          matched = true;
          // What is preferred less than this match is out.
          if (!this.#longest) stack.length = 0;
        } else if (op === OP.split) {
          stack.push(argument, target);
        } else if (op === OP.note || holds(argument, before, after)) {
          stack.push(target);
        }
      }
    }
    this.#counter.add(visits + 1);
    if (this.#longest) targets.sort((one, other) => one - other);
    return { matched, next: targets.map((target) => String.fromCharCode(target)).join('') };
  }
}
