import type { StartTimer } from '../decision/ports.ts';
import type { DecisionLogMetrics, DecisionLogState } from '../telemetry/decision-log-metrics.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { DecisionLogConfig } from './config.ts';
import { createDelivery, type Delivery } from './delivery.ts';
import { createGatheredLines } from './gathered-lines.ts';
import { deniedShare, type Lane } from './lane.ts';
import { isRemote, type Sink } from './sink.ts';
import { createSinkWriter, type Output } from './sink-writer.ts';
import { createSpool, type Spool, type SpoolReader, type SpoolReport } from './spool/spool.ts';
import type { SpoolFiles } from './spool/spool-files.ts';

/** All that a line goes to: local sinks, and the spool, from which it goes on to the remote ones. */
export interface Outputs {
  push(line: string, lane: Lane): void;
  /** Whether each would take one more beside so many that are still to come. */
  hasRoom(lane: Lane, queued: number, deniedQueued: number): boolean;
  /** The most lines that wait for one of them, of all or of one lane. */
  waiting(lane?: Lane): number;
  state(epochMs: number): Omit<DecisionLogState, 'queued'>;
  open(): Promise<void>;
  reopen(): Promise<void>;
  /** Writes what is waiting, for two seconds at most. */
  close(): Promise<void>;
}

export interface OutputsOptions {
  readonly sinks: readonly Sink[];
  readonly config: Pick<DecisionLogConfig, 'queue' | 'spool' | 'when_full'>;
  readonly files: SpoolFiles;
  readonly startTimer: StartTimer;
  readonly random: () => number;
  readonly metrics: Pick<Metrics, 'decisionLogSinkFailed'> & { readonly decisionLog?: DecisionLogMetrics };
  readonly logger: Pick<Logger, 'limited'>;
  readonly drop: (decisions: number, why: string) => void;
  /** Calls back once, after lines had some time to gather. */
  readonly gather: (run: () => void) => void;
  readonly onProgress: () => void;
}

export function createOutputs(options: OutputsOptions): Outputs {
  const { sinks, config, startTimer, random, metrics, logger, drop, gather, onProgress } = options;
  const maxLines = config.queue.max_events;
  const maxDenied = deniedShare(maxLines);
  const remotes = sinks.filter(isRemote);
  const spool = remotes.length === 0 ? undefined : createSpoolOf(options);

  const onFailed = (sink: string, error: unknown): void => {
    metrics.decisionLogSinkFailed(sink);
    logger.limited(`decision-log-sink-${sink}`, 'error', { sink, error }, 'a sink refused events');
  };
  const writers = sinks
    .filter((sink) => !isRemote(sink))
    .map((sink) =>
      createSinkWriter({
        sink,
        maxLines,
        onProgress,
        ...(config.when_full === 'drop' ? {} : { startRetry: startTimer }),
        onDropped: (decisions) => drop(decisions, `sink ${sink.name}`),
        onFailed: (error) => onFailed(sink.name, error),
      }),
    );
  const outputs: readonly Omit<Output, 'reopen'>[] = spool === undefined ? writers : [...writers, spool];
  const gathered = createGatheredLines({
    gather,
    passOn: (line, lane) => {
      for (const output of outputs) output.push(line, lane);
    },
  });
  const deliveries = new Map<string, Delivery>();
  for (const sink of remotes) {
    const delivery = createDelivery({
      sink,
      startTimer,
      random,
      onRefused: (decisions) => drop(decisions, `sink ${sink.name} refused`),
      onFailed: (error) => onFailed(sink.name, error),
      onDelivered: (events) => metrics.decisionLog?.delivered(sink.name, events),
    });
    deliveries.set(sink.name, delivery);
  }

  return {
    push: (line, lane) => gathered.push(line, lane),
    hasRoom: (lane, queued, deniedQueued) => {
      const coming = queued + gathered.waiting();
      for (const output of outputs) {
        if (!output.hasRoom(lane) || coming + output.waiting() >= maxLines) return false;
        if (lane === 'denied' && deniedQueued + gathered.waiting('denied') + output.waiting('denied') >= maxDenied) {
          return false;
        }
      }
      return true;
    },
    waiting: (lane) => {
      let most = 0;
      for (const output of outputs) most = Math.max(most, output.waiting(lane));
      return gathered.waiting(lane) + most;
    },
    state: (epochMs) => {
      const oldest = [...deliveries.values()].flatMap((delivery) => delivery.oldestEpochMs() ?? []);
      return {
        spoolWaiting: spool?.waiting() ?? 0,
        spoolBytes: spool?.bytes ?? 0,
        oldestSeconds: oldest.length === 0 ? 0 : Math.max(0, (epochMs - Math.min(...oldest)) / 1000),
      };
    },
    open: async () => {
      for (const sink of sinks) await sink.open();
      if (spool === undefined) return;
      await spool.open();
      // All of them first: what is delivered may go once every sink that is known is done with it.
      const readers = new Map<Delivery, SpoolReader>();
      for (const [sink, delivery] of deliveries) readers.set(delivery, await spool.reader(sink));
      for (const [delivery, reader] of readers) delivery.start(reader);
    },
    reopen: async () => {
      await Promise.all([...writers.map((writer) => writer.reopen()), ...remotes.map((sink) => sink.reopen())]);
    },
    close: async () => {
      gathered.flush();
      const written = Promise.all(outputs.map((output) => output.idle()));
      const delivered = written.then(() => Promise.all([...deliveries.values()].map((delivery) => delivery.idle())));
      await within(startTimer, STOP_MS, delivered);
      const left = outputs.reduce((sum, output) => sum + output.abandon(), 0);
      if (left > 0) drop(left, 'deadline');
      await within(startTimer, STOP_MS, closeAll([...deliveries.values()], remotes, outputs));
    },
  };
}

const STOP_MS = 2000;

function createSpoolOf({ config, files, startTimer, metrics, logger, drop, onProgress }: OutputsOptions): Spool {
  const { spool: spoolConfig, queue } = config;
  if (spoolConfig === undefined) throw new TypeError('a remote sink needs `decision_log.spool.dir`');
  return createSpool({
    config: spoolConfig,
    maxLines: queue.max_events,
    files,
    startTimer,
    onProgress,
    onDropped: drop,
    report: (report) => reportSpool(report, metrics, logger),
  });
}

function reportSpool(report: SpoolReport, metrics: OutputsOptions['metrics'], logger: OutputsOptions['logger']): void {
  if (report.kind === 'failed') {
    metrics.decisionLog?.spoolFailed();
    const { error } = report;
    logger.limited('decision-log-spool', 'error', { error }, 'the spool cannot be written or read: it is tried again');
    return;
  }
  if (report.kind === 'quarantine_lost') metrics.decisionLog?.quarantineLost(report.bytes);
  else metrics.decisionLog?.spoolDamaged(report.kind);
  logger.limited(`decision-log-spool-${report.kind}`, 'warn', { ...report }, DAMAGE[report.kind]);
}

const DAMAGE: Readonly<Record<Exclude<SpoolReport['kind'], 'failed'>, string>> = {
  torn: 'an unfinished event was cut off',
  corrupt: 'a piece of the spool was quarantined',
  cursor: 'how far a sink had come in the spool cannot be told: it is given events again',
  quarantine_lost: 'quarantined pieces of the spool were given up for want of room',
};

/** Deliveries first: what they were done with is then in the cursors that the spool saves. */
async function closeAll(
  deliveries: readonly Delivery[],
  remotes: readonly Sink[],
  outputs: readonly Omit<Output, 'reopen'>[],
): Promise<void> {
  await Promise.allSettled(deliveries.map((delivery) => delivery.stop()));
  await Promise.allSettled([...outputs, ...remotes].map((one) => one.close()));
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
