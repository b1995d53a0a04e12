import { describe, expect, it } from 'vitest';
import { type Builtin, builtinFailure } from '../../../src/policy/builtins/builtin.ts';
import { createEvaluator } from '../../../src/policy/plan/evaluator.ts';
import { planOf } from '../../../src/policy/plan/plan-reader.ts';
import { translatePlan } from '../../../src/policy/plan/translate.ts';
import { numberOf } from '../../../src/policy/values/number.ts';
import { RegoSet } from '../../../src/policy/values/set.ts';
import { toRegoText } from '../../../src/policy/values/text.ts';
import type { Value } from '../../../src/policy/values/value.ts';
import { EVERY_STATEMENT } from './every-statement.ts';
import {
  block,
  bool,
  createTexts,
  evaluationContext,
  evaluatorOf,
  found,
  local,
  type RawFunction,
  type RawStatement,
  rawPlan,
  stmt,
} from './plan-kit.ts';

const { list, text, index } = createTexts();

/** A plan whose entrypoint puts local 2 into the result set. */
function answering(
  stmts: readonly RawStatement[],
  functions: readonly RawFunction[] = [],
  builtins: readonly string[] = [],
) {
  return rawPlan({ strings: list, functions, builtins, main: [[...stmts, ...found(text('x'), 2, 90)]] });
}

function answer(stmts: readonly RawStatement[], input: Value | undefined, data: Value = {}): string | undefined {
  const [result] = evaluatorOf(answering(stmts)).evaluate(input, data);
  return result === undefined ? undefined : toRegoText(result);
}

const dot = (source: number, key: string, target: number) =>
  stmt('DotStmt', { source: local(source), key: text(key), target });

function rule(name: string, ...bodies: readonly (readonly RawStatement[])[]): RawFunction {
  const blocks = bodies.flatMap((body) => [
    [stmt('ResetLocalStmt', { target: 3 }), ...body],
    [stmt('IsDefinedStmt', { source: 3 }), stmt('AssignVarOnceStmt', { source: local(3), target: 2 })],
  ]);
  return {
    name: `g0.data.p.${name}`,
    path: ['g0', 'p', name],
    blocks: [...blocks, [stmt('ReturnLocalStmt', { source: 2 })]],
  };
}

const call = (name: string, result: number) =>
  stmt('CallStmt', { func: `g0.data.p.${name}`, args: [local(0), local(1)], result });

const once = (source: object) => stmt('AssignVarOnceStmt', { source, target: 3 });

describe('members', () => {
  it.each(['__proto__', 'constructor', 'length', 'toString', 'size', 'get', '0', '01', '', 'role'])(
    '%j is found only where it is',
    (key) => {
      const member = [dot(0, key, 2)];
      const own = JSON.parse(`{${JSON.stringify(key)}: 1}`);
      expect(answer(member, own)).toBe('{"x":1}');
      for (const other of [{}, [1], 'text', 1, null, true, numberOf('1.0'), undefined])
        expect(answer(member, other)).toBeUndefined();
      expect(answer(member, RegoSet.of([key, 'other']))).toBe(`{"x":${JSON.stringify(key)}}`);
      const varied = [
        stmt('AssignVarStmt', { source: text(key), target: 4 }),
        stmt('DotStmt', { source: local(0), key: local(4), target: 2 }),
      ];
      expect(answer(varied, own)).toBe('{"x":1}');
      expect(answer(varied, {})).toBeUndefined();
    },
  );

  it('of what came from outside are never changed', () => {
    const input = { held: { a: 1 } };
    const put = [dot(0, 'held', 2), stmt('ObjectInsertStmt', { key: text('b'), value: bool(true), object: 2 })];
    expect(answer(put, input)).toBe('{"x":{"a":1,"b":true}}');
    expect(input).toEqual({ held: { a: 1 } });
  });

  it('with keys that are no texts make another object', () => {
    const put = [
      stmt('MakeObjectStmt', { target: 2 }),
      stmt('ObjectInsertStmt', { key: text('a'), value: local(0), object: 2 }),
      stmt('ObjectInsertStmt', { key: local(0), value: local(0), object: 2 }),
    ];
    expect(answer(put, 7)).toBe('{"x":{7:7,"a":7}}');
  });

  it('conflict where one comes again with another value', () => {
    const plan = answering([
      stmt('MakeObjectStmt', { target: 2 }),
      stmt('ObjectInsertOnceStmt', { key: text('a'), value: bool(true), object: 2 }),
      stmt('ObjectInsertOnceStmt', { key: text('a'), value: local(0), object: 2 }),
    ]);
    expect(evaluatorOf(plan).evaluate(true)).toEqual([{ x: { a: true } }]);
    expect(() => evaluatorOf(plan).evaluate(1)).toThrow(
      expect.objectContaining({ code: 'eval_conflict_error', message: 'object keys must be unique' }),
    );
  });
});

describe('scans', () => {
  const scan = (stmts: readonly RawStatement[]) => [
    stmt('MakeArrayStmt', { capacity: 0, target: 2 }),
    stmt('ScanStmt', { source: 0, key: 4, value: 5, block: block(...stmts) }),
  ];
  const keys = scan([stmt('ArrayAppendStmt', { value: local(4), array: 2 })]);

  it.each<[string, Value, string]>([
    [
      'objects by their keys, surrogates last',
      { '\u{1f600}': 1, b: 2, '\uffee': 3, a: 4, 10: 5, 9: 6 },
      '["10","9","a","b","\uffee","\u{1f600}"]',
    ],
    ['sets by their members', RegoSet.of(['b', 10, 9, null, 'a']), '[null,9,10,"a","b"]'],
    ['arrays as they are', ['x', 'y'], '[0,1]'],
    ['nothing of a text', 'text', '[]'],
    ['nothing of a number', 5, '[]'],
  ])('go through %s', (_name, input, wanted) => {
    expect(answer(keys, input)).toBe(`{"x":${wanted}}`);
  });

  it('go on with the next round where a statement is undefined', () => {
    const even = scan([
      stmt('EqualStmt', { a: local(5), b: text('y') }),
      stmt('ArrayAppendStmt', { value: local(4), array: 2 }),
    ]);
    expect(answer(even, ['x', 'y', 'z', 'y'])).toBe('{"x":[1,3]}');
  });
});

describe('breaks', () => {
  it('leave as many blocks as they say', () => {
    const leaving = (count: number) => [
      stmt('MakeArrayStmt', { capacity: 0, target: 2 }),
      stmt('BlockStmt', {
        blocks: [
          block(
            stmt('BlockStmt', { blocks: [block(stmt('BreakStmt', { index: count }))] }),
            stmt('ArrayAppendStmt', { value: text('inner'), array: 2 }),
          ),
        ],
      }),
      stmt('ArrayAppendStmt', { value: text('outer'), array: 2 }),
    ];
    expect(answer(leaving(0), {})).toBe('{"x":["inner","outer"]}');
    expect(answer(leaving(1), {})).toBe('{"x":["outer"]}');
    expect(answer(leaving(2), {})).toBeUndefined();
  });

  it('of `not` are defined where its block is not', () => {
    const not = [
      stmt('NotStmt', { block: block(dot(0, 'a', 3)) }),
      stmt('AssignVarStmt', { source: bool(true), target: 2 }),
    ];
    expect(answer(not, {})).toBe('{"x":true}');
    expect(answer(not, { a: false })).toBeUndefined();
  });
});

describe('`with`', () => {
  const replaced = (path: readonly string[], inner: readonly RawStatement[]) =>
    stmt('WithStmt', { local: 0, path: path.map(index), value: text('new'), block: block(...inner) });
  const pair = [
    stmt('MakeArrayStmt', { capacity: 2, target: 2 }),
    replaced(['a', 'b'], [stmt('ArrayAppendStmt', { value: local(0), array: 2 })]),
    stmt('ArrayAppendStmt', { value: local(0), array: 2 }),
  ];

  it('puts a value at a path, and takes it away again', () => {
    const input = { a: { c: 1 }, d: 2 };
    expect(answer(pair, input)).toBe('{"x":[{"a":{"b":"new","c":1},"d":2},{"a":{"c":1},"d":2}]}');
    expect(input).toEqual({ a: { c: 1 }, d: 2 });
  });

  it('puts objects where there are none', () => {
    expect(answer(pair, { a: [1] })).toBe('{"x":[{"a":{"b":"new"}},{"a":[1]}]}');
    expect(
      answer(
        [
          stmt('MakeArrayStmt', { capacity: 2, target: 2 }),
          replaced(['__proto__', 'b'], [stmt('ArrayAppendStmt', { value: local(0), array: 2 })]),
        ],
        undefined,
      ),
    ).toBe('{"x":[{"__proto__":{"b":"new"}}]}');
  });

  it('is taken away where its block is undefined', () => {
    const undone = [
      stmt('BlockStmt', { blocks: [block(replaced([], [dot(0, 'a', 3)]))] }),
      stmt('AssignVarStmt', { source: local(0), target: 2 }),
    ];
    expect(answer(undone, { a: 1 })).toBe('{"x":{"a":1}}');
  });
});

describe('rules', () => {
  it('conflict in the words of OPA', () => {
    const plan = answering([call('v', 2)], [rule('v', [once(local(0))], [once(bool(true))])]);
    expect(evaluatorOf(plan).evaluate(true)).toEqual([{ x: true }]);
    expect(() => evaluatorOf(plan).evaluate(1)).toThrow(
      expect.objectContaining({ code: 'eval_conflict_error', message: 'rule data.p.v produced conflicting values' }),
    );
  });

  it('of one constant stop at the first that holds', () => {
    const { builtins, calls } = counting('first', 'second');
    const plan = answering(
      [call('v', 2)],
      [rule('v', [builtin('first', 4), once(bool(true))], [builtin('second', 4), once(bool(true))])],
      ['first', 'second'],
    );
    expect(evaluatorOf(plan, builtins).evaluate({})).toEqual([{ x: true }]);
    expect(calls).toEqual({ first: 1, second: 0 });
  });

  it('in their hundreds are cut into functions, and all count', () => {
    const names = Array.from({ length: 500 }, (_, at) => `name ${at}`);
    const { list: strings, text: own } = createTexts();
    const set: RawFunction = {
      name: 'g0.data.p.s',
      blocks: [
        [stmt('MakeSetStmt', { target: 2 })],
        ...names.map((name) => [
          stmt('ResetLocalStmt', { target: 3 }),
          stmt('EqualStmt', { a: local(0), b: local(0) }),
          stmt('SetAddStmt', { value: own(name), set: 2 }),
        ]),
        [stmt('ReturnLocalStmt', { source: 2 })],
      ],
    };
    const main = [[call('s', 2), ...found(own('x'), 2, 9)]];
    const [result] = evaluatorOf(rawPlan({ strings, functions: [set], main })).evaluate({});
    expect(result).toEqual({ x: RegoSet.of(names) });
  });

  it('of every kind are evaluated', () => {
    expect(
      evaluatorOf(
        EVERY_STATEMENT,
        new Map<string, Builtin>([
          ['count', () => 4],
          ['print', () => null],
        ]),
      )
        .evaluate({ role: 'admin' }, { names: ['b', 'a'] })
        .map(toRegoText),
    ).toEqual(['{"x":{"a","b"}}']);
  });
});

const builtin = (name: string, result: number) => stmt('CallStmt', { func: name, args: null, result });

/** Builtins that count how often they are called. */
function counting(...names: readonly string[]) {
  const calls: Record<string, number> = {};
  const builtins = new Map<string, Builtin>();
  for (const name of names) {
    calls[name] = 0;
    builtins.set(name, () => {
      calls[name] = (calls[name] ?? 0) + 1;
      return calls[name];
    });
  }
  return { calls, builtins };
}

describe('what is remembered', () => {
  const ofData = rule('v', [builtin('count', 4), dot(1, 'a', 5), once(local(5))]);
  const ofInput = rule('v', [builtin('count', 4), dot(0, 'a', 5), once(local(5))]);
  const ofClock = rule('v', [builtin('time.now_ns', 4), once(local(4))]);
  const twice = [call('v', 4), call('v', 2)];

  function evaluator(functions: readonly RawFunction[], stmts: readonly RawStatement[]) {
    const { calls, builtins } = counting('count', 'time.now_ns');
    return { calls, ...evaluatorOf(answering(stmts, functions, ['count', 'time.now_ns']), builtins) };
  }

  it('of data alone outlives the evaluation, until the data are others', () => {
    const { calls, evaluate } = evaluator([ofData], twice);
    const data = { a: 1 };
    expect([evaluate({}, data), evaluate({ b: 1 }, data), calls['count']]).toEqual([[{ x: 1 }], [{ x: 1 }], 1]);
    expect([evaluate({}, { a: 2 }), calls['count']]).toEqual([[{ x: 2 }], 2]);
  });

  it('of the input is forgotten with the evaluation', () => {
    const { calls, evaluate } = evaluator([ofInput], twice);
    const input = { a: 1 };
    expect([evaluate(input), evaluate(input), calls['count']]).toEqual([[{ x: 1 }], [{ x: 1 }], 2]);
  });

  it('of the clock is forgotten with the evaluation', () => {
    const { evaluate } = evaluator([ofClock], twice);
    const data = {};
    expect([evaluate({}, data), evaluate({}, data)]).toEqual([[{ x: 1 }], [{ x: 2 }]]);
  });

  it('may be that there is no value', () => {
    const { calls, evaluate } = evaluator(
      [ofInput],
      [
        stmt('NotStmt', { block: block(call('v', 4)) }),
        stmt('NotStmt', { block: block(call('v', 4)) }),
        stmt('AssignVarStmt', { source: bool(true), target: 2 }),
      ],
    );
    expect([evaluate({}), calls['count']]).toEqual([[{ x: true }], 1]);
  });

  it('is of other input and data under `with`, and comes back behind it', () => {
    for (const [own, target, name] of [
      [ofInput, 0, 'input'],
      [ofData, 1, 'data'],
    ] as const) {
      const { calls, evaluate } = evaluator(
        [own],
        [
          stmt('MakeArrayStmt', { capacity: 0, target: 2 }),
          call('v', 4),
          stmt('ArrayAppendStmt', { value: local(4), array: 2 }),
          stmt('WithStmt', {
            local: target,
            path: [index('a')],
            value: text('new'),
            block: block(call('v', 5), stmt('ArrayAppendStmt', { value: local(5), array: 2 })),
          }),
          call('v', 6),
          stmt('ArrayAppendStmt', { value: local(6), array: 2 }),
        ],
      );
      const old = { a: 'old' };
      expect([name, evaluate(old, old)]).toEqual([name, [{ x: ['old', 'new', 'old'] }]]);
      expect(calls['count']).toBeGreaterThan(1);
    }
  });

  it('is nothing of an evaluation that failed, nor of one with other rules for errors', () => {
    let failing = true;
    const builtins = new Map<string, Builtin>([
      [
        'count',
        (context) => {
          if (failing) throw builtinFailure(context, 'it does not count');
          return 1;
        },
      ],
    ]);
    const { evaluate } = evaluatorOf(
      answering(twice, [rule('v', [builtin('count', 4), once(local(4))])], ['count']),
      builtins,
    );
    const data = {};
    expect(evaluate({}, data)).toEqual([]);
    expect(() => evaluate({}, data, evaluationContext({ strict: true }))).toThrow(
      expect.objectContaining({ code: 'eval_builtin_error', message: 'count: it does not count' }),
    );
    failing = false;
    expect(evaluate({}, data, evaluationContext({ strict: true }))).toEqual([{ x: 1 }]);
  });
});

describe('an observer', () => {
  it('is told what was entered, what passed, and what failed, by position', () => {
    const plan = answering(
      [stmt('CallStmt', { func: 'g0.data.p.v', args: [local(0), local(1)], result: 2 }, 1)],
      [
        {
          name: 'g0.data.p.v',
          blocks: [
            [
              stmt('DotStmt', { source: local(0), key: text('a'), target: 4 }, 7),
              stmt('EqualStmt', { a: local(4), b: bool(true) }, 8),
            ],
            [stmt('AssignVarStmt', { source: bool(true), target: 2 }, 9)],
            [stmt('ReturnLocalStmt', { source: 2 }, 10)],
          ],
        },
      ],
    );
    const translation = translatePlan(planOf(plan), { trace: true });
    const evaluator = createEvaluator({ translation, builtins: new Map() });
    const seen: string[] = [];
    const note = (what: string) => (position: number) => {
      const place = translation.positions[position];
      if (place?.function === 'g0.data.p.v') seen.push(`${what} ${place.row}`);
    };
    const observer = { enter: note('enter'), passed: note('passed'), failed: note('failed') };
    expect(evaluator.evaluate('main', { a: 1 }, {}, evaluationContext({ observer }))).toEqual([{ x: true }]);
    expect(seen).toEqual(['enter 7', 'passed 7', 'failed 8', 'passed 9']);
    expect(translation.files).toEqual(['policy.rego']);
  });
});

describe('an evaluation', () => {
  it('takes no more steps than its budget has', () => {
    const scan = answering([
      stmt('ScanStmt', { source: 0, key: 4, value: 5, block: block() }),
      stmt('AssignVarStmt', { source: bool(true), target: 2 }),
    ]);
    const { evaluate } = evaluatorOf(scan);
    const input = Array.from({ length: 100 }, () => 1);
    const stop = new Error('used up');
    const budget = (steps: number, exhausted: () => void) => evaluationContext({ budget: { steps, exhausted } });
    const fail = () => {
      throw stop;
    };
    expect(evaluate(input, {}, budget(100, fail))).toEqual([{ x: true }]);
    expect(() => evaluate(input, {}, budget(99, fail))).toThrow(stop);
    const refilled = {
      steps: 10,
      times: 0,
      exhausted() {
        this.steps += 50;
        this.times++;
      },
    };
    expect(evaluate(input, {}, evaluationContext({ budget: refilled }))).toEqual([{ x: true }]);
    expect(refilled).toMatchObject({ times: 2, steps: 10 });
  });

  it('that goes too deep is a fault', () => {
    const recursive: RawFunction = {
      name: 'g0.data.p.f',
      params: [0, 1, 3],
      blocks: [
        [
          stmt('CallStmt', { func: 'g0.data.p.f', args: [local(0), local(1), local(3)], result: 2 }),
          stmt('ReturnLocalStmt', { source: 2 }),
        ],
      ],
    };
    const start = stmt('CallStmt', { func: 'g0.data.p.f', args: [local(0), local(1), local(0)], result: 2 });
    expect(() => evaluatorOf(answering([start], [recursive])).evaluate({})).toThrow(
      expect.objectContaining({ code: 'eval_internal_error' }),
    );
  });

  it('of a policy with an unknown builtin is refused before there is any', () => {
    expect(() => evaluatorOf(answering([builtin('count', 2)], [], ['count']))).toThrow(
      expect.objectContaining({ code: 'unknown_builtin' }),
    );
  });
});
