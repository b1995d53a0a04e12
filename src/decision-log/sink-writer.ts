import { deniedShare, type Lane } from './lane.ts';
import type { Sink } from './sink.ts';

/** Where lines go on from the queue: a local sink, or the spool. Bounded, and never waits. */
export interface Output {
  /** A line that finds no room within its lane's share is reported as dropped. */
  push(line: string, lane: Lane): void;
  /** Lines that were not taken yet: all of them, or of one lane. */
  waiting(lane?: Lane): number;
  /** Whether another line may come without being dropped. */
  hasRoom(lane: Lane): boolean;
  /** Resolves once nothing is waiting, or nothing can be done about it. */
  idle(): Promise<void>;
  /** Gives up what is waiting; answers how many lines that were. */
  abandon(): number;
  /** Runs between two writes. */
  reopen(): Promise<void>;
  close(): Promise<void>;
}

export interface SinkWriterOptions {
  readonly sink: Sink;
  readonly maxLines: number;
  readonly onDropped: (lines: number) => void;
  readonly onFailed: (error: unknown) => void;
  /** Lines were taken or lost: there may be room again. */
  readonly onProgress?: () => void;
}

/** Lines on their way to one local sink: written in chunks, one write at a time. */
export function createSinkWriter(options: SinkWriterOptions): Output {
  const { sink, maxLines, onDropped, onFailed, onProgress } = options;
  const maxDenied = deniedShare(maxLines);
  let lines: string[] = [];
  let lanes: Lane[] = [];
  let length = 0;
  let denied = 0;
  let inFlight = 0;
  let writing: Promise<void> | undefined;
  let reopening: (() => Promise<void>)[] = [];
  let abandoned = false;

  const takeChunk = (): readonly string[] => {
    const count = length <= CHUNK_LENGTH ? lines.length : chunkLines(lines);
    const chunk = count === lines.length ? lines : lines.slice(0, count);
    for (let at = 0; at < count; at += 1) if (lanes[at] === 'denied') denied -= 1;
    lines = count === lines.length ? [] : lines.slice(count);
    lanes = lines.length === 0 ? [] : lanes.slice(count);
    inFlight = chunk.length;
    for (const line of chunk) length -= line.length;
    return chunk;
  };
  const writeAll = async (): Promise<void> => {
    while (lines.length > 0 || reopening.length > 0) {
      const due = reopening;
      reopening = [];
      for (const reopen of due) await reopen();
      if (lines.length === 0) continue;
      const chunk = takeChunk();
      try {
        await sink.write(chunk);
      } catch (error) {
        onFailed(error);
        if (!abandoned) onDropped(inFlight);
      }
      inFlight = 0;
      onProgress?.();
    }
    writing = undefined;
  };
  const start = (): void => {
    // A microtask later, so that lines which are pushed together are written together.
    writing ??= Promise.resolve().then(writeAll);
  };
  const hasRoom = (lane: Lane): boolean =>
    lines.length + inFlight < maxLines &&
    length < MAX_WAITING_LENGTH - MAX_LINE_LENGTH &&
    (lane === 'kept' || denied < maxDenied);

  return {
    push: (line, lane) => {
      if (!hasRoom(lane)) {
        onDropped(1);
        return;
      }
      lines.push(line);
      lanes.push(lane);
      length += line.length;
      if (lane === 'denied') denied += 1;
      start();
    },
    waiting: (lane) => {
      if (lane === undefined) return lines.length + inFlight;
      return lane === 'denied' ? denied : lines.length - denied;
    },
    hasRoom,
    idle: async () => {
      await writing;
    },
    abandon: () => {
      const left = lines.length + inFlight;
      abandoned = true;
      lines = [];
      lanes = [];
      length = 0;
      denied = 0;
      return left;
    },
    reopen: () =>
      new Promise((resolve, reject) => {
        reopening.push(() => sink.reopen().then(resolve, reject));
        start();
      }),
    close: () => sink.close(),
  };
}

/** Characters of one write: enough to make system calls rare, little enough to lose little by a failure. */
const CHUNK_LENGTH = 64 * 1024;
/** Characters that may wait for one sink; events are ASCII but for what callers send. */
export const MAX_WAITING_LENGTH = 32 * 1024 * 1024;
export const MAX_LINE_LENGTH = 16 * 1024;

export function chunkLines(lines: readonly string[], most = CHUNK_LENGTH): number {
  let length = 0;
  let count = 0;
  for (const line of lines) {
    length += line.length;
    if (count > 0 && length > most) break;
    count += 1;
  }
  return count;
}
