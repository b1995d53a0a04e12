import type { StartTimer } from '../decision/ports.ts';
import { decisionsIn } from './aggregates.ts';
import { type RemoteSink, SinkFault } from './sink.ts';
import type { SpoolReader } from './spool/spool.ts';

/** Takes events from the spool to one remote sink, again until it has them. */
export interface Delivery {
  start(reader: SpoolReader): void;
  /** When the oldest event that was read and not yet delivered was decided; `undefined` when there is none. */
  oldestEpochMs(): number | undefined;
  /** Resolves once everything that was in the spool is delivered. */
  idle(): Promise<void>;
  /** Ends after the write under way, which is asked to give up. What is left stays in the spool. */
  stop(): Promise<void>;
}

export interface DeliveryOptions {
  readonly sink: RemoteSink;
  readonly startTimer: StartTimer;
  readonly random: () => number;
  /** Decisions whose events the target will never take. */
  readonly onRefused: (decisions: number) => void;
  readonly onFailed: (error: unknown) => void;
  readonly onDelivered: (events: number) => void;
}

export function createDelivery(options: DeliveryOptions): Delivery {
  const { sink, startTimer, random, onRefused, onFailed, onDelivered } = options;
  const stopping = new AbortController();
  let running: Promise<void> | undefined;
  let oldest: number | undefined;
  let endIdle = (): void => {};
  const onIdle: (() => void)[] = [];

  /** Resolves early when the delivery stops. */
  const wait = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const end = (): void => {
        cancel();
        stopping.signal.removeEventListener('abort', end);
        resolve();
      };
      const cancel = startTimer(ms, end);
      stopping.signal.addEventListener('abort', end, { once: true });
    });
  const writeOnce = async (lines: readonly string[]): Promise<void> => {
    const attempt = new AbortController();
    const abort = (): void => attempt.abort();
    stopping.signal.addEventListener('abort', abort, { once: true });
    let cancel = (): void => {};
    // A sink that does not listen to the signal is not waited for either.
    const late = new Promise<never>((_, reject) => {
      attempt.signal.addEventListener('abort', () => reject(new SinkFault('gave up waiting', { kind: 'retry' })));
      cancel = startTimer(MAX_WRITE_MS, abort);
    });
    try {
      await Promise.race([sink.write(lines, attempt.signal), late]);
    } finally {
      cancel();
      stopping.signal.removeEventListener('abort', abort);
    }
  };
  /** `false` when it was stopped before all of them were settled. */
  const deliver = async (batch: readonly string[]): Promise<boolean> => {
    let lines = batch;
    for (let failures = 0; lines.length > 0; ) {
      if (stopping.signal.aborted) return false;
      try {
        await writeOnce(lines);
        onDelivered(lines.length);
        return true;
      } catch (error) {
        if (stopping.signal.aborted) return false;
        onFailed(error);
        const fault = error instanceof SinkFault ? error : new SinkFault('failed', { kind: 'retry', cause: error });
        const left = leftOf(lines, fault);
        onDelivered(new Set(fault.delivered).size);
        if (left.refused > 0) onRefused(left.refused);
        failures = left.lines.length < lines.length ? 0 : failures + 1;
        lines = left.lines;
        if (lines.length > 0) await wait(backOffMs(failures, fault.retryAfterMs, random()));
      }
    }
    return true;
  };
  const untilMore = (reader: SpoolReader): Promise<void> =>
    new Promise((resolve) => {
      endIdle = resolve;
      if (stopping.signal.aborted) resolve();
      else void reader.more().then(resolve);
    });
  const run = async (reader: SpoolReader): Promise<void> => {
    for (let failures = 0; !stopping.signal.aborted; ) {
      try {
        const batch = await reader.next(sink.maxBatch);
        failures = 0;
        if (batch === undefined) {
          oldest = undefined;
          for (const resolve of onIdle.splice(0)) resolve();
          await untilMore(reader);
          continue;
        }
        oldest = epochOf(batch.lines[0] ?? '');
        if (await deliver(batch.lines)) batch.commit();
      } catch (error) {
        failures += 1;
        onFailed(error);
        await wait(backOffMs(failures, 0, random()));
      }
    }
  };

  return {
    start: (reader) => {
      running = run(reader);
    },
    oldestEpochMs: () => oldest,
    idle: () =>
      new Promise((resolve) => {
        onIdle.push(resolve);
        endIdle();
      }),
    stop: async () => {
      stopping.abort();
      endIdle();
      await running;
    },
  };
}

const MAX_WRITE_MS = 60_000;
const FIRST_WAIT_MS = 250;
const MAX_WAIT_MS = 60_000;
/** A target may ask for more patience than we have by ourselves, but not for ever. */
const MAX_ASKED_MS = 300_000;

function backOffMs(failures: number, askedMs: number, random: number): number {
  const ours = Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures, 16));
  return Math.max(ours * (0.5 + random / 2), Math.min(askedMs, MAX_ASKED_MS));
}

function leftOf(
  lines: readonly string[],
  { kind, refused, delivered }: SinkFault,
): { readonly lines: readonly string[]; readonly refused: number } {
  const has = new Set(delivered);
  const never = new Set(refused);
  if (kind === 'refused') return { lines: [], refused: decisionsIn(lines.filter((_, at) => !has.has(at))) };
  const left = lines.filter((_, at) => !has.has(at) && !never.has(at));
  return { lines: left, refused: decisionsIn(lines.filter((_, at) => never.has(at) && !has.has(at))) };
}

function epochOf(line: string): number | undefined {
  const timestamp = /"timestamp":"([^"]{1,40})"/.exec(line.slice(0, MAX_HEAD))?.[1];
  const epochMs = timestamp === undefined ? Number.NaN : Date.parse(timestamp);
  return Number.isNaN(epochMs) ? undefined : epochMs;
}

const MAX_HEAD = 2048;
