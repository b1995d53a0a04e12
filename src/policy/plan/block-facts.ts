import type { Block, Statement } from './plan.ts';
import { type LocalVisitor, statementsIn, visitLocals, visitStatements } from './plan-walk.ts';

/** What is known of the locals within one of a unit's own blocks, outside of which only few live. */
export interface BlockFacts {
  /** How often each local is written, not counting what is put into what it holds. */
  readonly writes: ReadonlyMap<number, number>;
  /** How often each local is read. */
  readonly reads: ReadonlyMap<number, number>;
  /** How often something is put into what each local holds. */
  readonly puts: ReadonlyMap<number, number>;
  /** Locals that hold values made elsewhere, and into which something is put: it has to be their own copy. */
  readonly foreign: ReadonlySet<number>;
  /** Locals that only ever hold objects whose keys are constants. */
  readonly records: ReadonlySet<number>;
  /** Locals that live beyond the block: parameters and the unit's value. */
  readonly shared: ReadonlySet<number>;
}

/** `lent` are the shared locals that another of the unit's blocks may have given a value made elsewhere. */
export function blockFactsOf(
  block: Block,
  shared: ReadonlySet<number>,
  lent: ReadonlySet<number> = new Set(),
): BlockFacts {
  const writes = new Map<number, number>();
  const reads = new Map<number, number>();
  const puts = new Map<number, number>();
  const elsewhere = new Set<number>();
  const varied = new Set<number>();
  const records = new Set<number>();
  for (const statement of statementsIn([block])) {
    visitLocals(statement, {
      read: (local) => count(reads, local),
      write(local) {
        count(writes, local);
        if (!isMake(statement)) elsewhere.add(local);
        if (statement.type === 'MakeObjectStmt') records.add(local);
        else varied.add(local);
      },
      update(local) {
        if (statement.type === 'AssignVarOnceStmt' || statement.type === 'WithStmt') {
          count(writes, local);
          elsewhere.add(local);
          varied.add(local);
        } else {
          count(puts, local);
          const isRecord =
            (statement.type === 'ObjectInsertStmt' || statement.type === 'ObjectInsertOnceStmt') &&
            statement.key.kind === 'string';
          if (!isRecord) varied.add(local);
        }
      },
    });
  }
  for (const local of varied) records.delete(local);
  for (const local of shared) records.delete(local);
  return {
    writes,
    reads,
    puts,
    foreign: new Set(
      [...puts.keys()].filter((local) => elsewhere.has(local) || (shared.has(local) && lent.has(local))),
    ),
    records,
    shared,
  };
}

/** Locals that are, anywhere in the blocks, given something that is not made for them there. */
export function lentLocals(blocks: readonly Block[]): ReadonlySet<number> {
  const lent = new Set<number>();
  const visitor: LocalVisitor = {
    write: (local, statement) => void (isMake(statement) || lent.add(local)),
    update(local, { type }) {
      if (type === 'AssignVarOnceStmt' || type === 'WithStmt') lent.add(local);
    },
  };
  visitStatements(blocks, (statement) => visitLocals(statement, visitor));
  return lent;
}

function isMake({ type }: Statement): boolean {
  return type === 'MakeArrayStmt' || type === 'MakeObjectStmt' || type === 'MakeSetStmt';
}

function count(counts: Map<number, number>, local: number): void {
  counts.set(local, (counts.get(local) ?? 0) + 1);
}

/**
 * Locals that carry something from one of the blocks to another: read in one of them before it wrote them. OPA gives the
 * numbers of all others to new ones in the next block.
 */
export function carriedLocals(blocks: readonly Block[]): ReadonlySet<number> {
  const carried = new Set<number>();
  const written = new Set<number>();
  const read = (local: number): void => {
    if (!written.has(local)) carried.add(local);
  };
  const readers: LocalVisitor = { read, update: read };
  const writers: LocalVisitor = { write: (local) => void written.add(local) };
  const visit = (statement: Statement): void => {
    visitLocals(statement, readers);
    visitLocals(statement, writers);
  };
  for (const block of blocks) {
    written.clear();
    visitStatements([block], visit);
  }
  return carried;
}

/** Locals that something depends on: not those that are only copied into others that nothing depends on. */
export function neededLocals(blocks: readonly Block[], returns: readonly number[]): ReadonlySet<number> {
  const needed = new Set<number>(returns);
  const copies = new Map<number, number[]>();
  const pending: number[] = [...returns];
  const need = (local: number): void => {
    if (needed.has(local)) return;
    needed.add(local);
    pending.push(local);
  };
  const visitor: LocalVisitor = { read: need, update: need };
  visitStatements(blocks, (statement) => {
    if (statement.type !== 'AssignVarStmt') visitLocals(statement, visitor);
    else if (statement.source.kind === 'local') {
      const sources = copies.get(statement.target);
      if (sources === undefined) copies.set(statement.target, [statement.source.local]);
      else sources.push(statement.source.local);
    }
  });
  for (let local = pending.pop(); local !== undefined; local = pending.pop()) {
    for (const source of copies.get(local) ?? []) need(source);
  }
  return needed;
}
