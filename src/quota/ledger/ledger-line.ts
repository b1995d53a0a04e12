import { crc32 } from 'node:zlib';
import { toSafeLine } from '../../telemetry/json-line.ts';
import { type LedgerRecord, parseRecord, toRecordJson } from './ledger-event.ts';

/** The checksum that the first line of a segment names as that of the line before it. */
export const NO_CRC = '00000000';

/**
 * One line of a segment: `{"crc":"…","prev":"…",…}` and a newline. The CRC-32 is over all that follows it, `prev` (that
 * of the line before) included: no line can be changed, dropped or moved without the next one showing it.
 */
export function toLedgerLine(record: LedgerRecord, prev: string): { readonly text: string; readonly crc: string } {
  const rest = `"prev":"${prev}",${toSafeLine(toRecordJson(record)).slice(1)}`;
  const crc = hex(crc32(rest));
  return { text: `${START}${crc}",${rest}\n`, crc };
}

export interface CheckedLine {
  readonly record: LedgerRecord;
  readonly crc: string;
  readonly prev: string;
}

/** Reads a line without its newline; `undefined` when its checksum or its form is wrong. */
export function parseLedgerLine(bytes: Buffer): CheckedLine | undefined {
  const head = bytes.toString('latin1', 0, HEAD_BYTES + PREV_BYTES);
  const [, crc, prev] = HEAD.exec(head) ?? [];
  if (crc === undefined || prev === undefined || hex(crc32(bytes.subarray(HEAD_BYTES))) !== crc) return undefined;
  try {
    const record = parseRecord(JSON.parse(bytes.toString('utf8')));
    return record === undefined ? undefined : { record, crc, prev };
  } catch {
    return undefined;
  }
}

/** How every line begins; it cannot stand inside one, where quotation marks are escaped. */
export const START = '{"crc":"';
const HEAD_BYTES = START.length + 10;
const PREV_BYTES = '"prev":"00000000"'.length;
const HEAD = /^\{"crc":"([0-9a-f]{8})","prev":"([0-9a-f]{8})"$/;

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}
