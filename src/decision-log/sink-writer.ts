import type { Sink } from './sinks.ts';

/** Lines on their way to one sink: bounded, written in chunks, one write at a time. */
export interface SinkWriter {
  /** Never waits. A line that finds no room is reported as dropped. */
  push(line: string): void;
  /** Lines that the sink has not taken yet. */
  readonly length: number;
  /** Resolves once nothing is waiting. */
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
}

export function createSinkWriter({ sink, maxLines, onDropped, onFailed }: SinkWriterOptions): SinkWriter {
  let waiting: string[] = [];
  let waitingLength = 0;
  let inFlight = 0;
  let writing: Promise<void> | undefined;
  let reopening: (() => Promise<void>)[] = [];
  let abandoned = false;

  const takeChunk = (): readonly string[] => {
    const lines = waitingLength <= CHUNK_LENGTH ? waiting.length : chunkLines(waiting);
    const chunk = lines === waiting.length ? waiting : waiting.slice(0, lines);
    waiting = lines === waiting.length ? [] : waiting.slice(lines);
    inFlight = chunk.length;
    for (const line of chunk) waitingLength -= line.length;
    return chunk;
  };
  const writeAll = async (): Promise<void> => {
    while (waiting.length > 0 || reopening.length > 0) {
      const due = reopening;
      reopening = [];
      for (const reopen of due) await reopen();
      if (waiting.length === 0) continue;
      const lines = takeChunk();
      try {
        await sink.write(lines);
      } catch (error) {
        onFailed(error);
        if (!abandoned) onDropped(inFlight);
      }
      inFlight = 0;
    }
    writing = undefined;
  };
  const start = (): void => {
    // A microtask later, so that lines which are pushed together are written together.
    writing ??= Promise.resolve().then(writeAll);
  };

  return {
    push: (line) => {
      if (waiting.length + inFlight >= maxLines || waitingLength + line.length > MAX_WAITING_LENGTH) {
        onDropped(1);
        return;
      }
      waiting.push(line);
      waitingLength += line.length;
      start();
    },
    get length() {
      return waiting.length + inFlight;
    },
    idle: async () => {
      await writing;
    },
    abandon: () => {
      const lines = waiting.length + inFlight;
      abandoned = true;
      waiting = [];
      waitingLength = 0;
      return lines;
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
const MAX_WAITING_LENGTH = 32 * 1024 * 1024;

function chunkLines(lines: readonly string[]): number {
  let length = 0;
  let count = 0;
  for (const line of lines) {
    length += line.length;
    if (count > 0 && length > CHUNK_LENGTH) break;
    count += 1;
  }
  return count;
}
