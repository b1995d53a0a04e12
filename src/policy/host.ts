import type { Instant } from '../decision/ports.ts';
import { type BuiltinContext, BuiltinFailure, type Builtins } from './builtins/builtin.ts';
import { createRandomness } from './decision-randomness.ts';
import type { EvaluationBudget } from './evaluation-budget.ts';
import type { CallBuiltin } from './opa-wasm.ts';
import { entriesOf, isArray, isObject } from './values/object.ts';
import { RegoSet } from './values/set.ts';
import type { Value } from './values/value.ts';
import { countWorkBy } from './values/work.ts';

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
      countWorkBy(current.charge);
      try {
        return demandText(builtin(current, a, b, c, d));
      } catch (error) {
        if (!(error instanceof BuiltinFailure)) throw error;
        if (current.strict) throw new Error(`\`${name}\`: ${error.message}`, { cause: error });
        return undefined;
      } finally {
        countWorkBy(undefined);
      }
    },
  };
}

/** The module's texts are bytes and its host's are not: what it would take for another text fails the evaluation. */
function demandText(result: Value | undefined): Value | undefined {
  if (result === undefined || isWellFormed(result)) return result;
  throw new Error('a builtin decoded bytes that are no UTF-8, which cannot be handed to the module');
}

function isWellFormed(value: Value): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (isArray(value)) return value.every(isWellFormed);
  if (value instanceof RegoSet) return value.list().every(isWellFormed);
  return !isObject(value) || entriesOf(value).every(([key, member]) => isWellFormed(key) && isWellFormed(member));
}
