/** A document of another schema, as JSON will have it. */
export interface Document {
  readonly [member: string]: unknown;
}

/** Without the members that nothing is known of; `undefined` when none is left. */
export function known(members: Document): Document | undefined {
  const kept = Object.entries(members).filter(([, value]) => value !== undefined && !isEmptyList(value));
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

/** What policies shape is carried as text: stores that guess types from the first document would refuse the second. */
export function asText(value: unknown): string | undefined {
  return value === undefined ? undefined : JSON.stringify(value);
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}
