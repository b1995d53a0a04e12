import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BUILTINS } from '../../src/policy/builtins/all.ts';
import { toPlain } from '../../src/policy/plain-result.ts';
import { createEvaluator, type PlanEvaluator } from '../../src/policy/plan/evaluator.ts';
import { EvaluationFault } from '../../src/policy/plan/fault.ts';
import type { Plan } from '../../src/policy/plan/plan.ts';
import { planOf, readPlan } from '../../src/policy/plan/plan-reader.ts';
import { type TranslationOptions, translatePlan } from '../../src/policy/plan/translate.ts';
import type { Translation } from '../../src/policy/plan/translation.ts';
import { parseJson } from '../../src/policy/values/json.ts';
import { isObject, memberOf } from '../../src/policy/values/object.ts';
import { toRegoText } from '../../src/policy/values/text.ts';
import type { Value } from '../../src/policy/values/value.ts';
import { describeWith } from '../support/describe-with.ts';
import { faultsOf } from '../support/generated-source-check.ts';
import { caseCount, createRandom, seedOf } from '../support/seed.ts';
import { requireTool } from '../support/tools.ts';
import { block, createTexts, found, local, rawPlan, stmt } from '../unit/policy/plan-kit.ts';
import { compilePlan } from './policy-support/compile-policy.ts';
import { createRulePolicy, RULE_DATA, type RulePolicy, randomRuleInput } from './policy-support/random-rules.ts';

const UNDEFINED = 'undefined';

/** An outcome as text: two that are alike have the same. */
interface Outcome {
  readonly text: string;
  readonly value: Value | undefined;
  readonly fault: string | undefined;
}

function evaluatorOf(plan: Uint8Array, options: TranslationOptions): PlanEvaluator {
  return createEvaluator({ translation: translatePlan(readPlan(plan), options), builtins: BUILTINS });
}

function valueOfJson(text: string): Value {
  const value = parseJson(text);
  if (value === undefined) throw new Error('not JSON');
  return value;
}

function evaluate(evaluator: PlanEvaluator, entrypoint: string, input: Value, data: Value, strict: boolean): Outcome {
  try {
    const [first] = evaluator.evaluate(entrypoint, input, data, {
      at: { epochMs: 1_700_000_000_000, monotonicMs: 0 },
      strict,
      randomFor: () => new Uint8Array(32),
      budget: { steps: 10_000_000, exhausted: () => expect.unreachable('the budget is used up') },
    });
    const value = first !== undefined && isObject(first) ? memberOf(first, 'result') : undefined;
    return { text: value === undefined ? UNDEFINED : toRegoText(value), value, fault: undefined };
  } catch (error) {
    if (!(error instanceof EvaluationFault)) throw error;
    return { text: `${error.code}: ${error.message}`, value: undefined, fault: error.code };
  }
}

interface Case {
  readonly rule: string;
  readonly input: string;
}

/** OPA's answers, in one run; where there is a conflict OPA has none for any. */
function evaluateWithOpa({ files, rules }: RulePolicy, cases: readonly Case[]): ReadonlyMap<number, unknown> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-index-'));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const answers = rules.map((rule) => {
      const condition = `some i; data.cases[i].rule == "${rule}"`;
      return `answer contains [i, v] if { ${condition}; v := data.${rule.replace('/', '.')} with input as data.cases[i].input }`;
    });
    writeFileSync(join(folder, 'answers.rego'), `package answers\n${answers.join('\n')}\n`);
    const list = cases.map(({ rule, input }) => `{"rule":${JSON.stringify(rule)},"input":${input}}`);
    writeFileSync(join(folder, 'data.json'), `${RULE_DATA.slice(0, -1)},"cases":[${list.join(',')}]}`);
    const output = execFileSync(requireTool('opa'), ['eval', '-f', 'json', '-d', '.', 'data.answers.answer'], {
      cwd: folder,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    // What `opa eval` prints for this one expression.
    const parsed = JSON.parse(output) as { result: [{ expressions: [{ value: [number, unknown][] }] }] };
    return new Map(parsed.result[0].expressions[0].value);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Whether OPA finds that the rule's values disagree. */
function conflictsInOpa({ files }: RulePolicy, { rule, input }: Case): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-index-'));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    writeFileSync(join(folder, 'data.json'), RULE_DATA);
    const query = `data.${rule.replace('/', '.')}`;
    execFileSync(requireTool('opa'), ['eval', '-f', 'json', '-d', '.', '-I', query], {
      cwd: folder,
      input,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    return false;
  } catch (error) {
    // What execFileSync adds to its error.
    return String((error as { stdout?: Buffer }).stdout).includes('eval_conflict_error');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function normal(value: unknown): string {
  if (value === undefined) return UNDEFINED;
  return JSON.stringify(value, (_key, member: unknown) => {
    if (typeof member === 'bigint') return Number(member);
    return typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1))
      : member;
  });
}

const POLICIES = 10;

describeWith(['opa'], 'rules chosen by an index', () => {
  test('give what they give one after the other, and what OPA gives', { timeout: 300_000 }, () => {
    const random = createRandom(seedOf('rule index'));
    const perPolicy = Math.ceil(caseCount(20_000) / POLICIES);
    const ofOpa = Math.ceil(caseCount(2_000) / POLICIES);
    const data = valueOfJson(RULE_DATA);
    const tally = { indexed: 0, cases: 0, defined: 0, conflicts: 0, strictFaults: 0, opa: 0, opaConflicts: 0 };
    const disagreements: unknown[] = [];
    for (let round = 0; round < POLICIES; round++) {
      const policy = createRulePolicy(random);
      const plan = compilePlan({ rego: policy.files, entrypoints: policy.rules });
      const translation = translatePlan(readPlan(plan), { leastIndexed: 2 });
      expect(faultsOf(translation.source)).toEqual([]);
      tally.indexed += translation.tables.filter(({ tree }) => typeof tree === 'object' && 'cases' in tree).length;
      const indexed = createEvaluator({ translation, builtins: BUILTINS });
      const plain = evaluatorOf(plan, { index: false });
      const asked: (Case & { readonly outcome: Outcome })[] = [];
      for (let at = 0; at < perPolicy; at++) {
        const strict = at % 3 === 0;
        const one = { rule: random.pick(policy.rules), input: randomRuleInput(random) };
        const input = valueOfJson(one.input);
        const outcome = evaluate(indexed, one.rule, input, data, strict);
        const expected = evaluate(plain, one.rule, input, data, strict);
        tally.cases++;
        if (outcome.value !== undefined) tally.defined++;
        if (outcome.fault === 'eval_conflict_error') tally.conflicts++;
        else if (outcome.fault !== undefined) tally.strictFaults++;
        if (outcome.text !== expected.text) {
          disagreements.push({ ...one, strict, indexed: outcome.text, plain: expected.text, files: policy.files });
        }
        if (!strict && asked.length < ofOpa) asked.push({ ...one, outcome });
      }
      const answered = asked.filter(({ outcome }) => outcome.fault === undefined);
      const theirs = evaluateWithOpa(policy, answered);
      for (const [at, { rule, input, outcome }] of answered.entries()) {
        tally.opa++;
        const ours = normal(outcome.value === undefined ? undefined : toPlain(outcome.value));
        const opa = normal(theirs.get(at));
        if (ours !== opa) disagreements.push({ rule, input, ours, opa, files: policy.files });
      }
      for (const one of asked.filter(({ outcome }) => outcome.fault !== undefined).slice(0, 2)) {
        tally.opaConflicts++;
        if (!conflictsInOpa(policy, one)) disagreements.push({ ...one, opa: 'no conflict', files: policy.files });
      }
    }
    console.info(`rule index: ${JSON.stringify(tally)}, ${disagreements.length} disagreements`);
    expect(disagreements.slice(0, 3)).toEqual([]);
    expect(tally.indexed).toBeGreaterThan(POLICIES * 5);
    expect(tally.defined).toBeGreaterThan(tally.cases / 4);
    expect(tally.conflicts).toBeGreaterThan(0);
  });

  test('cost the same work whether they are 10, 1,000, or 10,000', { timeout: 300_000 }, () => {
    const work = [10, 1_000, 10_000].map((rules) => {
      const plan = compilePlan({
        rego: { 'many.rego': manyRules(rules) },
        entrypoints: KINDS.map((kind) => `many/${kind}`),
      });
      const evaluator = countingEvaluator(readPlan(plan));
      const evaluators = new Map(KINDS.map((kind) => [`many/${kind}`, evaluator]));
      evaluators.set('main', countingEvaluator(planOf(orderedPlan(rules))));
      const asked = [0, rules / 2, rules - 1, rules + 7];
      return [...evaluators].map(([name, evaluator]) => ({
        name,
        entered: Math.max(...asked.map((n) => workOf(evaluator, name, n))),
      }));
    });
    // Functions entered: the entrypoint, a rule or two, and no more than two of the candidates.
    for (const { name, entered } of work.flat()) expect({ name, few: entered <= 5 }).toEqual({ name, few: true });
    expect(work[2]).toEqual(work[1]);
  });
});

function countingEvaluator(plan: Plan): PlanEvaluator {
  return createEvaluator({ translation: counted(translatePlan(plan)), builtins: BUILTINS });
}

const KINDS = ['equality', 'members', 'entries', 'several', 'called', 'numbers', 'among'];

/** Many rules of each kind: complete ones, partial ones, ordered ones, with several guards, functions … */
function manyRules(count: number): string {
  const each = (rule: (n: number) => string): string => Array.from({ length: count }, (_, n) => rule(n)).join('\n');
  return `package many
default equality := false
${each((n) => `equality if input.text == "k${n}"`)}
${each((n) => `members contains "m${n}" if input.text == "k${n}"`)}
${each((n) => `entries[input.text] := ${n} if "k${n}" == input.text`)}
default several := "none"
${each((n) => `several := "some" if { input.kind == "kind${n % 3}"; input.text == "k${n}"; input.on }`)}
of(x, y) := "none" if { x == "none"; y == "none" }
${each((n) => `of(x, y) := "o${n}" if { x == "k${n}"; y == true }`)}
called := of(input.text, input.on)
${each((n) => `numbers contains ${n} if input.number == ${n}`)}
${each((n) => `among if { input.on == true; input.text in {"k${n}", "other${n}"} }`)}
`;
}

/** As OPA plans rules with `else`, of which it takes minutes to compile 10,000. */
function orderedPlan(count: number) {
  const texts = createTexts();
  const choices = Array.from({ length: count }, (_, n) =>
    block(
      n === 0 ? stmt('ResetLocalStmt', { target: 3 }) : stmt('IsUndefinedStmt', { source: 3 }),
      stmt('DotStmt', { source: local(0), key: texts.text('text'), target: 4 }),
      stmt('EqualStmt', { a: local(4), b: { type: 'string_index', value: n + 2 } }),
      stmt('AssignVarOnceStmt', { source: { type: 'string_index', value: n + 2 }, target: 3 }),
    ),
  );
  const commit = block(
    stmt('IsDefinedStmt', { source: 3 }),
    stmt('AssignVarOnceStmt', { source: local(3), target: 2 }),
  );
  return rawPlan({
    strings: ['text', 'x', ...choices.map((_, n) => `k${n}`)],
    functions: [
      {
        name: 'g0.data.many.choice',
        blocks: [[stmt('BlockStmt', { blocks: [...choices, commit] })], [stmt('ReturnLocalStmt', { source: 2 })]],
      },
    ],
    main: [
      [
        stmt('CallStmt', { func: 'g0.data.many.choice', args: [local(0), local(1)], result: 2 }),
        ...found({ type: 'string_index', value: 1 }, 2, 3),
      ],
    ],
  });
}

const ENTERED = 1_000_000;

/** Every function that is entered takes so many steps that they can be told from all others. */
function counted(translation: Translation): Translation {
  const source = translation.source.replace(
    /function f[0-9]+\([^)]*\)\{/g,
    (head) => `${head}meter.steps-=${ENTERED};`,
  );
  return { ...translation, source };
}

/** The functions entered; fails where other steps (calls, rounds, candidates) are many. */
function workOf(evaluator: PlanEvaluator, entrypoint: string, n: number): number {
  const budget = { steps: Number.MAX_SAFE_INTEGER, exhausted: () => expect.unreachable('the budget is used up') };
  const input = valueOfJson(JSON.stringify({ text: `k${n}`, kind: `kind${n % 3}`, on: true, number: n }));
  evaluator.evaluate(
    entrypoint,
    input,
    {},
    {
      at: { epochMs: 0, monotonicMs: 0 },
      strict: false,
      randomFor: () => new Uint8Array(32),
      budget,
    },
  );
  const used = Number.MAX_SAFE_INTEGER - budget.steps;
  expect({ entrypoint, n, steps: used % ENTERED }).toSatisfy(({ steps }) => steps <= 6);
  return Math.floor(used / ENTERED);
}
