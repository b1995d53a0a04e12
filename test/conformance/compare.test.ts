import { expect, test } from 'vitest';
import { parseRegoText } from '../../src/policy/values/text.ts';
import { judge, type Verdict } from './compare.ts';
import type { ConformanceCase, Wanted } from './conformance-case.ts';
import type { ConformanceEngine, Outcome } from './engine.ts';

const NOTHING: Wanted = {
  results: undefined,
  errorCode: undefined,
  errorText: undefined,
  exact: false,
  sortBindings: false,
  ignoreGeneratedVars: false,
};

interface Question extends Partial<Wanted> {
  readonly strict?: boolean;
}

/** The verdict over an engine that answers so. */
function verdictOf({ strict = false, ...wanted }: Question, answers: Answers, silentFailures = false): Verdict['kind'] {
  const subject: ConformanceCase = {
    name: 'case',
    file: '',
    query: '',
    modules: [],
    input: undefined,
    data: '{}',
    wanted: { ...NOTHING, ...wanted },
    strict,
    plan: new Uint8Array(),
    builtins: [],
    wasm: () => new Uint8Array(),
  };
  const engine: ConformanceEngine = { name: 'js', silentFailures, evaluate: (_, strictly) => answers(strictly) };
  return judge(engine, subject).kind;
}

type Answers = (strict: boolean) => Outcome;

const results = (...texts: readonly string[]): Answers => {
  return () => ({ kind: 'results', results: texts.map(parseRegoText) });
};
const failure = (code: string, text: string | undefined): Answers => {
  return () => ({ kind: 'error', code, text });
};

test.each<readonly [string, Question, Answers, Verdict['kind']]>([
  ['the wanted result', { results: '[{"x":1}]' }, results('{"x":1}'), 'passed'],
  ['another value', { results: '[{"x":1}]' }, results('{"x":2}'), 'differs'],
  ['no result', { results: '[{"x":1}]' }, results(), 'differs'],
  ['a result where none is wanted', { results: '[]' }, results('{"x":1}'), 'differs'],
  ['a result twice', { results: '[{"x":1}]' }, results('{"x":1}', '{"x":1}'), 'passed'],
  ['one of two results', { results: '[{"x":1},{"x":2}]' }, results('{"x":1}'), 'differs'],
  ['two results in another order', { results: '[{"x":1},{"x":2}]' }, results('{"x":2}', '{"x":1}'), 'passed'],
  ['a binding too many', { results: '[{"x":1}]' }, results('{"x":1,"y":2}'), 'differs'],
  ['a generated one too many', { results: '[{"x":1}]' }, results('{"x":1,"__localq0__":2}'), 'differs'],
  [
    'a generated one that is ignored',
    { results: '[{"x":1}]', ignoreGeneratedVars: true },
    results('{"x":1,"__localq0__":2}'),
    'passed',
  ],
  ['a list in another order', { results: '[{"x":[1,2]}]' }, results('{"x":[2,1]}'), 'differs'],
  ['a list as a set', { results: '[{"x":[1,2]}]', sortBindings: true }, results('{"x":[2,1]}'), 'passed'],
  ['a list that lacks one', { results: '[{"x":[1,1]}]', sortBindings: true }, results('{"x":[1,2]}'), 'differs'],
  ['an inner list', { results: '[{"x":[[1,2]]}]', sortBindings: true }, results('{"x":[[2,1]]}'), 'differs'],
  ['a set for a list', { results: '[{"x":[1,[2]]}]' }, results('{"x":{{2},1}}'), 'passed'],
  ['a set of other members', { results: '[{"x":[1,2]}]' }, results('{"x":{1,3}}'), 'differs'],
  ['a set of fewer members', { results: '[{"x":[1,2]}]' }, results('{"x":{1}}'), 'differs'],
  ['an empty set for an empty list', { results: '[{"x":[]}]' }, results('{"x":set()}'), 'passed'],
  ['an empty object for an empty list', { results: '[{"x":[]}]' }, results('{"x":{}}'), 'differs'],
  ['an exact set', { results: '[{"x":{1,2}}]', exact: true }, results('{"x":{2,1}}'), 'passed'],
  ['an exact list', { results: '[{"x":[1,2]}]', exact: true }, results('{"x":{1,2}}'), 'differs'],
  ['a number as a key', { results: '[{"x":{"1":2}}]' }, results('{"x":{1:2}}'), 'passed'],
  ['a list of a set as a key', { results: '[{"x":{"[[1]]":2}}]' }, results('{"x":{[{1}]:2}}'), 'passed'],
  ['an exact key', { results: '[{"x":{"1":2}}]', exact: true }, results('{"x":{1:2}}'), 'differs'],
  ['an inherited name', { results: '[{"x":{"toString":1}}]' }, results('{"x":{"valueOf":1}}'), 'differs'],
  ['`__proto__`', { results: '[{"x":{"__proto__":1}}]' }, results('{"x":{"__proto__":1}}'), 'passed'],
  ['no `__proto__`', { results: '[{"x":{"__proto__":1}}]' }, results('{"x":{}}'), 'differs'],
  ['1.0 for 1', { results: '[{"x":1}]' }, results('{"x":1.0}'), 'passed'],
  ['10e-1 for 1', { results: '[{"x":1}]' }, results('{"x":10e-1}'), 'passed'],
  ['-0 for 0', { results: '[{"x":0}]' }, results('{"x":-0.00e5}'), 'passed'],
  ['-1 for 1', { results: '[{"x":1}]' }, results('{"x":-1}'), 'differs'],
  ['0.1 for 1', { results: '[{"x":1}]' }, results('{"x":0.1}'), 'differs'],
  ['10 for 1', { results: '[{"x":1}]' }, results('{"x":10}'), 'differs'],
  ['"1" for 1', { results: '[{"x":1}]' }, results('{"x":"1"}'), 'differs'],
  ['the next large integer', { results: '[{"x":9007199254740993}]' }, results('{"x":9007199254740992}'), 'differs'],
  ['a large exponent', { results: '[{"x":1e400}]' }, results('{"x":10e399}'), 'passed'],
  ['another large exponent', { results: '[{"x":1e400}]' }, results('{"x":1e401}'), 'differs'],
  ['an error for a result', { results: '[{"x":1}]' }, failure('eval_conflict_error', 'x'), 'differs'],
  ['an error for nothing', { results: '[]' }, failure('eval_conflict_error', 'x'), 'differs'],
  ['the wanted code', { errorCode: 'eval_conflict_error' }, failure('eval_conflict_error', 'x'), 'passed'],
  ['another code', { errorCode: 'eval_conflict_error' }, failure('eval_type_error', 'x'), 'differs'],
  ['a result for an error', { errorCode: 'eval_conflict_error' }, results('{"x":1}'), 'differs'],
  ['a part of the text', { errorText: 'operand 1' }, failure('eval_type_error', 'f: operand 1 must'), 'passed'],
  ['another text', { errorText: 'operand 2' }, failure('eval_type_error', 'f: operand 1 must'), 'differs'],
  [
    'a text with code and place',
    { errorText: 'test-0.rego:4: eval_type_error: f: no' },
    failure('eval_type_error', 'f: no'),
    'passed',
  ],
  ['nothing that is wanted', {}, results(), 'differs'],
])('%s is judged right', (_, question, answers, wanted) => {
  expect(verdictOf(question, answers)).toBe(wanted);
});

test('a refusal is one, whatever is wanted', () => {
  const refused: Answers = () => ({ kind: 'refused', reason: 'no such builtin' });
  expect(verdictOf({ results: '[]' }, refused)).toBe('refused');
  expect(verdictOf({ errorCode: 'eval_type_error' }, refused)).toBe('refused');
});

test('an error and a result are wanted of two evaluations, one strict and one not', () => {
  const question = { results: '[{"x":1}]', errorCode: 'eval_builtin_error', strict: true };
  const error = failure('eval_builtin_error', 'x');
  const answered = results('{"x":1}');
  expect(verdictOf(question, (strict) => (strict ? error(strict) : answered(strict)))).toBe('passed');
  expect(verdictOf(question, error)).toBe('differs');
  expect(verdictOf(question, answered)).toBe('differs');
});

test('an engine that fails in silence may do so only where errors are strict, and with no result', () => {
  const question = { errorCode: 'eval_type_error', strict: true };
  expect(verdictOf(question, results(), true)).toBe('passed');
  expect(verdictOf(question, results('{"x":1}'), true)).toBe('differs');
  expect(verdictOf({ ...question, strict: false }, results(), true)).toBe('differs');
  expect(verdictOf(question, failure('eval_builtin_error', 'x'), true)).toBe('differs');
});
