export interface SearchLimits {
  /** A {@link RegexCostError} is thrown at the next occasion after so many steps; as many as it takes when absent. */
  readonly maxSteps?: number;
  /** Told of steps as they are taken, but for the first `free` ones; what it throws ends the search. */
  readonly spend?: (steps: number) => void;
  readonly free?: number;
}

/** Thrown where a match would take more steps than its caller allows, or would read a text over and over. */
export class RegexCostError extends Error {
  override readonly name = 'RegexCostError';
}

/** Counts the work of one pattern, and stops it at a limit. */
export class StepCounter {
  /** Code points read and instructions followed, so far. */
  steps = 0;
  /** Code units of texts gone over so far, each time again. */
  read = 0;
  #limit = Infinity;
  #spent = Infinity;
  #spend: ((steps: number) => void) | undefined;

  /** From here on so many more steps may be taken; those beyond `free` are told to `spend`, which may throw. */
  allow({ maxSteps = Infinity, free = 0, spend }: SearchLimits = {}): void {
    this.#limit = this.steps + maxSteps;
    this.#spend = spend;
    this.#spent = spend === undefined ? Infinity : this.steps + free;
  }

  add(steps: number): void {
    this.steps += steps;
    const beyond = this.steps - this.#spent;
    if (beyond > 0) {
      this.#spent = this.steps;
      this.#spend?.(beyond);
    }
    if (this.steps > this.#limit) throw new RegexCostError('the regular expression takes too many steps on this text');
  }

  addRead(units: number): void {
    this.read += units;
    this.add(units);
  }
}
