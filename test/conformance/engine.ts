import type { Value } from '../../src/policy/values/value.ts';
import type { ConformanceCase } from './conformance-case.ts';

/** An engine under test. */
export interface ConformanceEngine {
  readonly name: EngineName;
  /** Some builtins fail in silence here, with `undefined` and no error, though errors are strict. */
  readonly silentFailures: boolean;
  /** Evaluates a case once. Does not throw. */
  evaluate(subject: ConformanceCase, strict: boolean): Outcome;
}

export type EngineName = 'js' | 'wasm';

export const ENGINE_NAMES: readonly EngineName[] = ['js', 'wasm'];

/** What came of an evaluation. */
export type Outcome =
  | { readonly kind: 'results'; readonly results: readonly Value[] }
  | EvaluationError
  /** The engine does not take the policy at all, and says why. */
  | { readonly kind: 'refused'; readonly reason: string };

export interface EvaluationError {
  readonly kind: 'error';
  readonly code: string;
  /** `undefined` where the engine cannot say what OPA says. */
  readonly text: string | undefined;
}
