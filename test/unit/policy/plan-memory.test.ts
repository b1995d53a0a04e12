import { expect, it } from 'vitest';
import type { Builtins } from '../../../src/policy/builtins/builtin.ts';
import { createTexts, evaluationContext, evaluatorOf, found, local, rawPlan, stmt } from './plan-kit.ts';

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
