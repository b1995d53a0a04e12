import { createHash, type Hash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import type { LedgerFile, LedgerFiles } from './ledger-files.ts';
import { NO_CRC } from './ledger-line.ts';
import { listSegments, readSegment, type Segment, type SegmentLine } from './ledger-segment.ts';

/** What a ledger tells of what it meets. */
export type LedgerReport =
  /** An unfinished last line, of which nothing was acknowledged, was cut off. */
  | { readonly kind: 'torn'; readonly segment: string; readonly bytes: number }
  /** Lines that cannot be believed were copied to `SEGMENT.quarantine`; those around them are read. */
  | { readonly kind: 'corrupt'; readonly segment: string; readonly lines: readonly number[] }
  | { readonly kind: 'failed'; readonly cause: unknown };

/** The segment that is written to, as it stands. */
export interface OpenSegment {
  readonly number: number;
  readonly file: LedgerFile;
  /** Bytes that are durable; what stands behind them is cut off before the next write. */
  length: number;
  /** Whether there may be something behind them. */
  dirty: boolean;
  /** Over those bytes. */
  readonly hash: Hash;
  /** Checksum of the last line. */
  crc: string;
  /** Of the next line. */
  seq: number;
}

/**
 * Opens the last segment for more: an unfinished last line is cut off, one that lacks nothing but its newline is kept.
 * `undefined` where there is none.
 */
export async function openLastSegment(
  folder: string,
  files: LedgerFiles,
  report: (report: LedgerReport) => void,
): Promise<OpenSegment | undefined> {
  const last = (await listSegments(folder)).at(-1);
  if (last === undefined) return undefined;
  const { bytes, lines } = await readSegment(last);
  await quarantine(last, bytes, lines, report);
  const tail = lines.at(-1);
  const whole = tail === undefined || tail.ended ? bytes : await mended(last, bytes, tail, report);
  const file = await files.open(last.path);
  try {
    if (whole !== bytes) {
      await file.truncate(tail?.start ?? 0);
      await file.write(whole.subarray(tail?.start ?? 0), tail?.start ?? 0);
      await file.fdatasync();
    }
  } catch (error) {
    await file.close();
    throw error;
  }
  const checked = lines.flatMap((line) => line.checked ?? []);
  return {
    number: last.number,
    file,
    length: whole.length,
    dirty: false,
    hash: createHash('sha256').update(whole),
    crc: checked.at(-1)?.crc ?? NO_CRC,
    seq: checked.reduce((most, { record }) => Math.max(most, record.seq + 1), 0) + corrupt(lines).length,
  };
}

async function mended(
  { path }: Segment,
  bytes: Buffer,
  tail: SegmentLine,
  report: (report: LedgerReport) => void,
): Promise<Buffer> {
  if (tail.checked !== undefined) return Buffer.concat([bytes.subarray(0, tail.end), Buffer.from('\n')]);
  report({ kind: 'torn', segment: path, bytes: tail.end - tail.start });
  return bytes.subarray(0, tail.start);
}

/** Copies the lines of a segment that cannot be believed beside it, and reports them. */
export async function quarantine(
  { path }: Segment,
  bytes: Buffer,
  lines: readonly SegmentLine[],
  report: (report: LedgerReport) => void,
): Promise<void> {
  const bad = corrupt(lines);
  if (bad.length === 0) return;
  const copies = bad.flatMap(({ start, end }) => [bytes.subarray(start, end), Buffer.from('\n')]);
  await writeFile(`${path}.quarantine`, Buffer.concat(copies), { mode: 0o600 });
  report({ kind: 'corrupt', segment: path, lines: bad.map(({ line }) => line) });
}

function corrupt(lines: readonly SegmentLine[]): readonly SegmentLine[] {
  return lines.filter(({ checked, ended }) => checked === undefined && ended);
}
