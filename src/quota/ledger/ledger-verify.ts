import { createHash } from 'node:crypto';
import { NO_CRC } from './ledger-line.ts';
import { listSegments, readSegment, type SegmentLine } from './ledger-segment.ts';

/** Something of a ledger that is not as it was written. */
export interface LedgerDefect {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

export interface LedgerVerdict {
  readonly segments: number;
  readonly lines: number;
  readonly defects: readonly LedgerDefect[];
  /** An unfinished last line, which was never acknowledged: the next start cuts it off. */
  readonly torn: boolean;
}

/** Looks at every checksum and at every link of the chain of a ledger: `<data_dir>/ledger`. */
export async function verifyLedger(folder: string): Promise<LedgerVerdict> {
  const segments = await listSegments(folder);
  const defects: LedgerDefect[] = [];
  let count = 0;
  let torn = false;
  let before: { readonly number: number; readonly digest: string } | undefined;
  for (const [at, segment] of segments.entries()) {
    const { bytes, lines } = await readSegment(segment);
    const fault = (line: number, message: string): void => void defects.push({ file: segment.path, line, message });
    if (before !== undefined && segment.number !== before.number + 1) {
      fault(1, `segment ${before.number + 1} is missing before it`);
    }
    const isLast = at === segments.length - 1;
    checkHeader(lines[0], segment.number, before, fault);
    checkLines(bytes, lines, isLast, fault);
    torn ||= isLast && lines.at(-1)?.ended === false;
    count += lines.length;
    before = { number: segment.number, digest: createHash('sha256').update(bytes).digest('hex') };
  }
  return { segments: segments.length, lines: count, defects, torn };
}

type Fault = (line: number, message: string) => void;

function checkHeader(
  first: SegmentLine | undefined,
  number: number,
  before: { readonly number: number; readonly digest: string } | undefined,
  fault: Fault,
): void {
  const record = first?.checked?.record;
  // A first line that cannot be believed is told of as such.
  if (record === undefined) return;
  if (record.event !== 'segment' || record.number !== number) fault(1, 'does not say which segment this is');
  else if (number === 1 && record.previous !== null) fault(1, 'the first segment names one before it');
  else if (before?.number === number - 1 && record.previous !== before.digest) {
    fault(1, `segment ${before.number} is not as it was when this one was begun`);
  }
}

function checkLines(bytes: Buffer, lines: readonly SegmentLine[], isLast: boolean, fault: Fault): void {
  let crc: string | undefined = NO_CRC;
  let seq: number | undefined;
  for (const { line, end, checked, ended } of lines) {
    if (checked === undefined) {
      if (ended || !isLast) fault(line, 'the checksum is wrong: the line was damaged or changed');
      crc = undefined;
      seq = undefined;
      continue;
    }
    const { prev, record } = checked;
    if (crc !== undefined && prev !== crc) fault(line, 'does not follow the line before it: one was lost or moved');
    else if (seq !== undefined && record.seq !== seq) fault(line, `is numbered ${record.seq}, not ${seq}`);
    if (bytes[end] !== NEWLINE && (ended || !isLast)) fault(line, 'the end of the line was damaged');
    crc = checked.crc;
    seq = record.seq + 1;
  }
}

const NEWLINE = 0x0a;
