import type { Clock, StartTimer } from '../../decision/ports.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { StatusConfig } from '../config-agent.ts';
import { createCredentials } from '../sources/credentials.ts';
import { createHttpClient } from '../sources/http-client.ts';
import { type ReportedCandidate, toStatusDocument } from './status-document.ts';
import type { BundleStatus } from './watched-bundle.ts';

export interface StatusReporterOptions {
  readonly config: StatusConfig;
  readonly status: () => ReadonlyMap<string, BundleStatus>;
  readonly candidateOf: (bundle: string) => ReportedCandidate | undefined;
  readonly labels: { readonly [name: string]: string };
  readonly instanceId: string;
  /** Of this program. */
  readonly version: string;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  /** In [0, 1). */
  readonly random: () => number;
  readonly logger: Pick<Logger, 'limited'>;
}

/** Tells a server what this instance runs. Nothing waits for it, and what it cannot tell now it tells later. */
export interface StatusReporter {
  start(): void;
  /** Something that is told has changed: it is told soon, at most once a second. */
  changed(): void;
  /** Aborts a report under way and waits for it. */
  stop(): Promise<void>;
}

export function createStatusReporter(options: StatusReporterOptions): StatusReporter {
  const { config, status, candidateOf, labels, instanceId, version, clock, startTimer, random, logger } = options;
  const http = createHttpClient({ startTimer, credentials: createCredentials(config.credentials), tls: config.tls });
  const url = new URL(config.url);
  const stopping = new AbortController();
  let started = false;
  let running: Promise<void> | undefined;
  let cancelTimer = (): void => {};
  let failures = 0;
  let sentAtMs = Number.NEGATIVE_INFINITY;
  /** Changed since the newest report was made. */
  let pending = false;

  const send = async (): Promise<void> => {
    pending = false;
    sentAtMs = clock.now().monotonicMs;
    const document = toStatusDocument({ labels, instanceId, version, bundles: status(), candidateOf });
    try {
      const answer = await http({
        url,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(document),
        maxBytes: MAX_ANSWER_BYTES,
        timeoutMs: TIMEOUT_MS,
        signal: stopping.signal,
      });
      if (answer.status < 200 || answer.status > 299) throw new Error(`the status server answered ${answer.status}`);
      failures = 0;
    } catch (error) {
      if (stopping.signal.aborted) return;
      failures += 1;
      const text = error instanceof Error ? error.message : String(error);
      logger.limited('bundle-status', 'warn', { error: text }, 'the status of the bundles could not be reported');
    }
  };

  const begin = (): void => {
    running = send().then(() => {
      running = undefined;
      if (!stopping.signal.aborted) schedule();
    });
  };

  /** One timer at a time, and none while a report is under way. */
  const schedule = (): void => {
    cancelTimer();
    cancelTimer = startTimer(nextDelayMs(), begin);
  };

  const nextDelayMs = (): number => {
    const intervalMs = config.interval_seconds * 1000;
    if (failures > 0) return Math.min(intervalMs, MIN_GAP_MS * 2 ** Math.min(failures, 16)) * (0.5 + random() / 2);
    if (!pending) return intervalMs * (0.75 + random() / 4);
    const gapMs = clock.now().monotonicMs - sentAtMs;
    return Math.max(0, MIN_GAP_MS - gapMs) + random() * JITTER_MS;
  };

  return {
    start: () => {
      started = true;
      pending = true;
      schedule();
    },
    changed: () => {
      if (pending) return;
      pending = true;
      if (started && running === undefined && failures === 0 && !stopping.signal.aborted) schedule();
    },
    stop: async () => {
      stopping.abort();
      cancelTimer();
      await running;
    },
  };
}

const MIN_GAP_MS = 1_000;
const JITTER_MS = 200;
const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;
