import { entries, type Field, fields, items, natural, text, texts, word } from './case-fields.ts';

/** What a case demands of the answer; what it does not name may be anything. */
export interface Expectation {
  readonly decision: 'allow' | 'deny';
  readonly status?: number;
  /** What the client is told. */
  readonly reason?: string;
  readonly code?: string;
  /** All of the policy's reasons, in any order. */
  readonly reasons?: readonly string[];
  /** Request headers that an Allow sets, Sallyport's own among them; `null`: it does not set this one. */
  readonly headers?: ReadonlyMap<string, string | null>;
  /** Request headers that an Allow removes. */
  readonly removed?: readonly string[];
  /** Headers of the answer to the client; `null`: it does not have this one. */
  readonly responseHeaders?: ReadonlyMap<string, string | null>;
  /** The cluster that an Allow goes to; `null`: it names none. */
  readonly upstream?: string | null;
  /** The number of the plan that was taken; `null`: none was. */
  readonly plan?: number | null;
  /** Exactly these limits are charged by that plan, or by the first where none was taken, with at least these terms. */
  readonly charges?: ReadonlyMap<string, unknown>;
  /** What the decision event holds, member by member. */
  readonly event?: unknown;
}

export function readExpectation(field: Field): Expectation {
  const given = fields(field, [
    'decision',
    'status',
    'reason',
    'code',
    'reasons',
    'headers',
    'removed',
    'response_headers',
    'upstream',
    'plan',
    'charges',
    'event',
  ]);
  if (given.decision === undefined) field.report([...field.path, 'decision'], 'is missing: `allow` or `deny`');
  return {
    decision: given.decision === undefined ? 'deny' : word(given.decision, ['allow', 'deny']),
    ...(given.status === undefined ? {} : { status: natural(given.status) }),
    ...(given.reason === undefined ? {} : { reason: text(given.reason) }),
    ...(given.code === undefined ? {} : { code: text(given.code) }),
    ...(given.reasons === undefined ? {} : { reasons: texts(given.reasons) }),
    ...(given.headers === undefined ? {} : { headers: readHeaders(given.headers) }),
    ...(given.removed === undefined ? {} : { removed: texts(given.removed).map((name) => name.toLowerCase()) }),
    ...(given.response_headers === undefined ? {} : { responseHeaders: readHeaders(given.response_headers) }),
    ...(given.upstream === undefined ? {} : { upstream: orNull(given.upstream, text) }),
    ...(given.plan === undefined ? {} : { plan: orNull(given.plan, natural) }),
    ...(given.charges === undefined ? {} : { charges: readCharges(given.charges) }),
    ...(given.event === undefined ? {} : { event: readEvent(given.event) }),
  };
}

function orNull<T>(field: Field, read: (field: Field) => T): T | null {
  return field.value === null ? null : read(field);
}

function readHeaders(field: Field): ReadonlyMap<string, string | null> {
  return new Map(entries(field).map(([name, value]) => [name.toLowerCase(), orNull(value, text)]));
}

function readCharges(field: Field): ReadonlyMap<string, unknown> {
  if (Array.isArray(field.value)) return new Map(items(field).map((name) => [text(name), {}]));
  return new Map(
    entries(field).map(([name, terms]) => {
      if (typeof terms.value !== 'object') terms.report(terms.path, 'is not an object of terms, such as `{cost: 1}`');
      return [name, terms.value ?? {}];
    }),
  );
}

function readEvent(field: Field): unknown {
  entries(field);
  return field.value;
}
