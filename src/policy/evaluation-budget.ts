import { RequestFault } from '../decision/errors.ts';

/** What the running evaluation may still use up before it is looked at. Generated code counts `steps` down. */
export interface EvaluationBudget {
  steps: number;
  /** Called when `steps` are used up: gives more, or throws a `RequestFault` `policy_budget`. */
  exhausted(): void;
}

export interface BudgetParts {
  /** Milliseconds of this thread's CPU time: a machine that runs others is not the policy's fault. */
  readonly cpuMs: () => number;
  readonly budgetMs: number;
}

/** Steps between two looks at the clock, some 0.1 ms; an evaluation that needs no more never looks. */
const STEPS_BETWEEN = 10_000;
/** At 10 ns each. */
const USUAL_STEPS_PER_MS = 100_000;
/** No policy is let go on for longer by a clock that stands still or by work that was only announced. */
const STEPS_PER_MS = 400_000;

/** The budget of one evaluation after the other: {@link restart} begins each. */
export class RenewedBudget implements EvaluationBudget {
  steps = STEPS_BETWEEN;
  #used = 0;
  #beganMs: number | undefined;
  #lookedMs = 0;
  readonly #parts: BudgetParts;

  constructor(parts: BudgetParts) {
    this.#parts = parts;
  }

  restart(): void {
    this.steps = STEPS_BETWEEN;
    this.#used = 0;
    this.#beganMs = undefined;
  }

  /**
   * What was used since the restart, in steps of 10 ns: no more than the budget for work that was only announced, and no
   * less than the time that the clock told where it was looked at.
   */
  used(): number {
    if (this.#beganMs === undefined) return STEPS_BETWEEN - this.steps;
    const steps = this.#used + Math.max(0, STEPS_BETWEEN - this.steps);
    const elapsed = (this.#lookedMs - this.#beganMs) * USUAL_STEPS_PER_MS;
    return Math.max(elapsed, Math.min(steps, this.#parts.budgetMs * USUAL_STEPS_PER_MS));
  }

  exhausted(): void {
    const { cpuMs, budgetMs } = this.#parts;
    // What was charged beyond the steps that there were counts too.
    this.#used += STEPS_BETWEEN - this.steps;
    this.steps = STEPS_BETWEEN;
    const nowMs = cpuMs();
    this.#beganMs ??= nowMs;
    this.#lookedMs = nowMs;
    // Charges that are no number have no end either.
    if (nowMs - this.#beganMs > budgetMs || !(this.#used <= budgetMs * STEPS_PER_MS)) {
      throw new RequestFault('policy_budget', `the policy used up its ${budgetMs} ms`);
    }
  }
}
