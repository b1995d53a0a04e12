import { toJsonText } from '../../../src/policy/values/json-text.ts';
import type { Answer } from './opa-server.ts';
import { shapeOf } from './shape.ts';

/** The three answers to one question: OPA's is a value's shape, ours are values. */
export interface Answers {
  readonly opa: Answer;
  readonly js: Answer;
  readonly wasm: Answer;
  /** What OPA says of the rule in which ours alone finds a conflict. */
  readonly ofRule?: Answer | undefined;
  readonly strict: boolean;
  /** Whether the policy reads data by keys that it learns at run time. */
  readonly computedKeys: boolean;
  /** Whether the rule is `not` or `every` of rules that are found at run time. */
  readonly behindDynamicCalls: boolean;
}

/**
 * Where an answer of ours differs from OPA's for a reason that lies in OPA: its interpreter and the plan that it makes
 * for us are not the same to the last.
 */
export type Excuse =
  /** Of numbers that are equal, as 1 and 1.0, OPA prints now this one, now the other: it keeps one of them for all. */
  | 'equal number with another text'
  /** OPA's interpreter fails in itself. */
  | 'opa fails in itself'
  /** Where a builtin is replaced, the plan hands its dynamic calls too little: no engine can make them, ours fails. */
  | 'plan that cannot be followed'
  /** It stops at a rule's first value, or leaves a rule out, where the plan goes on and finds two values. */
  | 'conflict that opa does not come to'
  /** The same, where Wasm, with deviations of its own, does not come to it either: OPA finds it in the rule by itself. */
  | 'conflict that wasm does not come to either'
  /** The other way round: what a comprehension holds that is of no use is not in the plan. */
  | 'conflict that the plan does not come to'
  /** With errors strict: the same of a builtin that fails. */
  | 'failure that opa does not come to'
  /** With errors strict: it works out ahead what the plan does not come to, or leaves out as of no use. */
  | 'failure that the plan does not come to'
  /** With errors strict: what is native in Wasm fails in silence. */
  | 'wasm fails in silence'
  /** OPA's Wasm counts otherwise beyond 2^53, with fractions, and writes numbers in other ways. */
  | 'wasm has other numbers'
  /** It goes through objects in the order of their hashes, and writes them so into texts. */
  | 'wasm has another order'
  /** A check of its own ends the evaluation, as for 0 / 0. */
  | 'wasm stops'
  /** What is undefined behind a dynamic call ends no `not` and no `every` there: OPA plans it into a block of its own. */
  | 'wasm goes on behind a dynamic call'
  /** Where a key of the data is only known at run time, OPA reads by a path of texts, and so do we: "01" is an index. */
  | 'wasm reads data by keys';

export type Verdict = 'same' | Excuse | 'differs';

export function textOf(answer: Answer, shape: (answer: Answer & { kind: 'value' }) => string): string {
  switch (answer.kind) {
    case 'value':
      return shape(answer);
    case 'error':
      return `error ${answer.code}: ${answer.text}`;
    case 'undefined':
      return 'undefined';
  }
}

export const opaText = (answer: Answer): string => textOf(answer, ({ value }) => toJsonText(value));
export const ourText = (answer: Answer): string => textOf(answer, ({ value }) => shapeOf(value));

export function judgeJs({ opa, js, wasm, ofRule, strict }: Answers): Verdict {
  if (opa.kind === 'error' ? js.kind === 'error' : opaText(opa) === ourText(js)) return 'same';
  if (byValue(opaText(opa)) === byValue(ourText(js))) return 'equal number with another text';
  // `to_number(".5")` is a number there that it cannot write.
  if (opa.kind === 'error' && opa.code === 'eval_internal_error' && OF_ITSELF.test(opa.text)) {
    return 'opa fails in itself';
  }
  if (isUncallable(js)) return 'plan that cannot be followed';
  if (isConflict(opa) && isAlike(js, wasm)) return 'conflict that the plan does not come to';
  if (isConflict(js)) {
    if (opa.kind === 'error') return 'differs';
    if (isConflict(wasm)) return 'conflict that opa does not come to';
    return ofRule !== undefined && isConflict(ofRule) ? 'conflict that wasm does not come to either' : 'differs';
  }
  if (!strict) return 'differs';
  if (isFailure(js) && opa.kind !== 'error') return 'failure that opa does not come to';
  // The answer itself is still the plan's.
  return isFailure(opa) && (isAlike(js, wasm) || wasm.kind === 'error')
    ? 'failure that the plan does not come to'
    : 'differs';
}

export function judgeWasm(answers: Answers): Verdict {
  const { opa, wasm, strict, computedKeys, behindDynamicCalls } = answers;
  if (opa.kind === 'error' ? wasm.kind === 'error' : opaText(opa) === ourText(wasm)) return 'same';
  const ours = judgeJs(answers);
  if (ours !== 'same' && ours !== 'differs') return ours;
  if (inDoubles(opaText(opa)) === inDoubles(ourText(wasm))) return 'wasm has other numbers';
  // Sets are compared in that order too, and so rules apply that should not.
  if (isConflict(wasm) && ours === 'same') return 'wasm has another order';
  if (inAnyOrder(opaText(opa)) === inAnyOrder(ourText(wasm))) return 'wasm has another order';
  if (strict && isFailure(opa)) return 'wasm fails in silence';
  if (wasm.kind === 'error' && wasm.code === 'engine' && STOPS.some((text) => wasm.text.includes(text)))
    return 'wasm stops';
  if (behindDynamicCalls && ours === 'same' && wasm.kind !== 'error') return 'wasm goes on behind a dynamic call';
  if (computedKeys && ours === 'same' && wasm.kind !== 'error') return 'wasm reads data by keys';
  if (strict && opa.kind !== 'error' && wasm.kind === 'error') return 'failure that opa does not come to';
  return 'differs';
}

/** Whether Wasm's answer is the other's, but for its numbers and its order. */
function isAlike(js: Answer, wasm: Answer): boolean {
  const normal = (answer: Answer): string => inAnyOrder(inDoubles(ourText(answer)));
  return ourText(js) === ourText(wasm) || (js.kind === 'value' && normal(js) === normal(wasm));
}

/** Its own abort, and what traps in its native builtins (an empty path, a remainder of 0): no answer, and so a denial. */
const STOPS = ['aborted: ', 'RuntimeError: '];

/** A shape's text with one spelling for all numbers that are equal. */
function byValue(text: string): string {
  return text.replaceAll(NUMBER_OR_TEXT, (found) => (found.startsWith('"') ? found : decimalText(found)));
}

function decimalText(text: string): string {
  const [, sign = '', integer = '', fraction = '', exponent = '0'] = DECIMAL.exec(text) ?? [];
  const digits = `${integer}${fraction}`.replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  return `${sign}${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`;
}

const DECIMAL = /^(-?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/;

/** The same, numbers with as many digits as Wasm has. */
function inDoubles(text: string): string {
  return text.replaceAll(NUMBER_OR_TEXT, (found) => (found.startsWith('"') ? found : Number(found).toPrecision(12)));
}

const NUMBER_OR_TEXT = /"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*/g;

function inAnyOrder(text: string): string {
  return Array.from(text).sort().join('');
}

const OF_ITSELF = /requires evaluation|invalid number literal/;

/** The path of the rule in which ours finds a conflict that neither of the others does. */
export function ruleInConflict({ opa, js, wasm }: Pick<Answers, 'opa' | 'js' | 'wasm'>): readonly string[] | undefined {
  if (js.kind !== 'error' || !isConflict(js) || isConflict(wasm) || opa.kind === 'error') return undefined;
  return /^rule data\.(\S+) /.exec(js.text)?.[1]?.split('.');
}

function isConflict(answer: Answer): boolean {
  return answer.kind === 'error' && answer.code === 'eval_conflict_error';
}

function isUncallable(answer: Answer): boolean {
  return answer.kind === 'error' && answer.text === 'a function with arguments is called without any';
}

function isFailure(answer: Answer): boolean {
  return answer.kind === 'error' && (answer.code === 'eval_type_error' || answer.code === 'eval_builtin_error');
}
