import { join } from 'node:path';
import type { StartTimer } from '../../decision/ports.ts';
import { decisionsIn } from '../aggregates.ts';
import { chunkLines, MAX_LINE_LENGTH, MAX_WAITING_LENGTH } from '../sink-writer.ts';
import { createQuarantine } from './quarantine.ts';
import type { SpoolFile, SpoolFiles } from './spool-files.ts';
import { isWholeSpoolLine, toSpoolLine } from './spool-line.ts';

/** The segments of one lane, and the lines that wait to be written to the last of them. */
export interface SpoolLane {
  /** Lists what a former process left, and cuts off what it did not finish. */
  open(): Promise<void>;
  /** `false` when the line found no room in memory and is not in it. */
  push(line: string): boolean;
  readonly waiting: number;
  hasRoom(): boolean;
  /** Bytes on the disk, with what is quarantined. */
  readonly bytes: number;
  /** Of the newest segment; 0 where there is none. */
  readonly lastNumber: number;
  /** Why lines wait, where they wait for longer than a write takes. */
  readonly stuck: 'full' | 'failing' | undefined;
  /** The first segment with this number or a higher one, as far as it may be read. */
  segmentFrom(number: number): ReadableSegment | undefined;
  /** Deletes the segments below this number, never the one that is written to. */
  deleteBelow(number: number): Promise<void>;
  /** Copies what no line can be read from; `false` when that was done before. */
  quarantine(segment: number, offset: number, piece: Buffer): Promise<boolean>;
  /** Resolves once nothing waits or what waits cannot be written. */
  idle(): Promise<void>;
  /** Gives up what waits in memory; answers how many decisions that were. */
  abandon(): number;
  close(): Promise<void>;
}

export interface ReadableSegment {
  readonly number: number;
  readonly path: string;
  readonly bytes: number;
  /** Nothing more will be written to it. */
  readonly closed: boolean;
}

export interface SpoolLaneOptions {
  readonly folder: string;
  readonly files: SpoolFiles;
  readonly maxBytes: number;
  readonly segmentBytes: number;
  /** At the most so long after a write it is on the disk itself; 0: before it counts as written. */
  readonly syncMs: number;
  readonly maxLines: number;
  readonly startTimer: StartTimer;
  readonly onWritten: () => void;
  readonly onFailed: (error: unknown) => void;
  readonly onTorn: (bytes: number) => void;
  /** Bytes of quarantined pieces for which there was no room any more. */
  readonly onQuarantineLost: (bytes: number) => void;
}

interface Segment {
  readonly number: number;
  readonly path: string;
  bytes: number;
}

export function createSpoolLane(options: SpoolLaneOptions): SpoolLane {
  const { folder, files, maxBytes, segmentBytes, syncMs, maxLines, startTimer } = options;
  const { onWritten, onFailed, onTorn, onQuarantineLost } = options;
  const segments: Segment[] = [];
  let file: SpoolFile | undefined;
  /** Something may stand behind what counts as written. */
  let dirty = false;
  let lines: string[] = [];
  let length = 0;
  let stored = 0;
  let lastNumber = 0;
  let stuck: 'full' | 'failing' | undefined;
  let failures = 0;
  let writing: Promise<void> | undefined;
  let cancelRetry: (() => void) | undefined;
  let cancelSync: (() => void) | undefined;
  let closed = false;

  const quarantine = createQuarantine({
    ...{ folder, files, onFailed },
    room: () => maxBytes - stored,
    onLost: onQuarantineLost,
  });
  /** Events are worth more than what none could be read from. */
  const makeRoom = async (): Promise<boolean> => {
    while (stored + quarantine.bytes >= maxBytes) if (!(await quarantine.shed())) return false;
    return true;
  };
  const openSegment = async (): Promise<Segment> => {
    const last = segments.at(-1);
    // After a failure in another one, so that what is in this one can be delivered and make room.
    const isSpent = last !== undefined && (last.bytes >= segmentBytes || (failures > 0 && last.bytes > 0));
    if (file !== undefined && last !== undefined && !isSpent) return last;
    const next = { number: lastNumber + 1, path: segmentPath(folder, lastNumber + 1), bytes: 0 };
    const opened = await files.open(next.path);
    const former = file;
    const isTorn = dirty;
    file = opened;
    dirty = false;
    lastNumber = next.number;
    segments.push(next);
    if (former === undefined || last === undefined) return next;
    if (isTorn) await former.truncate(last.bytes).catch(onFailed);
    await former.datasync().catch(onFailed);
    await former.close().catch(onFailed);
    return next;
  };
  const sync = async (): Promise<void> => {
    await file?.datasync().catch(onFailed);
  };
  const writeChunk = async (count: number): Promise<void> => {
    const bytes = Buffer.from(lines.slice(0, count).map(toSpoolLine).join(''));
    const segment = await openSegment();
    if (file === undefined) throw new Error('the segment is not open');
    if (dirty) await file.truncate(segment.bytes);
    dirty = true;
    await file.write(bytes, segment.bytes);
    if (syncMs === 0) await file.datasync();
    dirty = false;
    segment.bytes += bytes.length;
    stored += bytes.length;
    for (const line of lines.slice(0, count)) length -= line.length;
    lines = lines.slice(count);
    if (syncMs > 0) {
      cancelSync ??= startTimer(syncMs, () => {
        cancelSync = undefined;
        void sync();
      });
    }
  };
  const writeAll = async (): Promise<void> => {
    while (lines.length > 0 && !closed) {
      try {
        stuck = (await makeRoom()) ? undefined : 'full';
        if (stuck !== undefined) break;
        await writeChunk(chunkLines(lines, CHUNK_LENGTH));
        failures = 0;
        onWritten();
      } catch (error) {
        stuck = 'failing';
        failures += 1;
        onFailed(error);
        cancelRetry = startTimer(Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** failures), () => {
          cancelRetry = undefined;
          start();
        });
        break;
      }
    }
    writing = undefined;
  };
  const start = (): void => {
    if (cancelRetry === undefined && !closed) writing ??= Promise.resolve().then(writeAll);
  };
  const hasRoom = (): boolean => lines.length < maxLines && length < MAX_WAITING_LENGTH - MAX_LINE_LENGTH;

  return {
    open: async () => {
      await files.makeFolder(folder);
      for (const segment of await listSegments(folder, files)) segments.push(segment);
      const last = segments.at(-1);
      if (last !== undefined) {
        lastNumber = last.number;
        await mend(last, files, onTorn);
      }
      await quarantine.open();
      stored = segments.reduce((sum, { bytes }) => sum + bytes, 0);
    },
    push: (line) => {
      if (closed || !hasRoom()) return false;
      lines.push(line);
      length += line.length;
      if (stuck !== 'full') start();
      return true;
    },
    get waiting() {
      return lines.length;
    },
    hasRoom,
    get bytes() {
      return stored + quarantine.bytes;
    },
    get lastNumber() {
      return lastNumber;
    },
    get stuck() {
      return stuck;
    },
    segmentFrom: (number) => {
      const at = segments.findIndex((segment) => segment.number >= number);
      const segment = segments[at];
      if (segment === undefined) return undefined;
      const isLast = at === segments.length - 1;
      return { ...segment, closed: !isLast || file === undefined };
    },
    deleteBelow: async (number) => {
      for (;;) {
        const first = segments[0];
        if (first === undefined || first.number >= number) break;
        if (segments.length === 1 && file !== undefined) break;
        await files.remove(first.path);
        segments.shift();
        stored -= first.bytes;
        quarantine.forget(first.number);
      }
      if (stuck === 'full' && stored < maxBytes) start();
    },
    quarantine: (segment, offset, piece) => quarantine.keep(segment, offset, piece),
    idle: async () => {
      await writing;
    },
    abandon: () => {
      const left = decisionsIn(lines);
      lines = [];
      length = 0;
      return left;
    },
    close: async () => {
      closed = true;
      cancelRetry?.();
      cancelSync?.();
      await writing;
      await sync();
      await file?.close().catch(onFailed);
      file = undefined;
    },
  };
}

const CHUNK_LENGTH = 256 * 1024;
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 5_000;

export function segmentPath(folder: string, number: number): string {
  return join(folder, `${String(number).padStart(10, '0')}.spool`);
}

async function listSegments(folder: string, files: SpoolFiles): Promise<readonly Segment[]> {
  const found = (await files.list(folder)).flatMap(({ name, bytes }) => {
    const number = Number(/^(\d{10})\.spool$/.exec(name)?.[1] ?? Number.NaN);
    return Number.isNaN(number) ? [] : [{ number, path: join(folder, name), bytes }];
  });
  return found.sort((a, b) => a.number - b.number);
}

/** Ends the last line of a segment, or cuts off what is none. */
async function mend(segment: Segment, files: SpoolFiles, onTorn: (bytes: number) => void): Promise<void> {
  const from = Math.max(0, segment.bytes - TAIL_BYTES);
  const tail = await files.read(segment.path, from, TAIL_BYTES);
  const start = tail.lastIndexOf(0x0a) + 1;
  if (start === tail.length || (start === 0 && from > 0)) return;
  const rest = tail.subarray(start);
  const file = await files.open(segment.path);
  try {
    if (isWholeSpoolLine(rest)) {
      await file.write(Buffer.from('\n'), segment.bytes);
      segment.bytes += 1;
    } else {
      await file.truncate(from + start);
      segment.bytes = from + start;
      onTorn(rest.length);
    }
  } finally {
    await file.close();
  }
}

/** More than the longest line. */
const TAIL_BYTES = 64 * 1024;
