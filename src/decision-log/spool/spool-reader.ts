import type { SpoolFiles } from './spool-files.ts';
import type { ReadableSegment, SpoolLane } from './spool-lane.ts';
import { readSpoolLines } from './spool-line.ts';

/** A place in a lane: all before it is done with. */
export interface Place {
  readonly segment: number;
  readonly offset: number;
}

export interface LaneBatch {
  /** Empty when there is nothing yet. */
  readonly lines: readonly string[];
  /** Where the next batch begins. */
  readonly end: Place;
}

export interface LaneReaderOptions {
  readonly lane: SpoolLane;
  readonly files: SpoolFiles;
  readonly onCorrupt: Corrupt;
}

/** Hears of what no line can be read from; again when it is read again. */
export type Corrupt = (segment: ReadableSegment, offset: number, bytes: Buffer) => Promise<void>;

/** Reads the lines that follow a place. What cannot be read is passed over. */
export async function readBatch(
  { lane, files, onCorrupt }: LaneReaderOptions,
  from: Place,
  max: { readonly events: number; readonly bytes: number },
): Promise<LaneBatch> {
  let place = from;
  for (;;) {
    const segment = lane.segmentFrom(place.segment);
    if (segment === undefined) return { lines: [], end: place };
    if (segment.number > place.segment) place = { segment: segment.number, offset: 0 };
    if (place.offset >= segment.bytes) {
      if (!segment.closed) return { lines: [], end: place };
      place = { segment: segment.number + 1, offset: 0 };
      continue;
    }
    const length = Math.min(segment.bytes - place.offset, Math.max(MIN_READ, Math.min(max.bytes, MAX_READ)));
    const bytes = await files.read(segment.path, place.offset, length).catch(emptyIfGone);
    if (bytes.length === 0) {
      // Somebody else deleted or cut it.
      await onCorrupt(segment, place.offset, bytes);
      place = { segment: segment.number + 1, offset: 0 };
      continue;
    }
    const { lines, ends, bad, consumed } = readSpoolLines(bytes);
    for (const [start, end] of bad) {
      await onCorrupt(segment, place.offset + start, bytes.subarray(start, end));
    }
    if (lines.length > 0) {
      const count = fitting(lines, max);
      const end = count === lines.length ? consumed : (ends[count - 1] ?? consumed);
      return { lines: lines.slice(0, count), end: { segment: segment.number, offset: place.offset + end } };
    }
    // No newline in far more than a line has, or at the end of a file: nothing here is a line.
    const skipped = consumed > 0 ? consumed : bytes.length;
    if (consumed === 0) await onCorrupt(segment, place.offset, bytes);
    place = { segment: segment.number, offset: place.offset + skipped };
  }
}

const MAX_READ = 1024 * 1024;
const MIN_READ = 64 * 1024;

function emptyIfGone(error: unknown): Buffer {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return Buffer.alloc(0);
  throw error;
}

function fitting(lines: readonly string[], max: { readonly events: number; readonly bytes: number }): number {
  let bytes = 0;
  let count = 0;
  for (const line of lines) {
    bytes += Buffer.byteLength(line);
    if (count === max.events || (count > 0 && bytes > max.bytes)) break;
    count += 1;
  }
  return count;
}
