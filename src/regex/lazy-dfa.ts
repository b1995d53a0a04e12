import { type Alphabet, EDGE, LATIN } from './alphabet.ts';
import type { StepCounter } from './cost.ts';
import { type DfaStates, UNKNOWN } from './dfa-states.ts';
import type { Prefilter } from './prefilter.ts';

/** What a search answers when its states do not stay few: the text has to be searched in another way. */
export const GAVE_UP = -2;
export const NO_MATCH = -1;

/** A run goes on after its states were dropped only when it read so many code units per state since. */
const UNITS_PER_STATE = 16;

/** After so many skips of fewer units than {@link POOR_SKIP} a run skips no more. */
const MAX_POOR_SKIPS = 16;
const POOR_SKIP = 12;

/** Searches one direction of a pattern, one table look-up per code unit once the states are known. */
export class LazyDfa {
  readonly #states: DfaStates;
  readonly #alphabet: Alphabet;
  readonly #counter: StepCounter;

  constructor(states: DfaStates, alphabet: Alphabet, counter: StepCounter) {
    this.#states = states;
    this.#alphabet = alphabet;
    this.#counter = counter;
  }

  /**
   * The end of the leftmost match at `from` or behind it, {@link NO_MATCH} or {@link GAVE_UP}; with `onlyWhether`, some place where
   * it is sure that there is a match. `starts` says where one may begin.
   */
  matchEnd(text: string, from: number, onlyWhether: boolean, starts: Prefilter | undefined): number {
    const states = this.#states;
    const { dead, idle } = states;
    const { latin } = this.#alphabet;
    const { length } = text;
    const watch = new ClearingWatch(states, from);
    let skips = starts === undefined ? 0 : MAX_POOR_SKIPS;
    // Cells up to here need a look: unknown, a match, the dead state, and those where nothing has begun.
    let special = skips > 0 ? idle : dead;
    let { table } = states;
    let found = NO_MATCH;
    let at = from;
    let row = states.start(edgeBefore(this.#alphabet, text, from));
    if (starts !== undefined) {
      at = starts.next(text, from);
      if (at === -1) {
        this.#counter.addRead(length - from);
        return NO_MATCH;
      }
      row = states.start(edgeBefore(this.#alphabet, text, at));
    }
    for (;;) {
      let cell = 0;
      let unit = 0;
      while (at < length) {
        unit = text.charCodeAt(at);
        if (unit >= LATIN) break;
        cell = table[row + (latin[unit] ?? 0)] ?? 0;
        if (cell <= special) break;
        row = cell;
        at++;
      }
      const codePoint = at < length ? (unit < LATIN ? unit : (text.codePointAt(at) ?? unit)) : -1;
      const letter = codePoint === -1 ? states.end : this.#letter(codePoint);
      cell = table[row + letter] ?? 0;
      if (cell === UNKNOWN) {
        cell = states.step(row, letter);
        table = states.table;
        if (watch.isThrashing(at)) {
          found = GAVE_UP;
          break;
        }
      }
      if (cell < 0) {
        found = at;
        if (onlyWhether) break;
        cell = -cell;
      }
      if (cell === dead || at >= length) break;
      row = cell;
      at += codePoint > 0xffff ? 2 : 1;
      if (cell > special || starts === undefined) continue;
      const next = starts.next(text, at);
      if (next === -1) {
        at = length;
        break;
      }
      if (next > at) row = states.start(edgeBefore(this.#alphabet, text, next));
      if (next - at < POOR_SKIP && --skips === 0) special = dead;
      at = next;
    }
    this.#counter.addRead(at - from);
    return found;
  }

  /** For a backward pattern: the first start, not before `from`, of a match that ends at `end`. */
  matchStart(text: string, from: number, end: number): number {
    const states = this.#states;
    const { dead } = states;
    const watch = new ClearingWatch(states, end);
    let row = states.start(edgeBehind(this.#alphabet, text, end));
    let found = NO_MATCH;
    let at = end;
    while (row !== dead) {
      const codePoint = codePointBefore(text, at);
      const letter = codePoint === -1 ? states.end : this.#letter(codePoint);
      const cell = states.table[row + letter] || states.step(row, letter);
      if (watch.isThrashing(at)) {
        found = GAVE_UP;
        break;
      }
      if (cell < 0) found = at;
      // At `from` only the assertions of what stands before count.
      if (at <= from) break;
      row = Math.abs(cell);
      at -= codePoint > 0xffff ? 2 : 1;
    }
    this.#counter.addRead(end - at);
    return found;
  }

  #letter(codePoint: number): number {
    return codePoint < LATIN ? (this.#alphabet.latin[codePoint] ?? 0) : this.#alphabet.letterOf(codePoint);
  }
}

/** Notices that the states of one run are dropped faster than they serve. */
class ClearingWatch {
  readonly #states: DfaStates;
  #cleared: number;
  #since: number;
  #first = true;

  constructor(states: DfaStates, at: number) {
    this.#states = states;
    this.#cleared = states.cleared;
    this.#since = at;
  }

  isThrashing(at: number): boolean {
    if (this.#states.cleared === this.#cleared) return false;
    // The first time the states may be those of other texts.
    const poor = !this.#first && Math.abs(at - this.#since) < UNITS_PER_STATE * this.#states.capacity;
    this.#first = false;
    this.#cleared = this.#states.cleared;
    this.#since = at;
    return poor;
  }
}

/** The code point that ends before `at`; -1 where the text begins. */
export function codePointBefore(text: string, at: number): number {
  if (at <= 0) return -1;
  const unit = text.charCodeAt(at - 1);
  if (unit < 0xdc00 || unit > 0xdfff || at < 2) return unit;
  const pair = text.codePointAt(at - 2) ?? unit;
  return pair > 0xffff ? pair : unit;
}

/** What stands before `at`, for assertions. */
export function edgeBefore(alphabet: Alphabet, text: string, at: number): number {
  const codePoint = codePointBefore(text, at);
  return codePoint === -1 ? EDGE.text : (alphabet.edges[alphabet.letterOf(codePoint)] ?? EDGE.other);
}

/** What stands behind `at`, for assertions. */
export function edgeBehind(alphabet: Alphabet, text: string, at: number): number {
  const codePoint = text.codePointAt(at);
  return codePoint === undefined ? EDGE.text : (alphabet.edges[alphabet.letterOf(codePoint)] ?? EDGE.other);
}
