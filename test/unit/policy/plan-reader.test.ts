import { describe, expect, it } from 'vitest';
import { planOf, readPlan } from '../../../src/policy/plan/plan-reader.ts';
import { EVERY_STATEMENT } from './every-statement.ts';
import { block, bool, local, type RawStatement, rawPlan, stmt } from './plan-kit.ts';

const F = { name: 'g0.data.p.f', params: [0, 1, 3], blocks: [] };

function withMain(...stmts: readonly RawStatement[]): unknown {
  return rawPlan({ strings: ['a', '1.5', '.5', 'x1'], builtins: ['count'], functions: [F], main: [stmts] });
}

function nested(depth: number, type: 'BlockStmt' | 'NotStmt'): RawStatement {
  let inner = stmt('NopStmt');
  for (let at = 0; at < depth; at++) {
    inner = type === 'BlockStmt' ? stmt(type, { blocks: [block(inner)] }) : stmt(type, { block: block(inner) });
  }
  return inner;
}

const text = (value: unknown) => ({ type: 'string_index', value });

const REFUSED: Readonly<Record<string, unknown>> = {
  'what is no object': [],
  'a plan without entrypoints': { static: {}, funcs: { funcs: [] } },
  'an unknown member': { ...EVERY_STATEMENT, code: 'process.exit()' },
  'an unknown statement': withMain(stmt('EvalStmt', { source: 'process.exit()' })),
  'a statement named like something inherited': withMain(stmt('toString')),
  'an unknown field': withMain(stmt('NopStmt', { code: 1 })),
  'a missing field': withMain(stmt('MakeNullStmt')),
  'a local that is a text': withMain(stmt('MakeNullStmt', { target: '0;process.exit()' })),
  'a local that is negative': withMain(stmt('MakeNullStmt', { target: -1 })),
  'a local that is a fraction': withMain(stmt('MakeNullStmt', { target: 2.5 })),
  'a local beyond all bounds': withMain(stmt('MakeNullStmt', { target: 50_000 })),
  'an operand of an unknown type': withMain(stmt('IsArrayStmt', { source: { type: 'code', value: 1 } })),
  'an operand that is no boolean': withMain(stmt('IsArrayStmt', { source: { type: 'bool', value: 1 } })),
  'a string that is not there': withMain(stmt('EqualStmt', { a: local(0), b: text(4) })),
  'a number that is none': withMain(stmt('MakeNumberRefStmt', { index: 3, target: 2 })),
  'an integer that is none': withMain(stmt('MakeNumberIntStmt', { value: 0.5, target: 2 })),
  'a break out of the entrypoint': withMain(stmt('BreakStmt', { index: 1 })),
  'a break out of a scan': withMain(
    stmt('ScanStmt', { source: 0, key: 2, value: 3, block: block(stmt('BreakStmt', { index: 1 })) }),
  ),
  'a break out of a `not`': withMain(stmt('NotStmt', { block: block(stmt('BreakStmt', { index: 1 })) })),
  'a break out of a `with`': withMain(
    stmt('WithStmt', { local: 0, path: [], value: bool(true), block: block(stmt('BreakStmt', { index: 1 })) }),
  ),
  'a dynamic call out of fewer than four blocks': withMain(
    stmt('CallDynamicStmt', { args: [0, 1], path: [text(0)], result: 2 }),
  ),
  'a call of what is not there': withMain(stmt('CallStmt', { func: 'eval', args: [], result: 2 })),
  'a call of what is only inherited': withMain(stmt('CallStmt', { func: 'constructor', args: [], result: 2 })),
  'a call with too many arguments': withMain(
    stmt('CallStmt', { func: 'count', args: [local(0), local(0), local(0), local(0), local(0)], result: 2 }),
  ),
  'a call with the wrong number of arguments': withMain(
    stmt('CallStmt', { func: F.name, args: [local(0), local(1)], result: 2 }),
  ),
  'a call without input': withMain(stmt('CallStmt', { func: F.name, args: [local(1), local(1), local(0)], result: 2 })),
  'a statement that writes input': withMain(stmt('MakeNullStmt', { target: 0 })),
  'a statement that grows data': withMain(stmt('SetAddStmt', { set: 1, value: bool(true) })),
  'a `with` of something else': withMain(
    stmt('WithStmt', { local: 2, path: [], value: bool(true), block: block(stmt('NopStmt')) }),
  ),
  'a return from an entrypoint': withMain(stmt('ReturnLocalStmt', { source: 0 })),
  'blocks nested too deep': withMain(nested(500, 'BlockStmt')),
  '`not` nested too deep': withMain(nested(300, 'NotStmt')),
  'a function with one parameter': rawPlan({ strings: [], functions: [{ ...F, params: [0] }], main: [] }),
  'a function with a parameter twice': rawPlan({ strings: [], functions: [{ ...F, params: [0, 1, 1] }], main: [] }),
  'a function that returns a parameter': rawPlan({ strings: [], functions: [{ ...F, returns: 3 }], main: [] }),
  'a function that is there twice': rawPlan({ strings: [], functions: [F, F], main: [] }),
};

describe('a plan', () => {
  it.each(Object.entries(REFUSED))('with %s is refused', (_name, plan) => {
    expect(() => readPlan(Buffer.from(JSON.stringify(plan)))).toThrow(
      expect.objectContaining({ code: 'invalid_plan', message: expect.stringMatching(/^`plan\.json`: /) }),
    );
  });

  it.each([
    ['that is not UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['that is not JSON', Buffer.from('{"plans":')],
  ])('%s is refused', (_name, bytes) => {
    expect(() => readPlan(bytes)).toThrow(expect.objectContaining({ code: 'invalid_plan' }));
  });

  it('with every kind of statement is read', () => {
    const plan = planOf(EVERY_STATEMENT);
    expect(plan.functions.map(({ name, locals }) => [name, locals])).toEqual([
      ['g0.data.p.allow', 5],
      ['g0.data.p.names', 7],
      ['g0.data.p.f', 6],
    ]);
    expect(plan.plans[0]?.blocks[0]?.[1]).toMatchObject({
      type: 'CallStmt',
      position: { file: 0, row: 1, col: 1 },
      func: 'g0.data.p.allow',
      args: [
        { kind: 'local', local: 0 },
        { kind: 'local', local: 1 },
      ],
      result: 2,
    });
  });

  it('keeps integers beyond 2^53 exact', () => {
    const json = JSON.stringify(withMain(stmt('MakeNumberIntStmt', { value: 1, target: 2 })));
    const plan = readPlan(Buffer.from(json.replace('"value":1,', '"value":9223372036854775807,')));
    expect(plan.plans[0]?.blocks[0]?.[0]).toMatchObject({ value: 9_223_372_036_854_775_807n });
  });

  it('takes numbers that Rego has and JSON has not, and lists that Go writes as null', () => {
    const plan = {
      static: { strings: [{ value: '.5' }], builtin_funcs: null, files: [{ value: 'p.rego' }] },
      plans: {
        plans: [{ name: 'main', blocks: [{ stmts: [stmt('MakeNumberRefStmt', { index: 0, Index: 0, target: 2 })] }] }],
      },
      funcs: { funcs: null },
    };
    expect(planOf(plan).plans).toHaveLength(1);
  });
});
