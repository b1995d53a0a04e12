import type { StartTimer } from '../decision/ports.ts';
import { decisionsIn } from './aggregates.ts';
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
  /** Gives up what is waiting; answers how many decisions that were. */
  abandon(): number;
  /** Runs between two writes. */
  reopen(): Promise<void>;
  close(): Promise<void>;
}

export interface SinkWriterOptions {
  readonly sink: Sink;
  readonly maxLines: number;
  readonly onDropped: (decisions: number) => void;
  readonly onFailed: (error: unknown) => void;
  /** Where given, what the sink refuses is kept and tried again, so that the room runs out; else it is dropped. */
  readonly startRetry?: StartTimer;
  /** Lines were taken or lost: there may be room again. */
  readonly onProgress?: () => void;
}

/** Lines on their way to one local sink: written in chunks, one write at a time. */
export function createSinkWriter(options: SinkWriterOptions): Output {
  const { sink, maxLines, onDropped, onFailed, startRetry, onProgress } = options;
  const maxDenied = deniedShare(maxLines);
  let lines: string[] = [];
  let lanes: Lane[] = [];
  let length = 0;
  let denied = 0;
  let inFlight: readonly string[] = [];
  let writing: Promise<void> | undefined;
  let reopening: (() => Promise<void>)[] = [];
  let abandoned = false;
  let cancelRetry: (() => void) | undefined;

  const takeChunk = (): { readonly chunk: readonly string[]; readonly chunkLanes: readonly Lane[] } => {
    const count = length <= CHUNK_LENGTH ? lines.length : chunkLines(lines);
    const chunk = count === lines.length ? lines : lines.slice(0, count);
    for (let at = 0; at < count; at += 1) if (lanes[at] === 'denied') denied -= 1;
    const chunkLanes = count === lines.length ? lanes : lanes.slice(0, count);
    lines = count === lines.length ? [] : lines.slice(count);
    lanes = lines.length === 0 ? [] : lanes.slice(count);
    inFlight = chunk;
    for (const line of chunk) length -= line.length;
    return { chunk, chunkLanes };
  };
  const putBack = (chunk: readonly string[], chunkLanes: readonly Lane[]): void => {
    lines = [...chunk, ...lines];
    lanes = [...chunkLanes, ...lanes];
    for (const line of chunk) length += line.length;
    for (const lane of chunkLanes) if (lane === 'denied') denied += 1;
  };
  /** `false` where nobody tries again. */
  const planRetry = (): boolean => {
    cancelRetry = startRetry?.(RETRY_MS, () => {
      cancelRetry = undefined;
      start();
    });
    return cancelRetry !== undefined;
  };
  const writeAll = async (): Promise<void> => {
    while (lines.length > 0 || reopening.length > 0) {
      const due = reopening;
      reopening = [];
      for (const reopen of due) await reopen();
      if (lines.length === 0) continue;
      const { chunk, chunkLanes } = takeChunk();
      try {
        await sink.write(chunk);
      } catch (error) {
        onFailed(error);
        if (!abandoned && planRetry()) {
          inFlight = [];
          putBack(chunk, chunkLanes);
          break;
        }
        if (!abandoned) onDropped(decisionsIn(chunk));
      }
      inFlight = [];
      onProgress?.();
    }
    writing = undefined;
  };
  const start = (): void => {
    // A microtask later, so that lines which are pushed together are written together.
    if (cancelRetry === undefined) writing ??= Promise.resolve().then(writeAll);
  };
  const hasRoom = (lane: Lane): boolean =>
    lines.length + inFlight.length < maxLines &&
    length < MAX_WAITING_LENGTH - MAX_LINE_LENGTH &&
    (lane === 'kept' || denied < maxDenied);

  return {
    push: (line, lane) => {
      if (!hasRoom(lane)) {
        onDropped(decisionsIn([line]));
        return;
      }
      lines.push(line);
      lanes.push(lane);
      length += line.length;
      if (lane === 'denied') denied += 1;
      start();
    },
    waiting: (lane) => {
      if (lane === undefined) return lines.length + inFlight.length;
      return lane === 'denied' ? denied : lines.length - denied;
    },
    hasRoom,
    idle: async () => {
      await writing;
    },
    abandon: () => {
      const left = decisionsIn(inFlight) + decisionsIn(lines);
      abandoned = true;
      cancelRetry?.();
      lines = [];
      lanes = [];
      length = 0;
      denied = 0;
      return left;
    },
    reopen: () =>
      new Promise((resolve, reject) => {
        reopening.push(() => sink.reopen().then(resolve, reject));
        // It may be what helps.
        cancelRetry?.();
        cancelRetry = undefined;
        start();
      }),
    close: () => sink.close(),
  };
}

/** Characters of one write: enough to make system calls rare, little enough to lose little by a failure. */
export const CHUNK_LENGTH = 64 * 1024;
const RETRY_MS = 1000;
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
