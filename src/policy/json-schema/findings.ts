import type { Budget } from './schema-node.ts';

/** One thing that is wrong with a document, in gojsonschema's words. */
export interface SchemaFinding {
  readonly type: string;
  /** Where: names and places with full stops between them, `(Root)` for the document. */
  readonly field: string;
  readonly description: string;
}

/** What was found by one schema. */
export interface Result {
  readonly findings: SchemaFinding[];
  /** How well a schema fits: of those that do not, the best one tells why. */
  score: number;
}

/** Where in a document. */
export interface Place {
  readonly name: string;
  readonly outer: Place | undefined;
}

/** What findings say of where they are. */
export function fieldOf(place: Place | undefined): string {
  const names: string[] = [];
  for (let each = place; each !== undefined; each = each.outer) names.push(each.name);
  return names.length === 0 ? '(Root)' : names.reverse().join('.');
}

/** Adds a finding. */
export function add(budget: Budget, result: Result, place: Place | undefined, type: string, description: string): void {
  budget.charge(20);
  result.findings.push({ type, field: fieldOf(place), description });
  result.score -= 2;
}

/** Adds what another schema found. */
export function merge(budget: Budget, result: Result, other: Result): void {
  budget.charge(other.findings.length);
  for (const finding of other.findings) result.findings.push(finding);
  result.score += other.score;
}
