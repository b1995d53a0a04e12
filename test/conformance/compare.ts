import { entriesOf, isArray, isObject } from '../../src/policy/values/object.ts';
import { parseRegoText, toRegoText } from '../../src/policy/values/text.ts';
import type { Value } from '../../src/policy/values/value.ts';
import type { ConformanceCase, Wanted } from './conformance-case.ts';
import type { ConformanceEngine, Outcome } from './engine.ts';
import { type Sameness, sameMembers, sameValue } from './same-value.ts';

/** How a case ended. */
export type Verdict =
  | { readonly kind: 'passed' }
  /** An answer other than OPA's. */
  | { readonly kind: 'differs'; readonly wanted: string; readonly got: string }
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * Runs a case and judges it as OPA's own runners do. With errors strict the wanted error must come; a result wanted
 * besides is what the evaluation gives where they are not, since OPA ends an evaluation before it reports them. An
 * engine whose builtins fail in silence may give an empty result set in place of such an error, as OPA grants its Wasm.
 */
export function judge(engine: ConformanceEngine, subject: ConformanceCase): Verdict {
  const { wanted, strict } = subject;
  const wantsError = wanted.errorCode !== undefined || wanted.errorText !== undefined;
  if (wantsError) {
    const outcome = engine.evaluate(subject, strict);
    const silent = strict && engine.silentFailures && outcome.kind === 'results';
    const verdict = silent ? judgeSilence(outcome.results, wanted) : judgeError(outcome, wanted);
    if (verdict.kind !== 'passed') return verdict;
  }
  if (wanted.results === undefined) {
    return wantsError ? PASSED : differs('something', 'nothing: a case without a wanted answer');
  }
  return judgeResults(engine.evaluate(subject, strict && !wantsError), wanted.results, wanted);
}

const PASSED: Verdict = { kind: 'passed' };

/** Where a result is wanted too, that is judged by itself. */
function judgeSilence(results: readonly Value[], wanted: Wanted): Verdict {
  return results.length === 0 || wanted.results !== undefined ? PASSED : differs('no result', shown(results));
}

function judgeError(outcome: Outcome, { errorCode, errorText }: Wanted): Verdict {
  if (outcome.kind === 'refused') return outcome;
  const described = `${errorCode ?? 'any code'}: ${errorText ?? 'any text'}`;
  if (outcome.kind === 'results') return differs(described, shown(outcome.results));
  const { code, text } = outcome;
  const rightCode = errorCode === undefined || code === errorCode;
  const rightText = text === undefined || `${code}: ${text}`.includes(withoutPlace(errorText ?? ''));
  return rightCode && rightText ? PASSED : differs(described, `${code}: ${text ?? '(no text)'}`);
}

/** Places are of the files that the cases were written for. */
function withoutPlace(errorText: string): string {
  return errorText.replace(/^test-\d+\.rego:\d+: /, '');
}

function judgeResults(outcome: Outcome, wantedText: string, wanted: Wanted): Verdict {
  if (outcome.kind === 'refused') return outcome;
  if (outcome.kind === 'error') return differs(wantedText, `${outcome.code}: ${outcome.text ?? '(no text)'}`);
  const expected = parseRegoText(wantedText);
  if (!isArray(expected)) throw new Error('a case wants something else than a list of bindings');
  const same = (one: Value, other: Value): boolean => sameBindings(one, other, wanted);
  // As sets: whether a result comes once or twice means nothing.
  return expected.every((one) => outcome.results.some((result) => same(one, result))) &&
    outcome.results.every((result) => expected.some((one) => same(one, result)))
    ? PASSED
    : differs(wantedText, shown(outcome.results));
}

function sameBindings(expected: Value, result: Value, wanted: Wanted): boolean {
  if (!isObject(expected) || !isObject(result)) return false;
  const mode: Sameness = wanted.exact ? 'exact' : 'json';
  const names = entriesOf(expected);
  const bound = new Map(entriesOf(result).filter(([name]) => !wanted.ignoreGeneratedVars || !isGenerated(name)));
  return (
    names.length === bound.size &&
    names.every(([name, value]) => {
      const other = bound.get(name);
      if (other === undefined) return false;
      if (wanted.sortBindings && isArray(value) && isArray(other)) return sameMembers(value, other, mode);
      return sameValue(value, other, mode);
    })
  );
}

/** Whether OPA's compiler made the variable up. */
function isGenerated(name: Value): boolean {
  return typeof name === 'string' && name.startsWith('__localq');
}

function differs(wanted: string, got: string): Verdict {
  return { kind: 'differs', wanted, got };
}

function shown(results: readonly Value[]): string {
  return `[${results.map(toRegoText).join(',')}]`;
}
