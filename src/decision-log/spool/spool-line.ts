import { crc32 } from 'node:zlib';

/** An event as it stands in a segment: the CRC-32 of its JSON in eight hex digits, a space, the JSON, a newline. */
export function toSpoolLine(line: string): string {
  return `${hex(crc32(line.slice(0, -1)))} ${line}`;
}

/** What {@link readSpoolLines} found in a piece of a segment. */
export interface SpoolLines {
  /** With newline, as a sink gets them. */
  readonly lines: readonly string[];
  /** For each line, where what follows it begins. */
  readonly ends: readonly number[];
  /** Pieces that no line can be read from, as [from, to). */
  readonly bad: readonly (readonly [from: number, to: number])[];
  /** Bytes that were understood or given up; what follows is a line whose end is not there yet. */
  readonly consumed: number;
}

/** Reads whole lines; what a checksum does not vouch for is bad, and looked through for lines that lost their newline. */
export function readSpoolLines(bytes: Buffer): SpoolLines {
  const lines: string[] = [];
  const ends: number[] = [];
  const bad: (readonly [number, number])[] = [];
  let start = 0;
  for (;;) {
    const newline = bytes.indexOf(NEWLINE, start);
    if (newline === -1) break;
    const json = jsonOf(bytes, start, newline);
    if (json !== undefined) {
      lines.push(`${json}\n`);
      ends.push(newline + 1);
    } else if (newline > start) salvage(bytes, start, newline, { lines, ends, bad });
    start = newline + 1;
  }
  return { lines, ends, bad, consumed: start };
}

/** Whether these bytes are a line that lacks nothing but its newline. */
export function isWholeSpoolLine(bytes: Buffer): boolean {
  return jsonOf(bytes, 0, bytes.length) !== undefined;
}

interface Found {
  readonly lines: string[];
  readonly ends: number[];
  readonly bad: (readonly [number, number])[];
}

/** Where a newline was damaged two lines stand in one; a line's beginning cannot stand within a line's JSON. */
function salvage(bytes: Buffer, start: number, end: number, { lines, ends, bad }: Found): void {
  let from = start;
  while (from < end) {
    const brace = bytes.subarray(0, end).indexOf(' {"', from + HEAD_BYTES + 1);
    const next = brace === -1 ? end : Math.max(from + 1, brace - CRC_BYTES);
    // Before the next line stands what should be this one's newline.
    const json = jsonOf(bytes, from, next) ?? (next < end ? jsonOf(bytes, from, next - 1) : undefined);
    if (json === undefined) bad.push([from, next]);
    else {
      lines.push(`${json}\n`);
      ends.push(next === end ? end + 1 : next);
    }
    from = next;
  }
}

function jsonOf(bytes: Buffer, start: number, end: number): string | undefined {
  if (end - start <= HEAD_BYTES || bytes[start + CRC_BYTES] !== SPACE) return undefined;
  const json = bytes.subarray(start + HEAD_BYTES, end);
  return bytes.toString('latin1', start, start + CRC_BYTES) === hex(crc32(json)) ? json.toString('utf8') : undefined;
}

const NEWLINE = 0x0a;
const SPACE = 0x20;
const CRC_BYTES = 8;
const HEAD_BYTES = CRC_BYTES + 1;

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}
