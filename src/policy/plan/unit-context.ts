import type { BlockFacts } from './block-facts.ts';
import type { Cells } from './constants.ts';
import type { Operand, Plan, PlanUnit, Position, Statement } from './plan.ts';
import { js, type Source } from './source.ts';
import type { Constant, RuleTable, TracePosition } from './translation.ts';

/** What all of a plan's units share while they are translated. */
export interface PlanContext {
  readonly plan: Plan;
  readonly cells: Cells;
  readonly unitLocals: Map<PlanUnit, UnitLocals>;
  readonly conflicts: string[];
  readonly tables: RuleTable[];
  /** Fewer rules than these are tried one after the other. */
  readonly leastIndexed: number;
  /** `undefined` where nothing is traced. */
  readonly positions: TracePosition[] | undefined;
  /** Cells of which input and data are being looked at. */
  readonly inputCell: Source;
  readonly dataCell: Source;
  /** Cell of whether builtins that fail are errors. */
  readonly strictCell: Source;
}

/** What is known of a unit's locals. */
export type UnitLocals = Pick<UnitContext, 'kept' | 'needed' | 'lent'>;

/** A block of generated code that statements can leave. */
export interface Level {
  readonly label: Source;
  readonly leave: Source;
  used: boolean;
}

/** A local whose value is known. */
export interface Known {
  readonly constant: Constant;
  readonly source: Source;
}

/** One generated function while it is being written. */
export interface UnitContext extends PlanContext {
  readonly name: string;
  /** The message of the conflict that its rules may have. */
  readonly conflict: string;
  readonly input: number;
  readonly data: number;
  /** Locals that something depends on. */
  readonly needed: ReadonlySet<number>;
  /** Statements that return, given what they return. */
  readonly returning: (value: Source) => Source;
  /** The local whose first value is the function's. */
  readonly decisive: number | undefined;
  /** Set where a value has to be known to be of this call's own making. */
  owner: Source | undefined;
  /** Locals that live beyond one of the unit's own blocks. */
  readonly kept: ReadonlySet<number>;
  /** Locals that may hold values made elsewhere, whichever of the unit's blocks gave them these. */
  readonly lent: ReadonlySet<number>;
  /** What is known of the unit's own block that is being written. */
  facts: BlockFacts;
  readonly known: Map<number, Known>;
  /** Locals that were read straight off `data`, as by a path of the store. */
  readonly stored: Set<number>;
  readonly levels: Level[];
  /** How many `with` are around. */
  withs: number;
  readonly firstScratch: number;
  nextLocal: number;
  nextLabel: number;
  readonly used: Set<number>;
}

export function localSource(context: UnitContext, local: number): Source {
  context.used.add(local);
  return js`l${local}`;
}

/** A local of the translator's own. */
export function scratch(context: UnitContext): Source {
  return js`l${context.nextLocal++}`;
}

/** An operand, as a constant where its value is known. */
export function operandSource(context: UnitContext, operand: Operand): Source {
  const known = knownOf(context, operand);
  if (known !== undefined) return known.source;
  return operand.kind === 'local' ? localSource(context, operand.local) : js`null`;
}

export function knownOf(context: UnitContext, operand: Operand): Known | undefined {
  switch (operand.kind) {
    case 'local':
      return context.known.get(operand.local);
    case 'string': {
      const text = context.plan.strings[operand.index] ?? '';
      return { constant: text, source: context.cells.constant(text) };
    }
    case 'bool':
      return { constant: operand.value, source: operand.value ? js`true` : js`false` };
  }
}

/** Leaves the block in which the statement stands, or the one `out` further out. */
export function leave(context: UnitContext, out = 0): Source {
  const level = context.levels.at(-1 - out);
  if (level === undefined) throw new RangeError('a break leaves what it is not in');
  level.used = true;
  return level.leave;
}

/** The same for a statement that is undefined, which an observer is told. */
export function fail(context: UnitContext, position: number | undefined, out = 0): Source {
  const left = leave(context, out);
  return position === undefined ? left : js`{failed(${position});${left}}`;
}

/** The number under which an observer knows a position; that of a statement, or of the function's beginning. */
export function tracePosition(
  { positions, name }: UnitContext,
  position: Position | undefined,
  statement?: Statement,
): number | undefined {
  if (positions === undefined || position === undefined) return undefined;
  return positions.push({ ...position, function: name, ...(statement === undefined ? {} : { statement }) }) - 1;
}

export function newLevel(context: UnitContext): Level {
  const label = js`b${context.nextLabel++}`;
  return { label, leave: js`break ${label};`, used: false };
}

/** A level that, left, goes on with the next round of its loop. */
export function newLoop(context: UnitContext): Level {
  const label = js`b${context.nextLabel++}`;
  return { label, leave: js`continue ${label};`, used: false };
}
