import type { RulePlace } from '../../decision/rule-trace.ts';
import type { Plan, Statement } from './plan.ts';
import { rolesOf, type StatementRole } from './rule-bodies.ts';
import { createPlaces } from './source-places.ts';

/** Where a policy has expressions, heads of rules among them, by `file:row:col`: what coverage counts. */
export function expressionPlaces(plan: Plan): ReadonlyMap<string, RulePlace> {
  const placeOf = createPlaces(plan.files, new Map());
  const places = new Map<string, RulePlace>();
  for (const [statement, role] of rolesOf(plan)) {
    if (statement.position === undefined || !isExpression(statement, role)) continue;
    const place = placeOf(statement.position);
    places.set(placeKey(place), place);
  }
  return places;
}

/** Whether it is of the Rego's own, and not how a rule begins and ends. */
export function isExpression({ type }: Statement, { guards }: StatementRole): boolean {
  return !guards && type !== 'ResetLocalStmt' && type !== 'BreakStmt';
}

export function placeKey({ file, row, col }: RulePlace): string {
  return `${file}:${row}:${col}`;
}
