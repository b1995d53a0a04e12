import { describe, expect, it } from 'vitest';
import { toRegoText } from '../../../src/policy/values/text.ts';
import {
  block,
  bool,
  createTexts,
  dynamicCall,
  evaluatorOf,
  found,
  local,
  type RawFunction,
  type RawStatement,
  rawPlan,
  stmt,
} from './plan-kit.ts';

const { list, text } = createTexts();

/** A plan whose entrypoint puts local 2 into the result set. */
function answering(stmts: readonly RawStatement[], functions: readonly RawFunction[]) {
  return rawPlan({ strings: list, functions, main: [[...stmts, ...found(text('x'), 2, 90)]] });
}

/** A rule `v` that is the input's `a`. */
const V: RawFunction = {
  name: 'g0.data.p.v',
  path: ['g0', 'p', 'v'],
  blocks: [
    [
      stmt('DotStmt', { source: local(0), key: text('a'), target: 4 }),
      stmt('AssignVarOnceStmt', { source: local(4), target: 2 }),
    ],
    [stmt('ReturnLocalStmt', { source: 2 })],
  ],
};

describe('dynamic calls', () => {
  const asked = (name: string) => [
    dynamicCall(
      {
        path: [text('g0'), text('p'), text(name)],
        result: 2,
        otherwise: stmt('AssignVarStmt', { source: text('none'), target: 2 }),
      },
      stmt('NopStmt'),
    ),
    stmt('IsDefinedStmt', { source: 2 }),
  ];

  it.each([
    ['finds a function by its path', 'v', { a: 1 }, '{"x":1}'],
    ['goes on where there is none', 'missing', { a: 1 }, '{"x":"none"}'],
    ['leaves four blocks where the function is undefined', 'v', {}, undefined],
    ['finds nothing inherited', 'constructor', { a: 1 }, '{"x":"none"}'],
  ])('%s', (_name, called, input, wanted) => {
    const plan = answering(asked(called), [V]);
    const [result] = evaluatorOf(plan).evaluate(input);
    expect(result === undefined ? undefined : toRegoText(result)).toBe(wanted);
  });
});

describe('what is undefined behind a dynamic call', () => {
  /** `not data.p[name] == true`, and a text where that holds. */
  const asked = (name: string): readonly RawStatement[] => [
    stmt('NotStmt', {
      block: block(
        dynamicCall(
          {
            path: [text('g0'), text('p'), text(name)],
            result: 4,
            otherwise: stmt('DotStmt', { source: local(1), key: text(name), target: 4 }),
          },
          stmt('EqualStmt', { a: local(4), b: bool(true) }),
        ),
      ),
    }),
    stmt('AssignVarStmt', { source: text('not'), target: 2 }),
  ];

  it.each([
    ['is a success of the `not` around, which OPA evaluates so', 'v', { a: false }, '{"x":"not"}'],
    ['is none where it is defined', 'v', { a: true }, undefined],
    ['is one where the function is undefined', 'v', {}, '{"x":"not"}'],
    ['is one where there is no function and no data', 'gone', { a: true }, '{"x":"not"}'],
  ])('%s', (_name, called, input, wanted) => {
    const plan = answering(asked(called), [V]);
    const [result] = evaluatorOf(plan).evaluate(input);
    expect(result === undefined ? undefined : toRegoText(result)).toBe(wanted);
  });
});
