import { join } from 'node:path';
import type { StartTimer } from '../../decision/ports.ts';
import { decisionsIn } from '../aggregates.ts';
import type { SpoolConfig } from '../config.ts';
import { deniedShare, LANES, type Lane } from '../lane.ts';
import type { Output } from '../sink-writer.ts';
import { type Cursor, readCursor, START, saveCursor, startOfSpool } from './cursors.ts';
import type { SpoolFiles } from './spool-files.ts';
import { createSpoolLane, type SpoolLane } from './spool-lane.ts';
import { lockSpool } from './spool-lock.ts';
import { type Corrupt, type Place, readBatch } from './spool-reader.ts';

/** Events on the disk until every remote sink has them: what was written outlives the process. */
export interface Spool extends Omit<Output, 'reopen'> {
  /** Rejects when the folder cannot be used or another process has it. */
  open(): Promise<void>;
  /** One reader to a sink, after `open`. */
  reader(sink: string): Promise<SpoolReader>;
  /** Bytes on the disk, with what is quarantined. */
  readonly bytes: number;
}

/** Where one sink stands. */
export interface SpoolReader {
  /** What follows the last commit; `undefined` when there is nothing yet. */
  next(max: { readonly events: number; readonly bytes: number }): Promise<SpoolBatch | undefined>;
  /** Resolves when there may be more than the last `next` saw. */
  more(): Promise<void>;
}

export interface SpoolBatch {
  readonly lines: readonly string[];
  /** The sink is done with all of them: they are not read again, and go once every sink is done with them. */
  commit(): void;
}

export type SpoolReport =
  /** An unfinished last line of a former process was cut off. */
  | { readonly kind: 'torn'; readonly lane: Lane; readonly bytes: number }
  /** Bytes that no event can be read from; they were copied to `SEGMENT.quarantine`, where there was room. */
  | { readonly kind: 'corrupt'; readonly segment: string; readonly offset: number; readonly bytes: number }
  /** How far a sink had come cannot be told: it is given events again. */
  | { readonly kind: 'cursor'; readonly sink: string }
  /** Quarantined bytes that are kept no longer, or never were, for want of room. */
  | { readonly kind: 'quarantine_lost'; readonly lane: Lane; readonly bytes: number }
  | { readonly kind: 'failed'; readonly error: unknown };

export interface SpoolOptions {
  readonly config: SpoolConfig;
  readonly maxLines: number;
  readonly files: SpoolFiles;
  readonly startTimer: StartTimer;
  readonly report: (report: SpoolReport) => void;
  readonly onDropped: (decisions: number, cause: 'spool_full' | 'spool_failing' | 'spool') => void;
  readonly onProgress: () => void;
}

export function createSpool(options: SpoolOptions): Spool {
  const { config, maxLines, files, startTimer, report, onDropped, onProgress } = options;
  const { dir } = config;
  const cursors = new Map<string, Cursor>();
  const unsaved = new Set<string>();
  /** By sink: whether something was written since it last looked, and how to tell it so. */
  const readers = new Map<string, { changed: boolean; resume: () => void }>();
  let unlock: (() => Promise<void>) | undefined;
  let closing = false;
  let cancelSave: (() => void) | undefined;
  let saving: Promise<void> = Promise.resolve();

  const wake = (): void => {
    for (const reader of readers.values()) {
      reader.changed = true;
      reader.resume();
    }
  };
  const onFailed = (error: unknown): void => report({ kind: 'failed', error });
  const makeLane = (lane: Lane): SpoolLane =>
    createSpoolLane({
      folder: join(dir, lane),
      files,
      startTimer,
      maxBytes: (config.max_mb * MIB) / LANES.length,
      segmentBytes: config.segment_mb * MIB,
      syncMs: config.fsync_ms,
      maxLines: lane === 'kept' ? maxLines : deniedShare(maxLines),
      onWritten: () => {
        wake();
        onProgress();
      },
      onFailed,
      onTorn: (bytes) => report({ kind: 'torn', lane, bytes }),
      onQuarantineLost: (bytes) => report({ kind: 'quarantine_lost', lane, bytes }),
    });
  const lanes: Readonly<Record<Lane, SpoolLane>> = { kept: makeLane('kept'), denied: makeLane('denied') };

  const saveOne = async (sink: string, cursor: Cursor): Promise<void> => {
    try {
      await saveCursor(dir, sink, { ...cursor }, files);
    } catch (error) {
      unsaved.add(sink);
      onFailed(error);
      saveSoon();
    }
  };
  /**
   * Deletes what every sink is done with, also where the cursors cannot be saved, as on a full disk: a cursor whose
   * segment is gone goes on with the next one.
   */
  const save = async (): Promise<void> => {
    const due = [...unsaved];
    unsaved.clear();
    for (const sink of due) {
      const cursor = cursors.get(sink);
      if (cursor !== undefined) await saveOne(sink, cursor);
    }
    if (cursors.size === 0) return;
    for (const lane of LANES) {
      const done = Math.min(...[...cursors.values()].map((cursor) => cursor[lane].segment));
      await lanes[lane].deleteBelow(done).catch(onFailed);
    }
  };
  const saveSoon = (): void => {
    if (closing) return;
    cancelSave ??= startTimer(SAVE_MS, () => {
      cancelSave = undefined;
      saving = saving.then(save);
    });
  };
  const onCorruptIn =
    (lane: Lane): Corrupt =>
    async ({ number, path }, offset, bytes) => {
      if (!(await lanes[lane].quarantine(number, offset, bytes))) return;
      report({ kind: 'corrupt', segment: path, offset, bytes: bytes.length });
    };
  /** Where the sink goes on: at what it saved, but never past what is there. */
  const resume = async (sink: string): Promise<Cursor> => {
    const saved = await readCursor(dir, sink, files);
    const cursor = saved ?? startOfSpool();
    let isDamaged = saved === undefined;
    let isChanged = isDamaged;
    for (const lane of LANES) {
      const { segment, offset } = cursor[lane];
      const { lastNumber } = lanes[lane];
      const there = lanes[lane].segmentFrom(segment);
      if (segment > lastNumber + 1 || (segment > lastNumber && offset > 0)) {
        // A segment that never was. Where there is none at all, all was delivered, or somebody emptied the folder.
        cursor[lane] = START;
        isChanged = true;
        isDamaged ||= lastNumber > 0;
      } else if (there?.number === segment && offset > there.bytes) {
        // As after a power cut that took its end.
        cursor[lane] = { segment, offset: 0 };
        isChanged = true;
        isDamaged = true;
      }
    }
    if (isDamaged) report({ kind: 'cursor', sink });
    // At once: by the next start there may be a segment for the number in a note that is not true any more.
    if (isChanged) await saveOne(sink, cursor);
    return cursor;
  };

  return {
    open: async () => {
      await files.makeFolder(dir);
      unlock = await lockSpool(dir);
      try {
        for (const lane of LANES) await lanes[lane].open();
      } catch (error) {
        await unlock();
        throw error;
      }
    },
    reader: async (sink) => {
      const cursor = await resume(sink);
      cursors.set(sink, cursor);
      const state = { changed: false, resume: (): void => {} };
      readers.set(sink, state);
      let first: Lane = 'kept';
      const advance = (lane: Lane, end: Place): void => {
        cursor[lane] = end;
        unsaved.add(sink);
        saveSoon();
      };
      return {
        next: async (max) => {
          state.changed = false;
          // In turns, so that neither keeps the other from the sink.
          const order: readonly Lane[] = first === 'kept' ? ['kept', 'denied'] : ['denied', 'kept'];
          for (const lane of order) {
            const batch = await readBatch(
              { lane: lanes[lane], files, onCorrupt: onCorruptIn(lane) },
              cursor[lane],
              max,
            );
            if (batch.lines.length === 0) {
              // Done with whole segments, which may go, or with what cannot be read.
              const { segment, offset } = cursor[lane];
              if (batch.end.segment !== segment || batch.end.offset !== offset) advance(lane, batch.end);
              continue;
            }
            first = lane === 'kept' ? 'denied' : 'kept';
            return {
              lines: batch.lines,
              commit: () => advance(lane, batch.end),
            };
          }
          return undefined;
        },
        more: () =>
          new Promise((resolve) => {
            state.resume = resolve;
            if (state.changed) resolve();
          }),
      };
    },
    push: (line, lane) => {
      if (lanes[lane].push(line)) return;
      const { stuck } = lanes[lane];
      onDropped(decisionsIn([line]), stuck === undefined ? 'spool' : `spool_${stuck}`);
    },
    waiting: (lane) => (lane === undefined ? lanes.kept.waiting + lanes.denied.waiting : lanes[lane].waiting),
    hasRoom: (lane) => lanes[lane].hasRoom(),
    get bytes() {
      return lanes.kept.bytes + lanes.denied.bytes;
    },
    idle: async () => {
      for (const lane of LANES) await lanes[lane].idle();
    },
    abandon: () => lanes.kept.abandon() + lanes.denied.abandon(),
    close: async () => {
      closing = true;
      wake();
      cancelSave?.();
      await saving;
      await save();
      for (const lane of LANES) await lanes[lane].close();
      await unlock?.();
      unlock = undefined;
    },
  };
}

const MIB = 1_048_576;
/** A crash costs at most what was delivered in this time: it is delivered again. */
const SAVE_MS = 250;
