import type { FailedExpression, RuleTrace, TracedRule } from '../../decision/rule-trace.ts';
import { isExpression, placeKey } from './expression-places.ts';
import type { Statement } from './plan.ts';
import type { RuleBody, StatementRole } from './rule-bodies.ts';
import type { PlanObserver } from './runtime.ts';
import type { PlaceOf } from './source-places.ts';
import type { TracePosition } from './translation.ts';

/** A trace holds no more rules than these. */
export const MOST_RULES = 500;
/** Calls of one function by one rule, each of which is told. */
const MOST_CALLS = 3;

/** Makes a trace of what an observer is called with; all that it holds is bounded. */
export interface RuleTracer extends PlanObserver {
  trace(failed: boolean): RuleTrace;
  /** Places of the expressions that were evaluated, as `file:row:col`. */
  evaluated(): ReadonlySet<string>;
}

export interface TracerParts {
  readonly positions: readonly TracePosition[];
  readonly roles: ReadonlyMap<Statement, StatementRole>;
  readonly placeOf: PlaceOf;
}

interface Entry {
  readonly body: RuleBody;
  readonly depth: number;
  readonly calls: Map<string, number>;
  outcome: TracedRule['outcome'];
  /** Numbers of positions; they grow as the plan's text does. */
  failed: number | undefined;
  passed: number | undefined;
}

interface Frame {
  readonly function: string;
  readonly depth: number;
  /** Beyond the bounds: nothing in it is told. */
  readonly muted: boolean;
  readonly entries: Map<RuleBody, Entry>;
  current: Entry | undefined;
}

/** One for each evaluation. */
export function createRuleTracer({ positions, roles, placeOf }: TracerParts): RuleTracer {
  const entries: Entry[] = [];
  const frames: Frame[] = [];
  const seen = new Set<number>();
  let leftOut = 0;
  let last: TracePosition | undefined;

  function enter(id: number): void {
    const position = positions[id];
    if (position === undefined) return;
    last = position;
    // A rule never asks itself: what is here of that name is over.
    const open = frames.findIndex((frame) => frame.function === position.function);
    if (open >= 0) frames.length = open;
    const caller = frames.at(-1);
    const calls = caller?.current?.calls;
    const count = (calls?.get(position.function) ?? 0) + 1;
    calls?.set(position.function, count);
    const muted = caller?.muted === true || count > MOST_CALLS || entries.length >= MOST_RULES;
    if (muted) leftOut += 1;
    const depth = caller === undefined ? 0 : caller.depth + 1;
    frames.push({ function: position.function, depth, muted, entries: new Map(), current: undefined });
  }

  function entryOf(name: string, body: RuleBody): Entry | undefined {
    let frame = frames.at(-1);
    while (frame !== undefined && frame.function !== name) {
      frames.pop();
      frame = frames.at(-1);
    }
    if (frame === undefined || frame.muted) return undefined;
    let entry = frame.entries.get(body);
    if (entry === undefined) {
      if (entries.length >= MOST_RULES) {
        leftOut += 1;
        return undefined;
      }
      entry = {
        body,
        depth: frame.depth,
        calls: new Map(),
        outcome: 'undefined',
        failed: undefined,
        passed: undefined,
      };
      frame.entries.set(body, entry);
      entries.push(entry);
    }
    frame.current = entry;
    return entry;
  }

  return {
    enter,
    passed: (id) => {
      const position = positions[id];
      const role = position?.statement && roles.get(position.statement);
      if (position?.statement === undefined || role === undefined) return;
      if (isExpression(position.statement, role)) seen.add(id);
      last = position;
      // Not entered until it is found that it applies.
      if (role.body.isDefault && !role.gives) return;
      const entry = entryOf(position.function, role.body);
      if (entry === undefined) return;
      if (role.gives) entry.outcome = role.body.isDefault ? 'default' : 'held';
      entry.passed = Math.max(entry.passed ?? 0, id);
      // What failed in a comprehension, or in one of several ways to look something up, was not the end of the body.
      if (position.statement.type === 'BlockStmt' && isWithin(entry.failed, position.statement))
        entry.failed = undefined;
    },
    failed: (id) => {
      const position = positions[id];
      const role = position?.statement && roles.get(position.statement);
      if (position === undefined || role === undefined || role.guards) return;
      seen.add(id);
      last = position;
      const entry = entryOf(position.function, role.body);
      if (entry === undefined || role.negated) return;
      entry.failed = Math.max(entry.failed ?? 0, id);
    },
    trace: (failed) => ({
      rules: entries.map((entry) => toRule(entry)),
      left_out: leftOut,
      ...(failed && last !== undefined ? { ended: placeOf(last) } : {}),
    }),
    evaluated: () => {
      const places = new Set<string>();
      for (const id of seen) {
        const position = positions[id];
        if (position !== undefined) places.add(placeKey(placeOf(position)));
      }
      return places;
    },
  };

  function isWithin(id: number | undefined, block: Statement): boolean {
    let statement = id === undefined ? undefined : positions[id]?.statement;
    while (statement !== undefined && statement !== block) statement = roles.get(statement)?.parent;
    return statement !== undefined;
  }

  function toRule(entry: Entry): TracedRule {
    const { body, depth, outcome } = entry;
    const failed = outcome === 'undefined' ? failedOf(entry) : undefined;
    const head = placeOf(body.head);
    return { rule: body.rule, depth, head, outcome, ...(failed === undefined ? {} : { failed }) };
  }

  function failedOf({ failed, passed }: Entry): FailedExpression | undefined {
    const position = positions[failed ?? passed ?? -1];
    if (position === undefined) return undefined;
    return { ...placeOf(position), how: howOf(position.statement, failed !== undefined) };
  }
}

function howOf(statement: Statement | undefined, failed: boolean): FailedExpression['how'] {
  if (statement?.type === 'ScanStmt') return 'nothing';
  return !failed || statement?.type === 'DotStmt' ? 'missing' : 'not_true';
}
