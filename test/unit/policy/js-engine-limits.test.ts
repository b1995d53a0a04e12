import { describe, expect, it } from 'vitest';
import { BUILTINS } from '../../../src/policy/builtins/all.ts';
import { RenewedBudget } from '../../../src/policy/evaluation-budget.ts';
import { createJsEngine } from '../../../src/policy/js-engine.ts';
import type { Value } from '../../../src/policy/values/value.ts';
import { createTexts, evaluationContext, evaluatorOf, found, local, rawPlan, stmt } from './plan-kit.ts';

const AT = { epochMs: 0, monotonicMs: 0 };
const texts = createTexts();
const x = texts.text('x');
const result = texts.text('result');

async function load(main: Parameters<typeof rawPlan>[0]['main'], builtins: readonly string[] = []) {
  const engine = createJsEngine({
    config: { budget_ms: 5, decisions: { default: { decision: 'main', limits: 'main', result: 'sallyport' } } },
    randomBytes: (count) => new Uint8Array(count),
    cpuMs: () => 0,
  });
  const plan = Buffer.from(JSON.stringify(rawPlan({ strings: texts.list, builtins, main })));
  return engine.load({ plan, wasm: new Uint8Array(), data: Buffer.from('{}') });
}

/** `{"result": …}` of a local. */
function results(value: number, scratch: number) {
  return [
    stmt('MakeObjectStmt', { target: scratch }),
    stmt('ObjectInsertStmt', { key: result, value: local(value), object: scratch }),
    stmt('ResultSetAddStmt', { value: scratch }),
  ];
}

describe('a result', () => {
  it('that is in itself again and again is refused before it is written out', async () => {
    const doubled = Array.from({ length: 40 }, (_, at) => [
      stmt('MakeArrayStmt', { capacity: 2, target: at + 3 }),
      stmt('ArrayAppendStmt', { array: at + 3, value: local(at + 2) }),
      stmt('ArrayAppendStmt', { array: at + 3, value: local(at + 2) }),
    ]).flat();
    const first = stmt('AssignVarStmt', { source: local(0), target: 2 });
    const policy = await load([[first, ...doubled, ...results(42, 43)]]);
    expect(() => policy.evaluateText('main', '{}', AT)).toThrow(
      expect.objectContaining({ code: 'policy_error', message: 'the result is too large' }),
    );
  });

  it('that holds itself is refused', async () => {
    const main = [
      stmt('MakeObjectStmt', { target: 2 }),
      stmt('ObjectInsertStmt', { key: x, value: local(0), object: 2 }),
      stmt('ObjectInsertStmt', { key: x, value: local(2), object: 2 }),
      ...results(2, 3),
    ];
    const policy = await load([main]);
    expect(() => policy.evaluateText('main', '{}', AT)).toThrow(expect.objectContaining({ code: 'policy_error' }));
  });
});

it('does not say in a fault what a builtin was given', async () => {
  const call = stmt('CallStmt', { func: 'to_number', args: [local(2)], result: 3 });
  const policy = await load(
    [[stmt('DotStmt', { source: local(0), key: x, target: 2 }), call, ...results(3, 4)]],
    ['to_number'],
  );
  expect(() => policy.evaluateText('main', '{"x": "a secret"}', AT)).toThrow(
    expect.objectContaining({ message: '`to_number` failed (eval_builtin_error)' }),
  );
  expect(() => policy.evaluateText('main', '{"x": ["a secret"]}', AT)).toThrow(
    /^to_number: operand 1 must be one of \{null, boolean, number, string\} but got array$/,
  );
});

describe('the budget', () => {
  it('ends an evaluation whose charges are no number', () => {
    const budget = new RenewedBudget({ cpuMs: () => 0, budgetMs: 5 });
    budget.restart();
    budget.steps = Number.NaN;
    expect(() => budget.exhausted()).toThrow(expect.objectContaining({ code: 'policy_budget' }));
    const builtins = new Map([
      [
        'test.charge',
        (context: { charge(steps: number): void }) => {
          context.charge(Number.NaN);
          return true;
        },
      ],
    ]);
    const plan = rawPlan({
      strings: texts.list,
      builtins: ['test.charge'],
      main: [[stmt('CallStmt', { func: 'test.charge', args: [], result: 2 }), ...found(x, 2, 3)]],
    });
    budget.restart();
    const context = evaluationContext({ budget });
    expect(() => evaluatorOf(plan, builtins).evaluate({}, {}, context)).toThrow(/used up/);
  });

  const LARGE = 'a'.repeat(100_000);
  const ITEMS = Array.from({ length: 10_000 }, (_, at) => `k${at}`);
  const calls: readonly (readonly [string, readonly Value[]])[] = [
    ['contains', [LARGE, 'b']],
    ['lower', [LARGE]],
    ['split', [LARGE, 'b']],
    ['strings.reverse', [LARGE]],
    ['count', [LARGE]],
    ['json.is_valid', [LARGE]],
    ['startswith', [LARGE, LARGE]],
    ['internal.member_2', ['none', ITEMS]],
    ['max', [ITEMS]],
    ['count', [Object.fromEntries(ITEMS.map((key) => [key, 1]))]],
    ['base64.encode', [LARGE]],
    ['time.date', [[1, 'Europe/Nowhere']]],
    ['object.union_n', [ITEMS.map((key) => ({ [key]: 1 }))]],
    ['json.match_schema', [ITEMS, { items: { enum: LARGE.slice(0, 500).split('') } }]],
  ];
  it.each(calls)('is used up by %s on large operands in a loop', (name, operands) => {
    const call = stmt('CallStmt', { func: name, args: operands.map((_, at) => local(at + 4)), result: 8 });
    const reads = operands.map((_, at) =>
      stmt('DotStmt', { source: local(0), key: texts.text(`operand ${at}`), target: at + 4 }),
    );
    const loop = stmt('ScanStmt', { source: 9, key: 2, value: 3, block: { stmts: [call] } });
    const list = stmt('DotStmt', { source: local(0), key: x, target: 9 });
    const plan = rawPlan({ strings: [], builtins: [name], main: [[...reads, list, loop]] });
    const input = Object.fromEntries(operands.map((operand, at) => [`operand ${at}`, operand]));
    const evaluator = evaluatorOf(
      { ...plan, static: { ...plan.static, strings: texts.list.map((value) => ({ value })) } },
      BUILTINS,
    );
    let steps = 0;
    const budget = {
      steps: 0,
      exhausted: () => {
        steps -= budget.steps;
        budget.steps = 0;
      },
    };
    evaluator.evaluate({ ...input, x: ITEMS.slice(0, 10) }, {}, evaluationContext({ budget }));
    expect(steps).toBeGreaterThan(10_000);
  });
});

it('charges the list of a large object’s keys beside the rounds over them, and what `with` copies', () => {
  const members = Object.fromEntries(Array.from({ length: 10_000 }, (_, at) => [`k${at}`, at]));
  const first = stmt('ScanStmt', { source: 2, key: 3, value: 4, block: { stmts: [] } });
  const replaced = stmt('WithStmt', {
    local: 0,
    path: [texts.index('o'), texts.index('k1')],
    value: local(2),
    block: { stmts: [] },
  });
  const o = texts.text('o');
  for (const [statement, least] of [
    [first, 50_000],
    [replaced, 40_000],
  ] as const) {
    const plan = rawPlan({
      strings: texts.list,
      main: [[stmt('DotStmt', { source: local(0), key: o, target: 2 }), statement]],
    });
    let steps = 0;
    const budget = {
      steps: 0,
      exhausted: () => {
        steps -= budget.steps;
        budget.steps = 0;
      },
    };
    evaluatorOf(plan).evaluate({ o: members }, {}, evaluationContext({ budget }));
    expect(steps).toBeGreaterThanOrEqual(least);
  }
});
