import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, StartTimer } from '../../decision/ports.ts';
import type { LedgerEvent, LedgerRecord } from './ledger-event.ts';
import { type LedgerFiles, systemFiles } from './ledger-files.ts';
import { NO_CRC, toLedgerLine } from './ledger-line.ts';
import { type FolderLock, lockFolder } from './ledger-lock.ts';
import { type LedgerReport, type OpenSegment, openLastSegment, quarantine } from './ledger-recovery.ts';
import { listSegments, readSegment, segmentPath } from './ledger-segment.ts';

/** What was settled, in files that are only ever appended to: one process to a folder. */
export interface Ledger {
  /** Recovers what a crash left and takes the folder. Throws when another process has it. */
  start(): Promise<void>;
  /**
   * Answers the number of the line once it is on the disk; many that wait share one write and one fdatasync. Throws a
   * {@link LedgerFault} when it is not.
   */
  append(event: LedgerEvent): Promise<number>;
  /** Every event whose line is numbered `seq` or higher, in order. */
  replay(seq: number): AsyncIterable<LedgerEvent & { readonly seq: number }>;
  /** The number below which every event is known to the store; 0 when nobody noted one. */
  applied(): Promise<number>;
  noteApplied(seq: number): Promise<void>;
  /** Keeps a text beside the segments for the next process: which reservations are open. Not durable in a power cut. */
  saveOpen(text: string): Promise<void>;
  /** Empty when none was kept. */
  loadOpen(): Promise<string>;
  stop(): Promise<void>;
}

export class LedgerFault extends Error {
  override readonly name = 'LedgerFault';
}

export interface LedgerOptions {
  /** `<data_dir>/ledger` */
  readonly folder: string;
  readonly horizonSeconds: number;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly randomId: () => string;
  readonly report: (report: LedgerReport) => void;
  readonly files?: LedgerFiles;
  /** A segment that is longer is followed by another. */
  readonly maxSegmentBytes?: number;
}

const MAX_SEGMENT_BYTES = 8 * 1024 * 1024;
const MAX_BATCH = 1024;
/** So many wait at the most: 50,000 lines are 20 MB. */
const MAX_WAITING = 50_000;

export function createLedger(options: LedgerOptions): Ledger {
  const { folder, horizonSeconds, clock, startTimer, randomId, report } = options;
  const { files = systemFiles, maxSegmentBytes = MAX_SEGMENT_BYTES } = options;
  let lock: FolderLock | undefined;
  let segment: OpenSegment | undefined;
  let waiting: Waiting[] = [];
  let flushing: Promise<void> | undefined;
  let isOpen = false;

  /** Writes what waits, batch by batch, until nothing does. */
  async function flush(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, MAX_BATCH);
      waiting = waiting.slice(MAX_BATCH);
      try {
        const first = await commit(batch.map(({ event }) => event));
        for (const [at, { resolve }] of batch.entries()) resolve(first + at);
      } catch (cause) {
        report({ kind: 'failed', cause });
        const fault = new LedgerFault('the ledger could not be written', { cause });
        for (const { reject } of batch) reject(fault);
      }
    }
    // In the same turn as the last look at `waiting`: whoever comes later starts anew.
    flushing = undefined;
  }

  /** All of them durable, or an error and none of them; answers the number of the first. */
  async function commit(events: readonly LedgerEvent[]): Promise<number> {
    if (lock?.held() !== true) throw new Error(`\`${folder}\` was taken over by another process`);
    segment = await withRoom(segment);
    const first = segment.seq;
    await writeLines(
      segment,
      events.map((event, at) => ({ ...event, seq: first + at })),
    );
    return first;
  }

  async function withRoom(current: OpenSegment | undefined): Promise<OpenSegment> {
    if (current !== undefined && current.length > 0 && current.length < maxSegmentBytes) return current;
    // A segment without a byte is one whose first line was lost in a crash.
    const number = current === undefined ? 1 : current.length === 0 ? current.number : current.number + 1;
    const file = await files.open(segmentPath(folder, number));
    const next: OpenSegment = {
      number,
      file,
      length: 0,
      dirty: true,
      hash: createHash('sha256'),
      crc: NO_CRC,
      seq: await nextSeq(current),
    };
    try {
      const previous = await digestBefore(number, current);
      const { epochMs: atMs } = clock.now();
      await writeLines(next, [{ seq: next.seq, event: 'segment', number, atMs, previous, horizonSeconds }]);
      await files.syncFolder(folder);
    } catch (error) {
      await file.close();
      throw error;
    }
    await current?.file.close();
    return next;
  }

  async function digestBefore(number: number, current: OpenSegment | undefined): Promise<string | null> {
    if (current !== undefined && current.number === number - 1) return current.hash.copy().digest('hex');
    const before = (await listSegments(folder)).find((one) => one.number === number - 1);
    return before === undefined
      ? null
      : createHash('sha256')
          .update(await readFile(before.path))
          .digest('hex');
  }

  /** An empty last segment knows no number: the one before it does. */
  async function nextSeq(current: OpenSegment | undefined): Promise<number> {
    if (current === undefined || current.length > 0) return current?.seq ?? 0;
    const before = (await listSegments(folder)).filter(({ number }) => number < current.number).at(-1);
    if (before === undefined) return 0;
    const { lines } = await readSegment(before);
    return lines.reduce((most, { checked }) => Math.max(most, (checked?.record.seq ?? -1) + 1), 0);
  }

  return {
    start: async () => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await chmod(folder, 0o700);
      lock = await lockFolder(folder, { startTimer, randomId, nowMs: () => clock.now().epochMs });
      try {
        segment = await openLastSegment(folder, files, report);
      } catch (error) {
        await lock.release();
        throw error;
      }
      isOpen = true;
    },
    append: (event) => {
      if (!isOpen) return Promise.reject(new LedgerFault('the ledger is not open'));
      if (waiting.length >= MAX_WAITING) return Promise.reject(new LedgerFault('too many wait for the ledger'));
      return new Promise((resolve, reject) => {
        waiting.push({ event, resolve, reject });
        // Later, so that whoever else appends in this turn is in the same batch.
        flushing ??= Promise.resolve().then(flush);
      });
    },
    async *replay(seq) {
      for (const one of await listSegments(folder)) {
        const { bytes, lines } = await readSegment(one);
        await quarantine(one, bytes, lines, report);
        for (const { checked } of lines) {
          const record = checked?.record;
          if (record !== undefined && record.event !== 'segment' && record.seq >= seq) yield record;
        }
      }
    },
    applied: async () => {
      const text = await readNote(folder, 'applied');
      return /^\d{1,15}\n$/.test(text) ? Number(text) : 0;
    },
    noteApplied: (seq) => writeNote(folder, 'applied', `${seq}\n`),
    saveOpen: (text) => writeNote(folder, 'open', text),
    loadOpen: () => readNote(folder, 'open'),
    stop: async () => {
      isOpen = false;
      await flushing;
      const open = segment;
      segment = undefined;
      await open?.file.close();
      const held = lock;
      lock = undefined;
      await held?.release();
    },
  };
}

function readNote(folder: string, name: string): Promise<string> {
  return readFile(join(folder, name), 'utf8').catch(() => '');
}

/** As a whole or not at all. */
async function writeNote(folder: string, name: string, text: string): Promise<void> {
  const draft = join(folder, `${name}.new`);
  await writeFile(draft, text, { mode: 0o600 });
  await rename(draft, join(folder, name));
}

interface Waiting {
  readonly event: LedgerEvent;
  readonly resolve: (seq: number) => void;
  readonly reject: (fault: LedgerFault) => void;
}

/** INVARIANT: a segment says of its lines only what an fdatasync has confirmed. */
async function writeLines(segment: OpenSegment, records: readonly LedgerRecord[]): Promise<void> {
  if (segment.dirty) await segment.file.truncate(segment.length);
  segment.dirty = true;
  let { crc } = segment;
  let text = '';
  for (const record of records) {
    const line = toLedgerLine(record, crc);
    crc = line.crc;
    text += line.text;
  }
  const bytes = Buffer.from(text);
  await segment.file.write(bytes, segment.length);
  await segment.file.fdatasync();
  segment.dirty = false;
  segment.length += bytes.length;
  segment.hash.update(bytes);
  segment.crc = crc;
  segment.seq += records.length;
}
