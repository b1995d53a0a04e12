import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gzip as gzipWithCallback } from 'node:zlib';
import { type RemoteSink, SinkFault } from '../sink.ts';
import type { BatchConfig } from './config-types.ts';
import type { Answer, Target } from './target.ts';

/** One event, ready for a request's body. */
export interface Encoded {
  readonly text: string;
  /** What it shares with its neighbours; see {@link Wire.frame}. */
  readonly group?: string;
}

/** What the target did with the events of a request that it accepted; positions count from the request's first. */
export interface Settled {
  /** It will never take them. */
  readonly refused: readonly number[];
  /** It may take them later. */
  readonly again: readonly number[];
  /** A word of the target's for why, proven to be one. */
  readonly reason?: string;
}

/** How events travel to one kind of target. */
export interface Wire {
  readonly contentType: string;
  /** `undefined` where the line is no event that the target could take. */
  encode(line: string): Encoded | undefined;
  frame(entries: readonly Encoded[]): string;
  /** Reads the answer to an accepted request. Throws where it says nothing that can be understood. */
  settle(body: string, count: number): Settled;
}

export interface PostedSinkOptions {
  readonly name: string;
  readonly batch: BatchConfig;
  readonly target: Target;
  readonly wire: Wire;
}

/** A sink that posts gzipped bodies. A body that is too large for the target is halved, and its size kept to from then on. */
export function createPostedSink({ name, batch, target, wire }: PostedSinkOptions): RemoteSink {
  let mostBytes = batch.max_bytes;

  return {
    name,
    remote: true,
    maxBatch: { events: batch.max_events, bytes: batch.max_bytes },
    open: () => target.open(),
    write: async (lines, signal) => {
      const progress = createProgress(await encodeAll(lines, wire));
      while (progress.left.length > 0) {
        const chunk = takeChunk(progress.left, mostBytes);
        const answer = await postChunk(target, wire, chunk, signal).catch((cause: unknown) => {
          throw progress.fault(messageOf(cause), { cause });
        });
        if (answer.status === TOO_LARGE && chunk.length > 1) {
          mostBytes = Math.floor(bytesOf(chunk) / 2);
          continue;
        }
        judge(answer, chunk, progress, { target, wire });
      }
      if (progress.lost() > 0)
        throw progress.fault(`${target.shown} refused ${progress.lost()} events: ${progress.reason()}`);
    },
    reopen: async () => {
      mostBytes = batch.max_bytes;
      await target.reopen();
    },
    close: async () => target.close(),
  };
}

const gzip = promisify(gzipWithCallback);
const TOO_LARGE = 413;
/** What is wrong is in the events, not in the target or in how it is asked. */
const REFUSING: ReadonlySet<number> = new Set([400, TOO_LARGE, 422]);

interface Piece extends Encoded {
  readonly position: number;
  readonly bytes: number;
}

/** What became of the lines of one write so far. */
interface Progress {
  readonly left: readonly Piece[];
  settle(chunk: readonly Piece[], settled: Settled): void;
  lost(): number;
  reason(): string;
  fault(message: string, parts?: { readonly retryAfterMs?: number; readonly cause?: unknown }): SinkFault;
}

interface EncodedLines {
  readonly pieces: readonly Piece[];
  readonly unfit: readonly number[];
}

/** A few at a time: requests are answered in between. */
async function encodeAll(lines: readonly string[], wire: Wire): Promise<EncodedLines> {
  const pieces: Piece[] = [];
  const unfit: number[] = [];
  for (const [position, line] of lines.entries()) {
    if (position > 0 && position % AT_ONCE === 0) await nextTurn();
    const encoded = wire.encode(line);
    if (encoded === undefined) unfit.push(position);
    else pieces.push({ ...encoded, position, bytes: Buffer.byteLength(encoded.text) });
  }
  return { pieces, unfit };
}

const AT_ONCE = 20;

function createProgress({ pieces, unfit }: EncodedLines): Progress {
  const refused = [...unfit];
  const delivered: number[] = [];
  const again: number[] = [];
  let reason = 'no event in JSON';
  let left = pieces;
  return {
    get left() {
      return left;
    },
    settle: (chunk, settled) => {
      const lost = new Set(settled.refused);
      const later = new Set(settled.again);
      reason = settled.reason ?? reason;
      chunk.forEach(({ position }, at) => {
        if (lost.has(at)) refused.push(position);
        else (later.has(at) ? again : delivered).push(position);
      });
      left = left.slice(chunk.length);
    },
    lost: () => refused.length + again.length,
    reason: () => reason,
    fault: (message, parts) => new SinkFault(message, { kind: 'retry', refused, delivered, ...parts }),
  };
}

/** From the front, at least one. */
function takeChunk(left: readonly Piece[], mostBytes: number): readonly Piece[] {
  let bytes = 0;
  let count = 0;
  for (const piece of left) {
    bytes += piece.bytes;
    if (count > 0 && bytes > mostBytes) break;
    count += 1;
  }
  return left.slice(0, count);
}

function bytesOf(chunk: readonly Piece[]): number {
  return chunk.reduce((sum, { bytes }) => sum + bytes, 0);
}

async function postChunk(
  target: Target,
  wire: Wire,
  chunk: readonly Piece[],
  signal: AbortSignal | undefined,
): Promise<Answer> {
  // Events repeat themselves: the fastest level makes a tenth of them for a third of the default's time.
  const body = await gzip(wire.frame(chunk), { level: 1 });
  return target.post(body, { 'content-type': wire.contentType, 'content-encoding': 'gzip' }, signal);
}

/** Notes what became of a chunk, or throws where the rest of the write has to wait. */
function judge(
  { status, retryAfterMs, body }: Answer,
  chunk: readonly Piece[],
  progress: Progress,
  { target, wire }: Pick<PostedSinkOptions, 'target' | 'wire'>,
): void {
  const everything = chunk.map((_, at) => at);
  if (REFUSING.has(status)) {
    progress.settle(chunk, { refused: everything, again: [], reason: `status ${status}` });
    return;
  }
  if (status < 200 || status >= 300) {
    throw progress.fault(`\`${target.shown}\` answered ${status}${remedyOf(status)}`, { retryAfterMs });
  }
  let settled: Settled;
  try {
    settled = wire.settle(body, chunk.length);
  } catch (cause) {
    throw progress.fault(`\`${target.shown}\` answered ${status} with what cannot be read`, { cause });
  }
  progress.settle(chunk, settled);
  if (settled.again.length > 0) {
    throw progress.fault(`\`${target.shown}\` took all but ${settled.again.length} events: ${progress.reason()}`, {
      retryAfterMs,
    });
  }
}

function remedyOf(status: number): string {
  if (status >= 300 && status < 400) return ': no redirect is followed, correct `url` or `path`';
  if (status === 401 || status === 403) return ': check `credentials`';
  return status === 404 || status === 405 ? ': check `url` and `path`' : '';
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : 'the request failed';
}
