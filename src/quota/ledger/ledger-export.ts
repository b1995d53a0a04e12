import type { Unit } from '../../decision/charge-terms.ts';
import { HOLDS } from '../bucket-terms.ts';
import { parseReservationId } from '../reservation-id.ts';
import { type BilledEvent, type MergeOptions, mergeEvents } from './ledger-merge.ts';

/** What rows are made by. The day is that of the request, in UTC. */
export const EXPORT_DIMENSIONS = ['tenant', 'model', 'day'] as const;
export type ExportDimension = (typeof EXPORT_DIMENSIONS)[number];

export interface ExportOptions extends MergeOptions {
  /** First and last day, `2027-01-31`, both included. */
  readonly from?: string;
  readonly to?: string;
  readonly format: 'csv' | 'json';
  readonly by: readonly ExportDimension[];
}

/**
 * Usage and charges by tenant, model and day, every reservation once, as pieces of text: CSV (RFC 4180), or JSON of one
 * row a line. Amounts are exact, beyond 2^53 too. Limits count the same use several times, so charges are summed by
 * name, never by unit. Memory grows with the rows, not with the ledger.
 */
export async function* exportUsage(options: ExportOptions): AsyncGenerator<string> {
  const { from = '', to = '9999-12-31', format, by } = options;
  const rows = new Map<string, Row>();
  const charges = new Map<string, Unit>();
  for await (const event of mergeEvents(options)) {
    const day = dayOf(event);
    if (day < from || day > to) continue;
    const values = by.map((dimension) => (dimension === 'day' ? day : event[dimension]));
    const key = JSON.stringify(values);
    let row = rows.get(key);
    if (row === undefined) {
      row = { values, settled: 0, expired: 0, input: 0n, cached: 0n, output: 0n, costs: new Map() };
      rows.set(key, row);
    }
    add(row, event);
    for (const { name, unit } of event.charges) if (name !== HOLDS) charges.set(chargeKey(name, unit), unit);
  }
  const sorted = [...rows.values()].sort((a, b) => compare(a.values, b.values));
  const names = [...charges.keys()].sort();
  yield* format === 'csv' ? toCsv(sorted, names, by) : toJson(sorted, by);
}

interface Row {
  readonly values: readonly string[];
  settled: number;
  expired: number;
  input: bigint;
  cached: bigint;
  output: bigint;
  readonly costs: Map<string, bigint>;
}

function dayOf({ id }: BilledEvent): string {
  return new Date(parseReservationId(id)?.epochMs ?? 0).toISOString().slice(0, 10);
}

/** A limit may be given another unit by another bundle. */
function chargeKey(name: string, unit: Unit): string {
  return `${name} (${unit})`;
}

function add(row: Row, event: BilledEvent): void {
  row[event.event] += 1;
  if (event.event === 'settled') {
    row.input += BigInt(event.usage.input);
    row.cached += BigInt(event.usage.cached);
    row.output += BigInt(event.usage.output);
  }
  for (const { name, unit, cost } of event.charges) {
    if (name === HOLDS) continue;
    const key = chargeKey(name, unit);
    row.costs.set(key, (row.costs.get(key) ?? 0n) + BigInt(cost));
  }
}

function compare(a: readonly string[], b: readonly string[]): number {
  for (const [at, left] of a.entries()) {
    const right = b[at] ?? '';
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

function* toCsv(rows: readonly Row[], names: readonly string[], by: readonly ExportDimension[]): Generator<string> {
  const head = [...by, 'settled', 'expired', 'input_tokens', 'cached_tokens', 'output_tokens', ...names];
  yield `${head.map(cell).join(',')}\r\n`;
  for (const { values, settled, expired, input, cached, output, costs } of rows) {
    const amounts = [settled, expired, input, cached, output, ...names.map((name) => costs.get(name) ?? 0n)];
    yield `${[...values.map(cell), ...amounts].join(',')}\r\n`;
  }
}

/** A text that a spreadsheet would take for a formula gets an apostrophe in front (OWASP, "CSV Injection"). */
function cell(text: string): string {
  const plain = /^[=+\-@\t\r\n]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

function* toJson(rows: readonly Row[], by: readonly ExportDimension[]): Generator<string> {
  yield '[';
  let separator = '\n  ';
  for (const { values, settled, expired, input, cached, output, costs } of rows) {
    const fields = [
      ...by.map((dimension, at) => [dimension, JSON.stringify(values[at])] as const),
      ...Object.entries({ settled, expired, input_tokens: input, cached_tokens: cached, output_tokens: output }),
    ];
    const amounts = [...costs].sort(([a], [b]) => (a < b ? -1 : 1));
    yield `${separator}{${members([...fields, ['charges', `{${members(amounts)}}`]])}}`;
    separator = ',\n  ';
  }
  yield '\n]\n';
}

/** Values are JSON already, or integers, whose every digit is kept. */
function members(fields: Iterable<readonly [string, string | number | bigint | undefined]>): string {
  return [...fields].map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',');
}
