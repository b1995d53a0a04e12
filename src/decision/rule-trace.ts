import type { PolicyInput } from './input.ts';
import type { Evaluation, Instant } from './ports.ts';

/** A place in the policy's sources; rows and columns count from 1. */
export interface RulePlace {
  readonly file: string;
  readonly row: number;
  readonly col: number;
  /** What stands there, cut to one short line; absent where the bundle has no such source. */
  readonly text?: string;
}

/** One body of a rule that an evaluation entered. Nothing in it comes from input or data. */
export interface TracedRule {
  /** The rule's path: `data.authz.allow`. */
  readonly rule: string;
  /** How many rules were being evaluated around it. */
  readonly depth: number;
  /** Where it begins. */
  readonly head: RulePlace;
  readonly outcome: RuleOutcome;
  /** Of an undefined one: the furthest of its expressions that did not hold. */
  readonly failed?: FailedExpression;
}

export type RuleOutcome = 'held' | 'undefined' | 'default';

export interface FailedExpression extends RulePlace {
  /** `missing`: something it reads is not there; `nothing`: it went through something and found nothing. */
  readonly how: 'not_true' | 'missing' | 'nothing';
}

/** The rules in the order in which they were entered, each before those that it asked. A rule that was remembered is not entered again. */
export interface RuleTrace {
  readonly rules: readonly TracedRule[];
  /** Rules that were entered beyond the 500 that a trace holds, or more than three times by the same rule. */
  readonly left_out: number;
  /** Where the evaluation was when it failed as a whole. */
  readonly ended?: RulePlace;
}

/** Evaluates once more, watched: slow, and never on the way of a request. Throws nothing of the policy's. */
export type Explain = (entrypoint: string, input: PolicyInput, at: Instant) => Explained;

export interface Explained {
  /** What came of it, or what it failed with. */
  readonly evaluation: Evaluation | Error;
  readonly trace: RuleTrace;
  /** Places of the expressions that were evaluated, as `file:row:col`. */
  readonly evaluated: () => ReadonlySet<string>;
}
