import type { Instant } from '../decision/ports.ts';
import { type BuiltinContext, BuiltinFailure, type Builtins } from './builtins/builtin.ts';
import { createRandomness } from './decision-randomness.ts';
import type { EvaluationBudget } from './evaluation-budget.ts';
import type { CallBuiltin } from './opa-wasm.ts';
import type { Value } from './values/value.ts';

/** What stands behind the module's calls: the builtins, and what is pinned for the decision that is being evaluated. */
export interface Host {
  /**
   * Pins time and randomness to a decision's instant for the evaluation that comes next; with `strict` a builtin that
   * fails is a fault, and so is one whose work the budget does not allow.
   */
  begin(at: Instant, strict: boolean, budget: EvaluationBudget): void;
  readonly call: CallBuiltin;
}

interface HostParts {
  readonly builtins: Builtins;
  readonly randomBytes: (count: number) => Uint8Array;
}

export function createHost({ builtins, randomBytes }: HostParts): Host {
  const randomFor = createRandomness(randomBytes);
  let current: BuiltinContext | undefined;

  return {
    begin: (at, strict, budget) => {
      current = {
        at,
        strict,
        randomFor: (label) => randomFor(at, label),
        charge: (steps) => {
          budget.steps -= steps;
          if (budget.steps < 0) budget.exhausted();
        },
      };
    },
    call: (name, [a = null, b = null, c = null, d = null]): Value | undefined => {
      const builtin = builtins.get(name);
      if (builtin === undefined || current === undefined) throw new Error(`the builtin \`${name}\` is not supported`);
      try {
        return builtin(current, a, b, c, d);
      } catch (error) {
        if (!(error instanceof BuiltinFailure)) throw error;
        if (current.strict) throw new Error(`\`${name}\`: ${error.message}`, { cause: error });
        return undefined;
      }
    },
  };
}
