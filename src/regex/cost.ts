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

  /** From here on `allowed` more steps may be taken. */
  allow(allowed: number): void {
    this.#limit = this.steps + allowed;
  }

  add(steps: number): void {
    this.steps += steps;
    if (this.steps > this.#limit) throw new RegexCostError('the regular expression takes too many steps on this text');
  }

  addRead(units: number): void {
    this.read += units;
    this.add(units);
  }
}
