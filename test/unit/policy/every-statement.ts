import { block, bool, createTexts, found, local, rawPlan, stmt } from './plan-kit.ts';

const { list, text, index } = createTexts();

/** A plan in which every kind of statement stands at least once. */
export const EVERY_STATEMENT = rawPlan({
  strings: list,
  builtins: ['count', 'print'],
  functions: [
    {
      name: 'g0.data.p.allow',
      path: ['g0', 'p', 'allow'],
      blocks: [
        [
          stmt('ResetLocalStmt', { target: 3 }),
          stmt('DotStmt', { source: local(0), key: text('role'), target: 4 }),
          stmt('EqualStmt', { a: local(4), b: text('admin') }),
          stmt('AssignVarOnceStmt', { source: bool(true), target: 3 }),
        ],
        [stmt('IsDefinedStmt', { source: 3 }), stmt('AssignVarOnceStmt', { source: local(3), target: 2 })],
        [stmt('IsUndefinedStmt', { source: 2 }), stmt('AssignVarOnceStmt', { source: bool(false), target: 2 })],
        [stmt('ReturnLocalStmt', { source: 2 })],
      ],
    },
    {
      name: 'g0.data.p.names',
      path: ['g0', 'p', 'names'],
      blocks: [
        [stmt('MakeSetStmt', { target: 2 })],
        [
          stmt('DotStmt', { source: local(1), key: text('names'), target: 4 }),
          stmt('ScanStmt', {
            source: 4,
            key: 5,
            value: 6,
            block: block(stmt('SetAddStmt', { value: local(6), set: 2 })),
          }),
        ],
        [stmt('ReturnLocalStmt', { source: 2 })],
      ],
    },
    {
      name: 'g0.data.p.f',
      params: [0, 1, 3],
      blocks: [
        [
          stmt('NotStmt', { block: block(stmt('IsArrayStmt', { source: local(3) }), stmt('BreakStmt', { index: 0 })) }),
          stmt('IsObjectStmt', { source: local(3) }),
          stmt('LenStmt', { source: local(3), target: 4 }),
          stmt('ObjectMergeStmt', { a: 3, b: 3, target: 5 }),
          stmt('AssignVarOnceStmt', { source: local(5), target: 2 }),
        ],
        [stmt('ReturnLocalStmt', { source: 2 })],
      ],
    },
  ],
  main: [
    [
      stmt('NopStmt'),
      stmt('CallStmt', { func: 'g0.data.p.allow', args: [local(0), local(1)], result: 2 }),
      stmt('CallStmt', { func: 'count', args: [text('role')], result: 3 }),
      stmt('MakeNullStmt', { target: 4 }),
      stmt('MakeNumberIntStmt', { value: -5, target: 5 }),
      stmt('MakeNumberRefStmt', { index: index('1.50'), Index: index('1.50'), target: 6 }),
      stmt('AssignIntStmt', { value: 9, target: 7 }),
      stmt('MakeArrayStmt', { capacity: 3, target: 8 }),
      stmt('ArrayAppendStmt', { value: local(5), array: 8 }),
      stmt('ArrayAppendStmt', { value: local(2), array: 8 }),
      stmt('AssignVarStmt', { source: local(8), target: 9 }),
      stmt('MakeObjectStmt', { target: 10 }),
      stmt('ObjectInsertStmt', { key: text('a'), value: local(9), object: 10 }),
      stmt('ObjectInsertOnceStmt', { key: local(6), value: local(4), object: 10 }),
      stmt('NotEqualStmt', { a: local(10), b: bool(false) }),
      stmt('CallStmt', { func: 'g0.data.p.f', args: [local(0), local(1), local(10)], result: 11 }),
      stmt('WithStmt', {
        local: 0,
        path: [index('a'), index('__proto__')],
        value: local(10),
        block: block(
          stmt('BlockStmt', {
            blocks: [
              block(
                stmt('BlockStmt', {
                  blocks: [
                    block(
                      stmt('BlockStmt', {
                        blocks: [
                          block(
                            stmt('BlockStmt', {
                              blocks: [
                                block(
                                  stmt('CallDynamicStmt', {
                                    args: [0, 1],
                                    path: [text('g0'), text('p'), text('names')],
                                    result: 12,
                                  }),
                                  stmt('BreakStmt', { index: 1 }),
                                ),
                                block(stmt('DotStmt', { source: local(1), key: local(5), target: 12 })),
                              ],
                            }),
                            stmt('BreakStmt', { index: 2 }),
                          ),
                        ],
                      }),
                    ),
                  ],
                }),
                stmt('IsSetStmt', { source: local(12) }),
                ...found(text('x'), 12, 13),
              ),
            ],
          }),
        ),
      }),
    ],
  ],
});
