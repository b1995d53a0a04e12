import type { Instant } from '../../decision/ports.ts';
import type { Reservation } from '../bucket-store.ts';
import type { LedgerCharge, SettledEvent } from '../ledger/ledger-event.ts';
import { parseNote } from '../note.ts';
import type { SettleRefused } from './settlement-answer.ts';
import type { Usage, UsageFault } from './usage.ts';
import { costOf } from './usage-cost.ts';

/** What a usage makes of a reservation. Throws where the store's note of it cannot be read. */
export function toSettledEvent(
  id: string,
  { note, plan, amounts }: Reservation,
  usage: Usage,
  { epochMs: atMs }: Instant,
): SettledEvent | UsageFault {
  const { tenant, model, charges: noted } = parseNote(note, plan);
  if (noted.length !== amounts.length) throw new TypeError('the note of a reservation is of other charges');
  const charges: LedgerCharge[] = [];
  for (const [at, charge] of noted.entries()) {
    const held = amounts[at] ?? 0;
    const cost = costOf(charge, usage, held);
    if (typeof cost !== 'number') return cost;
    charges.push({ name: charge.name, unit: charge.unit, held, cost });
  }
  return { event: 'settled', id, atMs, tenant, model, usage, charges };
}

/** As the store takes them. */
export function costsOf({ charges }: SettledEvent): readonly number[] {
  return charges.map(({ cost }) => cost);
}

export function badUsage({ fault, field }: UsageFault): SettleRefused {
  const path = field === undefined ? 'usage' : `usage.${field}`;
  return {
    status: 422,
    reason: 'bad_usage',
    detail: field === undefined ? fault : `\`${path}\` ${fault}`,
    field: path,
  };
}
