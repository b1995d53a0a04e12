import { expect, it } from 'vitest';
import { bool, createTexts, evaluatorOf, found, local, rawPlan, stmt } from './plan-kit.ts';

const texts = createTexts();
const key = texts.text('key');
const list = texts.text('list');
const x = texts.text('x');

/** Puts something into what two locals hold. */
const puts = (object: number, array: number) => [
  stmt('ObjectInsertStmt', { key: x, value: bool(true), object }),
  stmt('ArrayAppendStmt', { array, value: x }),
];
const reads = [
  stmt('DotStmt', { source: local(1), key, target: 3 }),
  stmt('DotStmt', { source: local(1), key: list, target: 4 }),
];
const pair = [
  stmt('MakeArrayStmt', { capacity: 2, target: 5 }),
  stmt('ArrayAppendStmt', { array: 5, value: local(3) }),
  stmt('ArrayAppendStmt', { array: 5, value: local(4) }),
  ...found(x, 5, 6),
];

it('copies what another block read of data before something is put into it', () => {
  const data = { key: { a: 1 }, list: [1] };
  const evaluator = evaluatorOf(rawPlan({ strings: texts.list, main: [reads, puts(3, 4), pair] }));
  for (let round = 0; round < 3; round++) {
    expect(evaluator.evaluate({}, data)).toEqual([{ x: [{ a: 1, x: true }, [1, 'x']] }]);
  }
  expect(data).toEqual({ key: { a: 1 }, list: [1] });
});

it('copies what a function was given before it puts something into it', () => {
  const data = { key: { a: 1 }, list: [1] };
  const gives = {
    name: 'g0.data.main.gives',
    params: [0, 1, 3, 4],
    blocks: [
      [
        ...puts(3, 4),
        stmt('MakeArrayStmt', { capacity: 2, target: 2 }),
        stmt('ArrayAppendStmt', { array: 2, value: local(3) }),
        stmt('ArrayAppendStmt', { array: 2, value: local(4) }),
      ],
      [stmt('ReturnLocalStmt', { source: 2 })],
    ],
  };
  const call = stmt('CallStmt', { func: gives.name, args: [0, 1, 3, 4].map(local), result: 5 });
  const plan = rawPlan({ strings: texts.list, functions: [gives], main: [[...reads, call, ...found(x, 5, 6)]] });
  const evaluator = evaluatorOf(plan);
  for (let round = 0; round < 3; round++) {
    expect(evaluator.evaluate({}, data)).toEqual([{ x: [{ a: 1, x: true }, [1, 'x']] }]);
  }
  expect(data).toEqual({ key: { a: 1 }, list: [1] });
});

it('copies what one of many rules read before another puts something into it', () => {
  const data = { key: { a: 1 }, list: [1] };
  const rule = {
    name: 'g0.data.main.rule',
    blocks: [
      [stmt('DotStmt', { source: local(1), key, target: 2 })],
      // So many that they are cut into functions.
      ...Array.from({ length: 100 }, (_, at) => [
        stmt('MakeNumberIntStmt', { value: at, target: 3 }),
        stmt('ObjectInsertStmt', { key: local(3), value: bool(true), object: 2 }),
        stmt('ObjectInsertStmt', { key: x, value: bool(true), object: 2 }),
      ]),
      [stmt('ReturnLocalStmt', { source: 2 })],
    ],
  };
  const call = stmt('CallStmt', { func: rule.name, args: [0, 1].map(local), result: 5 });
  const size = stmt('LenStmt', { source: local(5), target: 7 });
  const plan = rawPlan({ strings: texts.list, functions: [rule], main: [[call, size, ...found(x, 7, 6)]] });
  for (let round = 0; round < 2; round++) {
    expect(evaluatorOf(plan).evaluate({}, data)).toEqual([{ x: 102 }]);
  }
  expect(data).toEqual({ key: { a: 1 }, list: [1] });
});

it('does not append to what is no array', () => {
  const main = [
    [
      stmt('AssignVarStmt', { source: x, target: 3 }),
      stmt('ArrayAppendStmt', { array: 3, value: x }),
      ...found(x, 3, 4),
    ],
  ];
  expect(() => evaluatorOf(rawPlan({ strings: texts.list, main })).evaluate({}, {})).toThrow('no array');
});
