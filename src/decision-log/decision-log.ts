import { deny } from '../decision/decision.ts';
import type { Authorize, Clock, Outcome, StartTimer } from '../decision/ports.ts';
import type { DecisionLogMetrics } from '../telemetry/decision-log-metrics.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { systemClock } from '../telemetry/system-clock.ts';
import { createSpanIds } from '../telemetry/tracing.ts';
import type { AdministrativeEvent } from './administrative.ts';
import { createAggregates } from './aggregates.ts';
import type { DecisionLogConfig } from './config.ts';
import { deniedShare, type Lane, laneOf } from './lane.ts';
import { createSinks } from './make-sinks.ts';
import { createOutputs } from './outputs.ts';
import { createQueue } from './queue.ts';
import { createQueuedLines, type Queued } from './queued-lines.ts';
import { createSampledTrace, type ExplainNow } from './sampled-trace.ts';
import type { Sink } from './sink.ts';
import { type SpoolFiles, systemFiles } from './spool/spool-files.ts';
import type { Stdout } from './stdout-sink.ts';
import { createWaiters } from './waiters.ts';

export interface DecisionLog {
  /** Queues an outcome in constant time: nothing is built or written before the caller goes on. Never throws. */
  record(outcome: Outcome): void;
  /** The same, and answers what to answer: as `when_full` says where there is no room. Never throws or rejects. */
  settle(outcome: Outcome): Outcome | Promise<Outcome>;
  /** Queues what the service or an operator did, with the room of what is permitted. Never throws. */
  recordAdministrative(event: AdministrativeEvent): void;
  /** Opens the sinks and the spool; rejects when one cannot be opened. */
  start(): Promise<void>;
  /** Writes what is waiting, for two seconds at most; what is then in no spool counts as dropped. */
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
  readonly metrics: Pick<Metrics, 'decisionLogDropped' | 'decisionLogSinkFailed' | 'trackDecisionLogQueue'> & {
    readonly decisionLog?: DecisionLogMetrics;
  };
  readonly logger: Pick<Logger, 'limited'>;
  readonly randomBytes: (size: number) => Uint8Array;
  readonly startTimer: StartTimer;
  readonly monotonicMs: () => number;
  readonly stdout: Stdout;
  /** The system's by default. */
  readonly clock?: Clock;
  readonly random?: () => number;
  /** `setImmediate` by default. */
  readonly schedule?: (run: () => void) => void;
  /** The sinks of the config by default. */
  readonly sinks?: readonly Sink[];
  readonly files?: SpoolFiles;
  /** The client's address by local config; by default the source of the request. */
  readonly clientIp?: Parameters<typeof createAggregates>[0]['clientIp'];
  /** With `when_full: deny`: hears of every Allow that became a Deny, to give back what was taken for it. */
  readonly onDenied?: (outcome: Outcome) => void;
  /** For `decision_log.trace`; called after the reply. */
  readonly explain?: ExplainNow;
}

export function createDecisionLog(options: DecisionLogOptions): DecisionLog {
  const { config, labels, instanceId, metrics, logger, startTimer, monotonicMs, schedule = setImmediate } = options;
  const { clock = systemClock, random = Math.random, files = systemFiles, onDenied, explain } = options;
  const { when_full: whenFull } = config;
  const sinks =
    options.sinks ?? createSinks(config.sinks, { clock, startTimer, labels, instanceId, stdout: options.stdout });
  const maxEvents = config.queue.max_events;
  const maxDenied = deniedShare(maxEvents);
  let sequence = 0;
  let deniedQueued = 0;
  let stopped = false;

  const drop = (decisions: number, why: string): void => {
    metrics.decisionLogDropped(decisions);
    metrics.decisionLog?.dropped(decisions, why);
    logger.limited(`decision-log-${why}`, 'warn', { why, decisions }, 'decision events were dropped');
  };
  const outputs = createOutputs({
    ...{ sinks, config, files, startTimer, random, metrics, logger, drop },
    // Events are built at once, since what they are built of is much to keep, and written many at a time.
    gather: options.schedule ?? ((run) => startTimer(GATHER_MS, run)),
    onProgress: () => waiters.wake(),
  });
  const queuedLines = createQueuedLines({
    ...{ config, metrics, logger },
    parts: { labels, instanceId },
    nextSpanId: createSpanIds(options.randomBytes),
    ...(config.trace === undefined || explain === undefined
      ? {}
      : { sampledTrace: createSampledTrace({ config: config.trace, explain, random, monotonicMs }) }),
  });
  const queue = createQueue<Queued>({
    maxItems: maxEvents + ADMINISTRATIVE_RESERVE,
    schedule,
    monotonicMs,
    consume: (queued) => {
      if (queued.lane === 'denied') deniedQueued -= 1;
      try {
        outputs.push(queuedLines(queued), queued.lane);
      } catch (error) {
        drop(decisionsOf(queued), 'unwritable');
        logger.limited('decision-log-event', 'error', { error }, 'an outcome could not be made into an event');
      }
    },
    onProgress: () => waiters.wake(),
  });
  const hasRoom = (lane: Lane): boolean => {
    const queued = queue.length;
    if (queued >= maxEvents || (lane === 'denied' && deniedQueued >= maxDenied)) return false;
    // What may be lost at a sink is lost there, and by that sink alone; otherwise nothing is taken that no sink can take.
    return whenFull === 'drop' || outputs.hasRoom(lane, queued, deniedQueued);
  };
  const waiters = createWaiters({ hasRoom, startTimer });
  const push = (queued: Unnumbered): void => {
    sequence += 1;
    // The reserve is for the service's own events alone.
    const isTaken = (queued.lane === 'kept' || hasRoom('denied')) && queue.push({ ...queued, sequence });
    if (!isTaken) drop(decisionsOf(queued), 'queue');
    else if (queued.lane === 'denied') deniedQueued += 1;
  };
  const pushOutcome = (outcome: Outcome, lane: Lane): void => {
    sequence += 1;
    if (lane === 'denied') deniedQueued += 1;
    queue.push({ lane, sequence, outcome });
  };
  const aggregates = createAggregates({
    abovePerSecond: config.aggregate.above_per_second,
    clientIp: options.clientIp ?? (() => undefined),
    onFirst: () => {
      cancelAggregates = startTimer(AGGREGATE_MS, pushAggregates);
    },
  });
  let cancelAggregates = (): void => {};
  const pushAggregates = (): void => {
    for (const aggregate of aggregates.take()) {
      metrics.decisionLog?.aggregated(aggregate.count);
      push({ lane: 'denied', aggregate });
    }
  };
  const isPressed = (): boolean => {
    const denied = deniedQueued + outputs.waiting('denied');
    return denied > PRESSED_AT_LEAST && denied * 2 > maxDenied;
  };
  const record = (outcome: Outcome): boolean => {
    if (stopped) return false;
    const lane = laneOf(outcome);
    if (lane === 'denied' && aggregates.add(outcome, isPressed())) return true;
    if (!hasRoom(lane)) return false;
    pushOutcome(outcome, lane);
    return true;
  };
  const lose = (why: string): void => {
    sequence += 1;
    drop(1, stopped ? 'stopped' : why);
  };
  const waitForRoom = async (outcome: Outcome): Promise<Outcome> => {
    const ms = Math.min(config.block_ms, leftMs(outcome, monotonicMs()));
    const lane = laneOf(outcome);
    metrics.decisionLog?.blocked();
    if (ms <= 0 || !(await waiters.wait(lane, ms, () => pushOutcome(outcome, lane)))) lose('blocked');
    return outcome;
  };
  const toDenied = (outcome: Outcome): Outcome => {
    lose('denied');
    metrics.decisionLog?.denied();
    try {
      onDenied?.(outcome);
    } catch (error) {
      logger.limited('decision-log-give-back', 'error', { error }, 'what a denied Allow took was not given back');
    }
    // What was taken is given back, once: nobody finds it in the answer again.
    const { take: _, reservationId: __, observed: ___, ...rest } = outcome;
    return { ...rest, decision: deny('overloaded'), cause: 'the decision log has no room' };
  };
  const isRecorded = (outcome: Outcome): boolean => {
    try {
      return record(outcome);
    } catch (error) {
      logger.limited('decision-log-event', 'error', { error }, 'an outcome could not be made into an event');
      return false;
    }
  };
  metrics.trackDecisionLogQueue(() => Math.max(queue.length, outputs.waiting()));
  metrics.decisionLog?.track(() => ({ queued: queue.length, ...outputs.state(clock.now().epochMs) }));

  return {
    record: (outcome) => {
      if (!isRecorded(outcome)) lose('queue');
    },
    settle: (outcome) => {
      if (isRecorded(outcome)) return outcome;
      if (!stopped && whenFull === 'block') return waitForRoom(outcome);
      if (whenFull === 'deny' && outcome.decision.kind === 'allow') return toDenied(outcome);
      lose('queue');
      return outcome;
    },
    recordAdministrative: (event) => {
      if (stopped) lose('stopped');
      else push({ lane: 'kept', event, epochMs: clock.now().epochMs });
    },
    start: () => outputs.open(),
    stop: async () => {
      if (stopped) return;
      stopped = true;
      cancelAggregates();
      pushAggregates();
      waiters.end();
      queue.drain();
      await outputs.close();
    },
    reopen: () => outputs.reopen(),
  };
}

/** Records every outcome once it is decided, and answers what the log settles on: the outcome itself, nearly always. */
export function withDecisionLog(
  authorize: Authorize,
  log: Pick<DecisionLog, 'record'> & Partial<Pick<DecisionLog, 'settle'>>,
): Authorize {
  const settle = (outcome: Outcome): Outcome | Promise<Outcome> => {
    try {
      if (log.settle === undefined) log.record(outcome);
      else {
        const settled = log.settle(outcome);
        return settled instanceof Promise ? settled.catch(() => outcome) : settled;
      }
    } catch {
      // INVARIANT: a decision that was made is answered, whatever becomes of its record.
    }
    return outcome;
  };
  return (request) => {
    const outcome = authorize(request);
    return outcome instanceof Promise ? outcome.then(settle) : settle(outcome);
  };
}

type Unnumbered = Queued extends infer One ? (One extends Queued ? Omit<One, 'sequence'> : never) : never;

const GATHER_MS = 10;
const AGGREGATE_MS = 1000;
/** Events of the service itself that find room where nothing else does. */
const ADMINISTRATIVE_RESERVE = 256;
/** Fewer waiting denials are no pressure, however small the queue. */
const PRESSED_AT_LEAST = 64;
/** What an answer needs on its way to the gateway. */
const ANSWER_MS = 5;

/** Decisions that are lost with it. */
function decisionsOf(queued: Unnumbered): number {
  return 'aggregate' in queued ? queued.aggregate.count : 1;
}

/** Until the answer is due. */
function leftMs({ request, at }: Outcome, nowMs: number): number {
  if ('unreadable' in request || request.deadlineMs === undefined) return Number.MAX_SAFE_INTEGER;
  return at.monotonicMs + request.deadlineMs - nowMs - ANSWER_MS;
}
