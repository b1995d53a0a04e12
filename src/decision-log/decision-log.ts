import type { Authorize, Outcome, StartTimer } from '../decision/ports.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { createSpanIds } from '../telemetry/tracing.ts';
import { isFault } from './cause.ts';
import type { DecisionLogConfig } from './config.ts';
import { createWriteEvent } from './event.ts';
import { createQueue } from './queue.ts';
import { createSinkWriter, type SinkWriter } from './sink-writer.ts';
import { createSinks, type Sink } from './sinks.ts';
import type { Stdout } from './stdout-sink.ts';

export interface DecisionLog {
  /** Queues an outcome in constant time: nothing is built or written before the caller goes on. Never throws. */
  record(outcome: Outcome): void;
  /** Opens the sinks; rejects when one cannot be opened. */
  start(): Promise<void>;
  /** Writes what is waiting, for two seconds at most; what is then left counts as dropped. */
  stop(): Promise<void>;
  /** Looks files up again, after a log rotation. Rejects when one cannot be opened; it is then written to as before. */
  reopen(): Promise<void>;
}

export interface DecisionLogOptions {
  readonly config: DecisionLogConfig;
  /** On every event: region, version … */
  readonly labels: { readonly [name: string]: string };
  /** Unique to this start of the process. */
  readonly instanceId: string;
  readonly metrics: Pick<Metrics, 'decisionLogDropped' | 'decisionLogSinkFailed' | 'trackDecisionLogQueue'>;
  readonly logger: Pick<Logger, 'limited'>;
  readonly randomBytes: (size: number) => Uint8Array;
  readonly startTimer: StartTimer;
  readonly monotonicMs: () => number;
  readonly stdout: Stdout;
  /** `setImmediate` by default. */
  readonly schedule?: (run: () => void) => void;
  /** The sinks of the config by default. */
  readonly sinks?: readonly Sink[];
}

export function createDecisionLog(options: DecisionLogOptions): DecisionLog {
  const { config, metrics, logger, startTimer, monotonicMs, schedule = setImmediate } = options;
  const sinks = options.sinks ?? createSinks(config.sinks, options.stdout);
  const maxEvents = config.queue.max_events;
  const writeEvent = createWriteEvent({ ...options, nextSpanId: createSpanIds(options.randomBytes) });
  let sequence = 0;
  let stopped = false;

  const drop = (events: number, why: string): void => {
    metrics.decisionLogDropped(events);
    logger.limited(`decision-log-${why}`, 'warn', { why, events }, 'decision events were dropped');
  };
  const writers = sinks.map((sink) =>
    createSinkWriter({
      sink,
      maxLines: maxEvents,
      onDropped: (lines) => drop(lines, `sink ${sink.name}`),
      onFailed: (error) => {
        metrics.decisionLogSinkFailed(sink.name);
        logger.limited(`decision-log-sink-${sink.name}`, 'error', { sink: sink.name, error }, 'a sink refused events');
      },
    }),
  );
  const queue = createQueue<Queued>({
    maxItems: maxEvents,
    // Events are built many at a time, and written with few system calls.
    gather: options.schedule ?? ((run) => startTimer(GATHER_MS, run)),
    schedule,
    monotonicMs,
    consume: (queued) => {
      try {
        const { line, error } = writeEvent(queued.outcome, queued.sequence);
        reportFault(logger, queued.outcome, error?.message);
        for (const writer of writers) writer.push(line);
      } catch (error) {
        drop(1, 'unwritable');
        logger.limited('decision-log-event', 'error', { error }, 'an outcome could not be made into an event');
      }
    },
  });
  metrics.trackDecisionLogQueue(() => Math.max(queue.length, ...writers.map((writer) => writer.length)));

  return {
    record: (outcome) => {
      sequence += 1;
      if (stopped || !queue.push({ outcome, sequence })) drop(1, stopped ? 'stopped' : 'queue');
    },
    start: async () => {
      for (const sink of sinks) await sink.open();
    },
    stop: async () => {
      stopped = true;
      queue.drain();
      await within(startTimer, STOP_MS, Promise.all(writers.map((writer) => writer.idle())));
      const left = abandonAll(writers);
      if (left > 0) drop(left, 'deadline');
      await within(startTimer, STOP_MS, Promise.allSettled(writers.map((writer) => writer.close())));
    },
    reopen: async () => {
      await Promise.all(writers.map((writer) => writer.reopen()));
    },
  };
}

/** Records every outcome once it is decided. The reply is what `authorize` answered, and it waits for nothing. */
export function withDecisionLog(authorize: Authorize, log: Pick<DecisionLog, 'record'>): Authorize {
  return async (request) => {
    const outcome = await authorize(request);
    try {
      log.record(outcome);
    } catch {
      // INVARIANT: a decision that was made is answered, whatever becomes of its record.
    }
    return outcome;
  };
}

interface Queued {
  readonly outcome: Outcome;
  readonly sequence: number;
}

const STOP_MS = 2000;
const GATHER_MS = 10;

/** A denial that is the service's own fault is named in the operational log too, as often as a limit allows. */
function reportFault(logger: Pick<Logger, 'limited'>, outcome: Outcome, cause: string | undefined): void {
  const { decision, decisionId, request } = outcome;
  if (decision.kind === 'allow' || !isFault(decision.code)) return;
  const { code } = decision;
  const fields = { code, decision_id: decisionId, door: request.door, cause };
  logger.limited(`denied-${code}`, 'warn', fields, 'denied by a fault');
}

function abandonAll(writers: readonly SinkWriter[]): number {
  return writers.reduce((left, writer) => left + writer.abandon(), 0);
}

/** Waits for work, but not longer than `ms`. */
async function within(startTimer: StartTimer, ms: number, work: Promise<unknown>): Promise<void> {
  let cancel = (): void => {};
  const late = new Promise<void>((resolve) => {
    cancel = startTimer(ms, resolve);
  });
  await Promise.race([work, late]);
  cancel();
}
