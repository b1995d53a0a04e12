import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CheckedLine, parseLedgerLine, START } from './ledger-line.ts';

/** A file of a ledger. */
export interface Segment {
  readonly number: number;
  readonly path: string;
}

/** A piece of a segment. */
export interface SegmentLine {
  /** Counted from 1. */
  readonly line: number;
  /** Where it begins, and where what belongs to it ends, its newline excluded. */
  readonly start: number;
  readonly end: number;
  /** `undefined`: it cannot be believed. */
  readonly checked: CheckedLine | undefined;
  /** Whether a newline follows: without one it is the last, and was never acknowledged as it stands. */
  readonly ended: boolean;
}

export function segmentPath(folder: string, number: number): string {
  return join(folder, `${String(number).padStart(8, '0')}.jsonl`);
}

/** The segments of a ledger, oldest first; none where there is no such folder. */
export async function listSegments(folder: string): Promise<readonly Segment[]> {
  let names: readonly string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
  const numbers = names.flatMap((name) => /^(\d{8})\.jsonl$/.exec(name)?.[1] ?? []).map(Number);
  return numbers.sort((a, b) => a - b).map((number) => ({ number, path: segmentPath(folder, number) }));
}

export async function readSegment({ path }: Segment): Promise<{
  readonly bytes: Buffer;
  readonly lines: readonly SegmentLine[];
}> {
  const bytes = await readFile(path);
  return { bytes, lines: [...splitLines(bytes)] };
}

/**
 * Every line of a segment. One that cannot be believed is looked through for lines that can: where a newline was
 * damaged, two stand in one.
 */
function* splitLines(bytes: Buffer): Generator<SegmentLine> {
  let line = 0;
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline === -1 ? bytes.length : newline;
    line += 1;
    const checked = parseLedgerLine(bytes.subarray(start, end));
    if (checked !== undefined) yield { line, start, end, checked, ended: newline !== -1 };
    else yield* splitDamaged(bytes, { line, start, end, ended: newline !== -1 });
    start = end + 1;
  }
}

const NEWLINE = 0x0a;

function* splitDamaged(bytes: Buffer, whole: Omit<SegmentLine, 'checked'>): Generator<SegmentLine> {
  for (let start = whole.start; start < whole.end; ) {
    const next = bytes.subarray(0, whole.end).indexOf(START, start + 1);
    const isLast = next === -1;
    const end = isLast ? whole.end : next;
    // What should be its newline may be another byte.
    const withoutLast = start + 1 < end ? parseLedgerLine(bytes.subarray(start, end - 1)) : undefined;
    const checked = parseLedgerLine(bytes.subarray(start, end)) ?? withoutLast;
    const endsEarly = checked !== undefined && checked === withoutLast;
    yield { line: whole.line, start, end: endsEarly ? end - 1 : end, checked, ended: !isLast || whole.ended };
    start = end;
  }
}
