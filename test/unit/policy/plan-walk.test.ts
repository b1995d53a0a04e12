import { describe, expect, test } from 'vitest';
import { type FieldKind, STATEMENT_FIELDS, type Statement } from '../../../src/policy/plan/plan.ts';
import { statementsIn, visitLocals, visitStatements } from '../../../src/policy/plan/plan-walk.ts';

type Visit = readonly [how: string, local: number];

/** A statement of which each field names other locals, and what is to be seen of these. */
function drawn(type: string, fields: Readonly<Record<string, FieldKind>>): readonly [Statement, readonly Visit[]] {
  const visits: Visit[] = [];
  let last = 10;
  const seen = (how: string): number => {
    visits.push([how, ++last]);
    return last;
  };
  const operand = () => ({ kind: 'local', local: seen('read') });
  const constant = { kind: 'string', index: 3 };
  const fieldOf = (kind: FieldKind): unknown => {
    if (kind === 'read' || kind === 'write' || kind === 'update') return seen(kind);
    if (kind === 'reads') return [seen('read'), seen('read')];
    if (kind === 'operand') return operand();
    if (kind === 'operands') return [operand(), constant, operand()];
    if (kind === 'block' || kind === 'blocks') return [];
    return kind === 'path' ? [4] : 5;
  };
  const values = Object.entries(fields).map(([name, kind]) => [name, fieldOf(kind)]);
  // It has the fields of its kind.
  return [{ type, position: undefined, ...Object.fromEntries(values) } as Statement, visits];
}

describe('the locals of a statement', () => {
  test.each(Object.entries(STATEMENT_FIELDS))('of %s are visited as its fields say', (type, fields) => {
    const [statement, wanted] = drawn(type, fields);
    const visits: Visit[] = [];
    visitLocals(statement, {
      read: (local, from) => void (from === statement && visits.push(['read', local])),
      write: (local, from) => void (from === statement && visits.push(['write', local])),
      update: (local, from) => void (from === statement && visits.push(['update', local])),
    });
    expect(visits).toEqual(wanted);
  });
});

describe('the statements of blocks', () => {
  test('are walked with those in them, in the order of the text', () => {
    const nop: Statement = { type: 'NopStmt', position: undefined };
    const not: Statement = { type: 'NotStmt', position: undefined, block: [{ ...nop }] };
    const blocks = [
      [{ ...nop }, not],
      [{ type: 'BlockStmt', position: undefined, blocks: [[not], [{ ...nop }]] }],
    ] as const;
    const walked: Statement[] = [];
    visitStatements(blocks, (statement) => void walked.push(statement));
    expect(walked.map(({ type }) => type)).toEqual([
      ...['NopStmt', 'NotStmt', 'NopStmt', 'BlockStmt', 'NotStmt', 'NopStmt', 'NopStmt'],
    ]);
    const listed = statementsIn(blocks);
    expect(walked.every((statement, at) => statement === listed[at])).toBe(true);
  });
});
