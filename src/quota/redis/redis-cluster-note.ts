import type { Reservation } from '../bucket-store.ts';

/** Where a reservation is that is in several parts: kept with its note in the part of its id. */
export interface Layout {
  /** Which of the plans it is of. */
  readonly plan: number;
  /** The part of each charge that holds, in order. */
  readonly holding: readonly number[];
  /** All parts but that of its id. */
  readonly others: readonly number[];
}

const MARK = '\u0001';

export function withLayout(note: string, { plan, holding, others }: Layout): string {
  return `${MARK}${JSON.stringify([plan, holding, others])}\n${note}`;
}

/** A note of one part alone, which is as it was but where it could be taken for another. */
export function withoutLayout(note: string): string {
  return note.startsWith(MARK) ? `${MARK}\n${note}` : note;
}

/** Throws for a note that nobody made. */
export function splitNote(text: string): { readonly note: string; readonly layout?: Layout } {
  if (!text.startsWith(MARK)) return { note: text };
  const end = text.indexOf('\n');
  const note = text.slice(end + 1);
  if (end === 1) return { note };
  const [plan, holding, others] = listOf(JSON.parse(text.slice(1, end)));
  return {
    note,
    layout: { plan: Number(plan), holding: listOf(holding).map(Number), others: listOf(others).map(Number) },
  };
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError('the note of a reservation cannot be read');
  return value;
}

/** The numbers of the charges that hold, by part: what one part holds is in the order of the plan. */
export function byPart({ holding }: Layout, used: readonly number[]): ReadonlyMap<number, number[]> {
  const parts = new Map<number, number[]>();
  for (const [at, part] of holding.entries()) {
    const own = parts.get(part) ?? [];
    own.push(used[at] ?? 0);
    parts.set(part, own);
  }
  return parts;
}

/** One reservation, of what each part has of it; what a part no longer knows was taken for nothing. */
export function merged(
  layout: Layout,
  note: string,
  home: number,
  known: ReadonlyMap<number, Reservation | undefined>,
): Reservation | undefined {
  const own = known.get(home);
  if (own === undefined) return undefined;
  const next = new Map<number, number>();
  const amounts = layout.holding.map((part) => {
    const at = next.get(part) ?? 0;
    next.set(part, at + 1);
    return known.get(part)?.amounts[at] ?? 0;
  });
  let expiresMs = 0;
  for (const found of known.values()) if (found !== undefined) expiresMs = Math.max(expiresMs, found.expiresMs);
  const { state, used } = own;
  const merged = { state, plan: layout.plan, note, amounts, expiresMs };
  return used === undefined ? merged : { ...merged, used: used.slice(own.amounts.length) };
}
