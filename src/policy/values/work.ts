/** Who counts what comparing and keying values takes: it throws when that is too much. */
export type CountWork = (steps: number) => void;

const uncounted: CountWork = () => {};
let current: CountWork = uncounted;

/**
 * Counts work on values from here on by `count`, or no longer. One thread evaluates one thing at a time, and values know
 * nothing of evaluations: whoever begins one sets this, and takes it back when it is over.
 */
export function countWorkBy(count: CountWork | undefined): void {
  current = count ?? uncounted;
}

/** To be called before the work; a step is some 10 ns. */
export function countWork(steps: number): void {
  current(steps);
}
