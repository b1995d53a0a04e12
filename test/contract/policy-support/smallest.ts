import { isObject, objectOf, sortedEntries } from '../../../src/policy/values/object.ts';
import type { Value } from '../../../src/policy/values/value.ts';
import type { Clause, Unit } from './rego-rules.ts';

export interface Candidate {
  readonly units: readonly Unit[];
  readonly input: Value;
}

/** So many are tried; each costs a second. */
const MOST_TRIES = 80;

/** Takes away what it can from rules and input as long as they still show what they show. A policy that is refused shows nothing. */
export async function smallest(
  start: Candidate,
  shows: (candidate: Candidate) => Promise<boolean>,
): Promise<Candidate> {
  let best = start;
  let tries = 0;
  for (let size = 32; size >= 1; size >>= 1) {
    for (let at = best.units.length - size; at > -size; at -= size) {
      const from = Math.max(0, at);
      await attempt({ ...best, units: best.units.toSpliced(from, at + size - from) });
    }
  }
  for (const unit of best.units) for (const fewer of smallerUnits(unit)) await attempt(replaced(unit.name, fewer));
  if (isObject(best.input)) {
    for (const [key] of sortedEntries(best.input)) {
      const { input } = best;
      if (!isObject(input)) break;
      await attempt({ ...best, input: objectOf(sortedEntries(input).filter(([other]) => other !== key)) });
    }
  }
  return best;

  async function attempt(candidate: Candidate): Promise<void> {
    if (tries++ >= MOST_TRIES) return;
    try {
      if (await shows(candidate)) best = candidate;
    } catch {
      // OPA does not take it.
    }
  }

  function replaced(name: string, unit: Unit): Candidate {
    return { ...best, units: best.units.map((other) => (other.name === name ? unit : other)) };
  }
}

/** Each with one clause, or one statement of its only clause. */
function smallerUnits(unit: Unit): readonly Unit[] {
  return unit.clauses.flatMap((clause) => [
    { ...unit, clauses: [clause] },
    ...clause.body.map((_, at) => ({ ...unit, clauses: [without(clause, at)] })),
  ]);
}

function without(clause: Clause, at: number): Clause {
  return { ...clause, body: clause.body.length > 1 ? clause.body.toSpliced(at, 1) : clause.body };
}
