import { expect, test } from 'vitest';
import { toJsonText } from '../../src/policy/values/json-text.ts';
import type { Value } from '../../src/policy/values/value.ts';
import { describeWith } from '../support/describe-with.ts';
import { caseCount, createRandom, seedOf } from '../support/seed.ts';
import { compilePolicy } from './policy-support/compile-policy.ts';
import { inputsOf } from './policy-support/differential-run.ts';
import { ourText } from './policy-support/differential-verdict.ts';
import { compilable, TABLE_DATA, TABLE_REGO } from './policy-support/generated-policy.ts';
import { createJsEvaluation, translationOf } from './policy-support/plan-engines.ts';
import { readSignatures } from './policy-support/rego-builtins.ts';
import { nearCopy, randomDocument } from './policy-support/rego-literals.ts';
import { randomUnits, render } from './policy-support/rego-rules.ts';

/** Rules whose value is remembered, by what they look at. */
const REMEMBERED = `package memory

of_input := [key | some key, _ in input.o]

of_data := [key | some key, _ in data.d.o]

of_both := [input.s, data.d.s, of_input, of_data]

of_nothing := [x | some x in {"b", "a"}]

fails := to_number(data.d.t)

replaced := [of_data, inner, of_data] if {
	inner := of_both with input.s as "replaced" with data.d.s as input.t
}

same := [a, b, of_both] if {
	a := of_both with input as input
	b := of_both with data.d as data.d
}

undefined_sometimes if data.d.n == input.n

loop := [x | some s in ["a", input.s, "a", data.d.s]; x := of_both with input.s as s]
`;

const RULES = [
  'of_input',
  'of_data',
  'of_both',
  'of_nothing',
  'fails',
  'replaced',
  'same',
  'undefined_sometimes',
  'loop',
];
const INPUTS = 16;
const DATA = 4;
const UNITS = 30;

describeWith(['opa'], 'what a policy remembers', () => {
  test('is never the answer for another input, other data, or another strictness', { timeout: 600_000 }, () => {
    const random = createRandom(seedOf('memory of rules'));
    const units = compilable(randomUnits(random, readSignatures(), UNITS));
    const rego = { ...Object.fromEntries(TABLE_REGO), 'gen.rego': render(units), 'memory.rego': REMEMBERED };
    const generated = units.flatMap(({ name, asked }) => (asked ? [`gen/${name}`] : [])).slice(0, 10);
    const entrypoints = [...RULES.map((rule) => `memory/${rule}`), ...generated];
    const translation = translationOf(compilePolicy({ rego, entrypoints }));
    const documents = (count: number): Value[] =>
      inputsOf(
        random,
        count,
        () => randomDocument(random),
        (document) => nearCopy(random, document),
      );
    const inputs = documents(INPUTS);
    const data = documents(DATA).map((d): Value => ({ d, tab: TABLE_DATA }));

    // Each fresh one has seen nothing else.
    const expected = new Map<string, string>();
    for (const entrypoint of entrypoints) {
      for (const [atInput, input] of inputs.entries()) {
        for (const [atData, documentOfData] of data.entries()) {
          for (const strict of [false, true]) {
            const fresh = createJsEvaluation(translation);
            const answer = ourText(fresh(entrypoint, input, documentOfData, strict));
            expected.set(`${entrypoint} ${atInput} ${atData} ${strict}`, answer);
          }
        }
      }
    }

    const kept = createJsEvaluation(translation);
    const wrong: object[] = [];
    const evaluations = caseCount(100_000);
    for (let count = 0; count < evaluations; count++) {
      const entrypoint = random.pick(entrypoints);
      const [atInput, atData] = [random.below(INPUTS), random.below(DATA)];
      const strict = random.chance(0.5);
      const [input = null, documentOfData = null] = [inputs[atInput], data[atData]];
      const ours = ourText(kept(entrypoint, input, documentOfData, strict));
      const wanted = expected.get(`${entrypoint} ${atInput} ${atData} ${strict}`);
      if (ours !== wanted) wrong.push({ entrypoint, strict, ours, wanted, input: toJsonText(input) });
    }
    const different = new Set(expected.values()).size;
    console.info(`memory of rules: ${evaluations} evaluations, ${different} different answers, ${wrong.length} wrong`);
    expect(wrong.slice(0, 5)).toStrictEqual([]);
    expect(different).toBeGreaterThan(entrypoints.length);
  });
});
