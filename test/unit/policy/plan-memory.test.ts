import { expect, it } from 'vitest';
import type { Builtins } from '../../../src/policy/builtins/builtin.ts';
import { block, createTexts, evaluationContext, evaluatorOf, found, local, rawPlan, stmt } from './plan-kit.ts';

/** One rule of data alone, that calls a builtin which counts its calls. */
function counting() {
  const texts = createTexts();
  const x = texts.text('x');
  const plan = rawPlan({
    strings: texts.list,
    builtins: ['test.count'],
    functions: [
      {
        name: 'g0.data.main.rule',
        blocks: [
          [stmt('CallStmt', { func: 'test.count', args: [local(1)], result: 2 })],
          [stmt('ReturnLocalStmt', { source: 2 })],
        ],
      },
    ],
    main: [[stmt('CallStmt', { func: 'g0.data.main.rule', args: [local(0), local(1)], result: 2 }), ...found(x, 2, 3)]],
  });
  let calls = 0;
  const builtins: Builtins = new Map([['test.count', () => ++calls]]);
  return { evaluator: evaluatorOf(plan, builtins), calls: () => calls };
}

it('remembers what is true of data alone while strict and lenient evaluations take turns', () => {
  const { evaluator, calls } = counting();
  const data = { roles: {} };
  const lenient = evaluationContext({ strict: false });
  const strict = evaluationContext({ strict: true });
  for (let round = 0; round < 10; round++) {
    expect(evaluator.evaluate({ round }, data, lenient)).toEqual([{ x: 1 }]);
    // What fails in one of them may be undefined in the other.
    expect(evaluator.evaluate({ round }, data, strict)).toEqual([{ x: 2 }]);
  }
  expect(calls()).toBe(2);
});

it('forgets it with the data', () => {
  const { evaluator, calls } = counting();
  const strict = evaluationContext({ strict: true });
  for (const data of [{ version: 1 }, { version: 2 }, { version: 2 }]) {
    evaluator.evaluate({}, data);
    evaluator.evaluate({}, data, strict);
  }
  expect(calls()).toBe(6);
});

/** A rule of input and data, asked thrice: in between under a `with` that replaces the one or the other. */
function asked(replaced: 0 | 1) {
  const texts = createTexts();
  const [x, a] = [texts.text('x'), texts.text('a')];
  const rule = 'g0.data.main.rule';
  const call = (result: number) => stmt('CallStmt', { func: rule, args: [local(0), local(1)], result });
  const kept = (value: number) => stmt('ArrayAppendStmt', { value: local(value), array: 3 });
  const plan = rawPlan({
    strings: texts.list,
    functions: [
      {
        name: rule,
        blocks: [
          [
            stmt('DotStmt', { source: local(0), key: a, target: 3 }),
            stmt('DotStmt', { source: local(1), key: a, target: 4 }),
            stmt('MakeArrayStmt', { capacity: 2, target: 2 }),
            stmt('ArrayAppendStmt', { value: local(3), array: 2 }),
            stmt('ArrayAppendStmt', { value: local(4), array: 2 }),
          ],
          [stmt('ReturnLocalStmt', { source: 2 })],
        ],
      },
    ],
    main: [
      [
        stmt('MakeArrayStmt', { capacity: 3, target: 3 }),
        call(4),
        kept(4),
        stmt('WithStmt', {
          local: replaced,
          path: [texts.index('a')],
          value: texts.text('other'),
          block: block(call(5), kept(5)),
        }),
        call(6),
        kept(6),
        ...found(x, 3, 7),
      ],
    ],
  });
  return evaluatorOf(plan).evaluate({ a: 'of input' }, { a: 'of data' });
}

it('remembers what is true of input and data for that input and that data only', () => {
  const usual = ['of input', 'of data'];
  expect(asked(0)).toEqual([{ x: [usual, ['other', 'of data'], usual] }]);
  expect(asked(1)).toEqual([{ x: [usual, ['of input', 'other'], usual] }]);
});
