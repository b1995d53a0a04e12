import { UNITS, type Unit } from '../../decision/charge-terms.ts';
import { isObject } from '../../decision/json.ts';
import { parseReservationId } from '../reservation-id.ts';
import type { Usage, UsageShape } from '../settlement/usage.ts';

/** What became of one charge of a reservation, in its unit. */
export interface LedgerCharge {
  readonly name: string;
  readonly unit: Unit;
  readonly held: number;
  readonly cost: number;
}

interface Entry {
  /** The reservation. */
  readonly id: string;
  /** When it was written, in milliseconds since the epoch. */
  readonly atMs: number;
}

/** Usage was reported; `charges` are those of the taken plan that held something, in order. */
export interface SettledEvent extends Entry {
  readonly event: 'settled';
  readonly tenant: string;
  readonly model: string;
  readonly usage: Usage;
  readonly charges: readonly LedgerCharge[];
}

/** Nothing was reported while it could be: what was held is what was charged. Its time is when that was certain. */
export interface ExpiredEvent extends Entry {
  readonly event: 'expired';
  readonly tenant: string;
  readonly model: string;
  readonly charges: readonly LedgerCharge[];
}

/**
 * A report that changed nothing. `settled_elsewhere` says more: the settled event before it in this ledger does not
 * count, since the store had taken another replica's.
 */
export interface RejectedEvent extends Entry {
  readonly event: 'rejected';
  readonly reason: RejectedReason;
  readonly usage?: Usage;
}

export type RejectedReason = 'unknown' | 'late' | 'bad_usage' | 'conflict' | 'released' | 'settled_elsewhere';

export type LedgerEvent = SettledEvent | ExpiredEvent | RejectedEvent;

/** The first line of each segment. */
export interface SegmentHeader {
  readonly event: 'segment';
  readonly number: number;
  readonly atMs: number;
  /** SHA-256 of the segment before it; `null` in the first. */
  readonly previous: string | null;
  /** How long after the end of its hold a reservation may be settled, as configured then. */
  readonly horizonSeconds: number;
}

/** What a line says; `seq` counts the lines of a ledger. */
export type LedgerRecord = (LedgerEvent | SegmentHeader) & { readonly seq: number };

const VERSION = 1;

/** One JSON object, without newline. */
export function toRecordJson({ seq, ...record }: LedgerRecord): string {
  if (record.event === 'segment') {
    const { event, number, atMs, previous, horizonSeconds } = record;
    return JSON.stringify({
      v: VERSION,
      seq,
      event,
      number,
      at: toTime(atMs),
      previous,
      horizon_seconds: horizonSeconds,
    });
  }
  const { event, id, atMs, ...rest } = record;
  return JSON.stringify({ v: VERSION, seq, event, id, at: toTime(atMs), ...rest });
}

function toTime(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

/** `undefined` for what is no record of this version. */
export function parseRecord(value: unknown): LedgerRecord | undefined {
  if (!isObject(value) || value['v'] !== VERSION) return undefined;
  const { seq, event, id, at } = value;
  const atMs = typeof at === 'string' ? Date.parse(at) : Number.NaN;
  if (!isCount(seq) || Number.isNaN(atMs)) return undefined;
  if (event === 'segment') {
    const { number, previous, horizon_seconds: horizonSeconds } = value;
    if (!isCount(number) || !isCount(horizonSeconds) || !(previous === null || typeof previous === 'string')) {
      return undefined;
    }
    return { seq, event, number, atMs, previous, horizonSeconds };
  }
  if (typeof id !== 'string' || parseReservationId(id) === undefined) return undefined;
  if (event === 'rejected') {
    const reason = REASONS.find((one) => one === value['reason']);
    const usage = value['usage'] === undefined ? undefined : parseNotedUsage(value['usage']);
    if (reason === undefined || usage === null) return undefined;
    return { seq, event, id, atMs, reason, ...(usage === undefined ? {} : { usage }) };
  }
  const { tenant, model, charges: list } = value;
  const charges = Array.isArray(list) ? list.map(parseCharge) : [undefined];
  if (typeof tenant !== 'string' || typeof model !== 'string' || !charges.every((one) => one !== undefined)) {
    return undefined;
  }
  if (event === 'expired') return { seq, event, id, atMs, tenant, model, charges };
  const usage = parseNotedUsage(value['usage']);
  if (event !== 'settled' || usage === null) return undefined;
  return { seq, event, id, atMs, tenant, model, usage, charges };
}

const REASONS: readonly RejectedReason[] = [
  'unknown',
  'late',
  'bad_usage',
  'conflict',
  'released',
  'settled_elsewhere',
];
const SHAPES: readonly UsageShape[] = ['openai_chat', 'openai_responses', 'anthropic', 'gemini'];

function parseNotedUsage(value: unknown): Usage | null {
  if (!isObject(value)) return null;
  const { input, cached, output } = value;
  const shape = SHAPES.find((one) => one === value['shape']);
  if (shape === undefined || !isCount(input) || !isCount(cached) || !isCount(output)) return null;
  return { shape, input, cached, output };
}

function parseCharge(value: unknown): LedgerCharge | undefined {
  if (!isObject(value)) return undefined;
  const { name, held, cost } = value;
  const unit = UNITS.find((one) => one === value['unit']);
  if (typeof name !== 'string' || unit === undefined || !isCount(held) || !isCount(cost)) return undefined;
  return { name, unit, held, cost };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
