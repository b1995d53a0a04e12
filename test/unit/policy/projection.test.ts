import { describe, expect, test } from 'vitest';
import { readPlan } from '../../../src/policy/plan/plan-reader.ts';
import { projectedPaths, projectInput } from '../../../src/policy/projection.ts';

const STRINGS = ['a', 'b', 'c', '__proto__', 'constructor', 'g0'];

type Statement = readonly [type: string, fields: object];

interface Func {
  readonly name: string;
  readonly params: readonly number[];
  readonly stmts: readonly Statement[];
}

const local = (value: number) => ({ type: 'local', value });
const text = (value: number) => ({ type: 'string_index', value });
const stmts = (list: readonly Statement[]) => ({ stmts: list.map(([type, stmt]) => ({ type, stmt })) });

const dot = (source: number, key: number, target: number): Statement => [
  'DotStmt',
  { source: local(source), key: text(key), target },
];
const use = (source: number): Statement => ['SetAddStmt', { value: local(source), set: 80 }];
const call = (func: string, args: readonly number[], result = 90): Statement => [
  'CallStmt',
  { func, args: args.map(local), result },
];
/** A call that is resolved at run time: where what it finds is undefined it leaves four blocks. */
function dynamic(path: readonly object[]): Statement {
  let statement: Statement = ['CallDynamicStmt', { args: [0, 1], path: [text(5), ...path], result: 9 }];
  for (let depth = 0; depth < 4; depth++) statement = ['BlockStmt', { blocks: [stmts([statement])] }];
  return statement;
}
const INPUT_A_B: readonly Statement[] = [dot(0, 0, 5), dot(5, 1, 6)];

function pathsOf(plan: readonly Statement[], functions: readonly Func[] = []): readonly string[] {
  const json = {
    static: {
      strings: STRINGS.map((value) => ({ value })),
      builtin_funcs: [{ name: 'count', decl: { type: 'function', result: { type: 'number' } } }],
    },
    plans: { plans: [{ name: 'p', blocks: [stmts(plan)] }] },
    funcs: {
      funcs: functions.map(({ name, params, stmts: list }) => ({ name, params, return: 99, blocks: [stmts(list)] })),
    },
  };
  const projection = projectInput(readPlan(Buffer.from(JSON.stringify(json)))).get('p');
  if (projection === undefined) throw new Error('no projection');
  return projectedPaths(projection);
}

describe('the projection of an entrypoint', () => {
  test.each<[string, readonly Statement[], readonly string[]]>([
    ['nothing', [], []],
    ['a path that is used', [...INPUT_A_B, use(6)], ['a.b']],
    ['a path of which only the presence is tested', INPUT_A_B, ['a.b']],
    ['a member that is used beside one below it', [...INPUT_A_B, use(5)], ['a']],
    ['input itself', [use(0)], ['*']],
    ['members with hostile names', [dot(0, 3, 5), dot(5, 4, 6), use(6)], ['__proto__.constructor']],
    [
      'a path through another local',
      [dot(0, 0, 5), ['AssignVarStmt', { source: local(5), target: 7 }], dot(7, 1, 8), use(8)],
      ['a.b'],
    ],
    [
      'a path through a local that is assigned once',
      [dot(0, 0, 5), ['AssignVarOnceStmt', { source: local(5), target: 7 }], dot(7, 1, 8), use(8)],
      ['a.b'],
    ],
    ['a local that was given another value', [dot(0, 0, 5), ['MakeNullStmt', { target: 5 }], use(5)], ['a']],
    ['a member by a computed key', [dot(0, 0, 5), ['DotStmt', { source: local(5), key: local(1), target: 6 }]], ['a']],
    [
      'a computed key that comes from input',
      [dot(0, 0, 5), ['DotStmt', { source: local(1), key: local(5), target: 6 }]],
      ['a'],
    ],
    ['a comparison with a constant', [...INPUT_A_B, ['EqualStmt', { a: local(5), b: text(1) }]], ['a.b']],
    ['a comparison with a local', [...INPUT_A_B, ['EqualStmt', { a: local(1), b: local(5) }]], ['a']],
    ['a difference from a local', [...INPUT_A_B, ['NotEqualStmt', { a: local(5), b: local(1) }]], ['a']],
    ['a test of the kind of value', [...INPUT_A_B, ['IsObjectStmt', { source: local(5) }]], ['a.b']],
    ['a length', [...INPUT_A_B, ['LenStmt', { source: local(5), target: 8 }]], ['a']],
    ['a scan', [dot(0, 0, 5), ['ScanStmt', { source: 5, key: 7, value: 8, block: stmts([dot(8, 1, 9)]) }]], ['a']],
    ['an argument of a builtin', [...INPUT_A_B, call('count', [5])], ['a']],
    ['an item of a list', [...INPUT_A_B, ['ArrayAppendStmt', { value: local(5), array: 8 }]], ['a']],
    ['a value of an object', [...INPUT_A_B, ['ObjectInsertStmt', { key: text(0), value: local(5), object: 8 }]], ['a']],
    [
      'a key of an object',
      [...INPUT_A_B, ['ObjectInsertOnceStmt', { key: local(5), value: text(0), object: 8 }]],
      ['a'],
    ],
    ['a member of a set', [...INPUT_A_B, ['SetAddStmt', { value: local(5), set: 8 }]], ['a']],
    ['a merged object', [...INPUT_A_B, ['ObjectMergeStmt', { a: 5, b: 1, target: 8 }]], ['a']],
    ['a result', [...INPUT_A_B, ['ResultSetAddStmt', { value: 5 }]], ['a']],
    [
      'an input that is replaced',
      [['WithStmt', { local: 0, path: [0], value: text(0), block: stmts(INPUT_A_B) }]],
      ['*'],
    ],
    [
      'data replaced by a part of input',
      [dot(0, 0, 5), ['WithStmt', { local: 1, path: [], value: local(5), block: stmts([]) }]],
      ['a'],
    ],
    ['a read within a negation', [['NotStmt', { block: stmts([...INPUT_A_B, use(6)]) }]], ['a.b']],
    [
      'a read within nested blocks',
      [['BlockStmt', { blocks: [stmts([['BlockStmt', { blocks: [stmts(INPUT_A_B)] }]])] }]],
      ['a.b'],
    ],
    ['a call that is resolved at run time, without functions', [dynamic([])], ['*']],
  ])('holds %s', (_name, plan, paths) => {
    expect(pathsOf(plan)).toEqual(paths);
  });

  test('follows a local that a block may or may not have given a value', () => {
    const inner = stmts([['BreakStmt', { index: 0 }], ['MakeNullStmt', { target: 5 }], dot(0, 2, 5)]);
    expect(pathsOf([dot(0, 0, 5), ['BlockStmt', { blocks: [inner] }], dot(5, 1, 6), use(6)])).toEqual(['a.b', 'c.b']);
  });

  test('follows what a later turn of a loop reads of an earlier one', () => {
    const body = stmts([dot(7, 1, 8), use(8), dot(0, 2, 7)]);
    expect(pathsOf([dot(0, 0, 7), ['ScanStmt', { source: 1, key: 20, value: 21, block: body }]])).toEqual([
      'a.b',
      'c.b',
    ]);
  });

  test('reads whole what a loop descends into without end', () => {
    const body = stmts([dot(7, 0, 7)]);
    const [path] = pathsOf([dot(0, 0, 7), ['ScanStmt', { source: 1, key: 20, value: 21, block: body }]]);
    expect(path).toMatch(/^a(\.a)+$/);
  });

  test('does not mix what a local holds in one block with what it holds in the next', () => {
    const blocks = [stmts([dot(0, 0, 5), dot(5, 1, 6), use(6)]), stmts([dot(0, 2, 5), use(5)])];
    expect(pathsOf([['BlockStmt', { blocks }]])).toEqual(['a.b', 'c']);
  });

  const reader: Func = { name: 'f', params: [0, 1, 2], stmts: [dot(2, 1, 5), use(5)] };
  const whole: Func = { name: 'g', params: [0, 1], stmts: [dot(0, 2, 5), use(5)] };

  test('reads of an argument what the function reads of its parameter', () => {
    expect(pathsOf([dot(0, 0, 5), call('f', [0, 1, 5])], [reader])).toEqual(['a.b']);
    expect(pathsOf([call('g', [0, 1])], [whole])).toEqual(['c']);
  });

  test('reads through functions in any order of definition', () => {
    const outer: Func = { name: 'outer', params: [0, 1], stmts: [dot(0, 0, 5), call('f', [0, 1, 5])] };
    expect(pathsOf([call('outer', [0, 1])], [outer, reader])).toEqual(['a.b']);
    expect(pathsOf([call('outer', [0, 1])], [reader, outer])).toEqual(['a.b']);
  });

  test('reads what any function reads where the call is resolved at run time', () => {
    expect(pathsOf([dynamic([text(0)])], [whole])).toEqual(['c']);
    const caller: Func = { name: 'h', params: [0, 1], stmts: [dynamic([text(0)]), dot(0, 1, 5), use(5)] };
    expect(pathsOf([call('h', [0, 1])], [caller, whole])).toEqual(['b', 'c']);
  });

  test('reads then too what one of them is known to read late', () => {
    const outer: Func = { name: 'outer', params: [0, 1], stmts: [dot(0, 0, 5), call('f', [0, 1, 5])] };
    const caller: Func = { name: 'h', params: [0, 1], stmts: [dynamic([text(0)])] };
    for (const functions of [
      [caller, outer, reader],
      [reader, caller, outer],
      [outer, reader, caller],
    ])
      expect(pathsOf([call('h', [0, 1])], functions)).toEqual(['a.b']);
  });

  test('reads whole what is a step of the path of such a call', () => {
    const none: Func = { name: 'none', params: [0, 1], stmts: [] };
    expect(pathsOf([dot(0, 0, 5), dynamic([local(5)])], [none])).toEqual(['a']);
  });

  test('ends on functions that call each other', () => {
    const one: Func = { name: 'one', params: [0, 1, 2], stmts: [dot(2, 0, 5), call('two', [0, 1, 5])] };
    const two: Func = { name: 'two', params: [0, 1, 2], stmts: [dot(2, 1, 5), call('one', [0, 1, 5]), use(5)] };
    expect(pathsOf([call('one', [0, 1, 0])], [one, two])).toEqual(['a.b']);
  });
});
