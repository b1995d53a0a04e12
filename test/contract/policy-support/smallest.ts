import { isObject, objectOf, sortedEntries } from '../../../src/policy/values/object.ts';
import type { Value } from '../../../src/policy/values/value.ts';
import { type Clause, renderUnit, type Unit } from './rego-rules.ts';

export interface Candidate {
  readonly units: readonly Unit[];
  readonly input: Value;
  readonly data: Value;
}

/** So many are tried; each costs a second. */
const MOST_TRIES = 200;

/**
 * Takes away what it can from rules, input and data as long as they still show what they show: first all that the rule in
 * question does not come to, then rules in ever smaller groups, then what rules are made of. A policy that is refused
 * shows nothing.
 */
export async function smallest(
  start: Candidate,
  rule: string | undefined,
  shows: (candidate: Candidate) => Promise<boolean>,
): Promise<Candidate> {
  let best = start;
  let tries = 0;
  await attempt({ ...best, units: reached(best.units, rule) });
  await fewerUnits();
  for (let size = -1; size !== partsOf(best.units); ) {
    size = partsOf(best.units);
    // The rule itself before those that it names.
    for (const { name } of best.units.toReversed()) {
      if (!best.units.some((unit) => unit.name === name)) continue;
      if (!(await attempt(replaced(stubOf(unitOf(name)))))) await smaller(name);
      const units = reached(best.units, rule);
      if (units.length < best.units.length) await attempt({ ...best, units });
    }
    await fewerUnits();
  }
  await fewerMembers(
    () => best.input,
    (input) => ({ ...best, input }),
  );
  await fewerMembers(
    () => best.data,
    (data) => ({ ...best, data }),
  );
  return best;

  async function attempt(candidate: Candidate): Promise<boolean> {
    if (tries++ >= MOST_TRIES) return false;
    try {
      if (!(await shows(candidate))) return false;
    } catch {
      // OPA does not take it.
      return false;
    }
    best = candidate;
    return true;
  }

  async function fewerUnits(): Promise<void> {
    for (let size = best.units.length >> 1; size >= 1; size >>= 1) {
      for (let at = best.units.length - size; at > -size; at -= size) {
        const from = Math.max(0, at);
        await attempt({ ...best, units: best.units.toSpliced(from, at + size - from) });
      }
    }
  }

  /** Clauses first, each with its `else`s, then these, then lines. */
  async function smaller(name: string): Promise<void> {
    for (const make of [withoutClause, withoutElse, withoutLine]) {
      for (let at = 0; ; ) {
        const fewer = make(unitOf(name), at);
        if (fewer === undefined) break;
        if (!(await attempt(replaced(fewer)))) at++;
      }
    }
  }

  function unitOf(name: string): Unit {
    return best.units.find((unit) => unit.name === name) ?? { name, arity: 0, asked: false, clauses: [] };
  }

  function replaced(unit: Unit): Candidate {
    return { ...best, units: best.units.map((other) => (other.name === unit.name ? unit : other)) };
  }

  async function fewerMembers(from: () => Value, to: (value: Value) => Candidate): Promise<void> {
    const document = from();
    if (!isObject(document)) return;
    for (const [key] of sortedEntries(document)) {
      const rest = (without: boolean): Value =>
        objectOf(sortedEntriesOf(from()).filter(([other]) => other !== key || !without));
      if (await attempt(to(rest(true)))) continue;
      const memberOf = (): Value => sortedEntriesOf(from()).find(([other]) => other === key)?.[1] ?? null;
      await fewerMembers(memberOf, (member) =>
        to(objectOf(sortedEntriesOf(from()).map(([other, value]) => [other, other === key ? member : value]))),
      );
    }
  }
}

function sortedEntriesOf(value: Value): readonly (readonly [Value, Value])[] {
  return isObject(value) ? sortedEntries(value) : [];
}

/** The rule and all that it names, and what these name. */
function reached(units: readonly Unit[], rule: string | undefined): readonly Unit[] {
  const left = new Map(units.map((unit) => [unit.name, unit]));
  const found = new Set<Unit>();
  const visit = (name: string): void => {
    const unit = left.get(name);
    if (unit === undefined || found.has(unit)) return;
    found.add(unit);
    for (const [named] of renderUnit(unit).matchAll(/\b[rf]\d+\b/g)) visit(named);
  };
  visit(rule ?? '');
  return units.filter((unit) => found.has(unit));
}

function partsOf(units: readonly Unit[]): number {
  return units.map(renderUnit).join('').length;
}

function withoutClause(unit: Unit, at: number): Unit | undefined {
  if (unit.clauses.length < 2 || at >= unit.clauses.length) return undefined;
  return { ...unit, clauses: unit.clauses.toSpliced(at, 1) };
}

function withoutElse(unit: Unit, at: number): Unit | undefined {
  return changed(
    unit,
    at,
    ({ next = [] }) => next.length,
    (clause, from) => ({
      ...clause,
      next: clause.next?.toSpliced(from, 1) ?? [],
    }),
  );
}

function withoutLine(unit: Unit, at: number): Unit | undefined {
  const linesOf = ({ body }: Clause): number => (body.length > 1 ? body.length : 0);
  return changed(unit, at, linesOf, (clause, from) => ({ ...clause, body: clause.body.toSpliced(from, 1) }));
}

/** Changes the part of that number, where each clause has as many parts as `count` says. */
function changed(
  unit: Unit,
  at: number,
  count: (clause: Clause) => number,
  change: (clause: Clause, at: number) => Clause,
): Unit | undefined {
  let left = at;
  for (const [index, clause] of unit.clauses.entries()) {
    if (left < count(clause)) return { ...unit, clauses: unit.clauses.with(index, change(clause, left)) };
    left -= count(clause);
  }
  return undefined;
}

/** What others may still name. */
export function stubOf({ name, arity }: Unit): Unit {
  if (!name.startsWith('f'))
    return { name, arity, asked: false, clauses: [{ head: `${name} := input.any`, body: [] }] };
  const list = Array.from({ length: arity }, () => '_').join(', ');
  return { name, arity, asked: false, clauses: [{ head: `${name}(${list}) := input.any`, body: [] }] };
}
