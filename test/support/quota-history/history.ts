import type { BucketCharge, BucketState, BucketTerms } from '../../../src/quota/bucket.ts';
import type { Renewed, Settled, StoreTaken } from '../../../src/quota/bucket-store.ts';

/** What a client asked a bucket store, and what it was told. An answer is absent where the client got none. */
export type Step =
  | {
      readonly kind: 'take';
      readonly id: string;
      readonly plans: readonly (readonly BucketCharge[])[];
      readonly answer?: StoreTaken;
    }
  | { readonly kind: 'settle'; readonly id: string; readonly used: readonly number[]; readonly answer?: Settled }
  | { readonly kind: 'renew'; readonly id: string; readonly ttlMs: number; readonly answer?: Renewed }
  | {
      readonly kind: 'release';
      readonly id: string;
      readonly charges: readonly BucketCharge[];
      readonly answer?: 'done';
    }
  | { readonly kind: 'charge'; readonly charges: readonly BucketCharge[]; readonly answer?: 'done' }
  | { readonly kind: 'peek'; readonly buckets: readonly BucketTerms[]; readonly answer?: readonly BucketState[] };

export interface RecordedOperation {
  readonly client: number;
  /** On a clock that all clients share. */
  readonly startUs: number;
  /** `null`: it may be carried out at any time, or never. */
  readonly endUs: number | null;
  /** The first and the last moment at which the store can have carried it out, by its clock of rates and holds. */
  readonly steadyMs: Span;
  /** The same by its calendar. */
  readonly epochMs: Span;
  readonly step: Step;
}

export type Span = readonly [first: number, last: number];

/** One operation a line; of buckets the identity only. */
export function toHistoryLine(operation: RecordedOperation): string {
  return JSON.stringify(operation, (key, value: unknown) => {
    if (key === 'terms') return idOf(value);
    return key === 'buckets' && Array.isArray(value) ? value.map(idOf) : value;
  });
}

function idOf(terms: unknown): unknown {
  return typeof terms === 'object' && terms !== null && 'id' in terms ? terms.id : terms;
}

/** Reads what {@link toHistoryLine} wrote. */
export function parseHistory(text: string, terms: ReadonlyMap<string, BucketTerms>): RecordedOperation[] {
  const termsOf = (id: unknown): BucketTerms => {
    const found = terms.get(String(id));
    if (found === undefined) throw new Error(`the history names the unknown bucket \`${String(id)}\``);
    return found;
  };
  const operations: RecordedOperation[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    // Each line is an operation that a worker of the tests wrote.
    const operation = JSON.parse(line, (key, value: unknown) => {
      if (key === 'terms') return termsOf(value);
      return key === 'buckets' && Array.isArray(value) ? value.map(termsOf) : value;
    }) as RecordedOperation;
    operations.push(operation);
  }
  return operations;
}
