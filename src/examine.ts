import { Worker } from 'node:worker_threads';
import type { Bundle } from './bundle/bundle.ts';
import { BundleError, cutFault } from './bundle/errors.ts';
import type { Config } from './config/config.ts';
import type { StartTimer } from './decision/ports.ts';
import type { PreparedSet } from './prepared-set.ts';
import type { Logger } from './telemetry/logger.ts';

/** What the worker is given, and what it answers. */
export interface Examination {
  readonly config: Pick<Config, 'network' | 'compatibility' | 'policy'>;
  readonly bundles: readonly Bundle[];
  /** For how long it decides the bundle's cases again, so that what is slow when it is warm shows too. */
  readonly warmUpMs: number;
}

export type ExaminationResult =
  | {
      readonly kind: 'passed';
      readonly prepared: PreparedSet;
      readonly cases: number;
      readonly loadMs: number;
      readonly slowestMs: number;
    }
  | { readonly kind: 'failed'; readonly message: string };

export interface ExamineParts {
  readonly config: Examination['config'];
  readonly timeoutMs: number;
  readonly memoryMb: number;
  readonly startTimer: StartTimer;
  readonly logger: Pick<Logger, 'info'>;
}

/**
 * Loads a set of bundles in a thread of its own and decides its request cases there: what loops, grows without end,
 * crashes or fails its own cases is refused before the service has touched it. Answers what was made of them there.
 * Rejects with a `BundleError`.
 */
export function createExamine(
  parts: ExamineParts,
): (bundles: readonly Bundle[], signal: AbortSignal) => Promise<PreparedSet> {
  const { config, logger, memoryMb } = parts;
  return async (bundles, signal) => {
    const { network, compatibility, policy } = config;
    const examination: Examination = {
      config: { network, compatibility, policy },
      bundles,
      warmUpMs: WARM_UP_MS,
    };
    const worker = new Worker(WORKER, {
      workerData: examination,
      resourceLimits: { maxOldGenerationSizeMb: memoryMb },
      // What it prints is nobody's log line.
      stdout: true,
      stderr: true,
    });
    try {
      const result = await answerOf(worker, parts, signal);
      if (result.kind === 'failed') throw new BundleError('bundle_rejected', cutFault(result.message));
      const revisions = Object.fromEntries(bundles.map(({ name, revision }) => [name, revision]));
      const { prepared, ...figures } = result;
      logger.info({ revisions, ...figures }, 'bundles passed their trial');
      return prepared;
    } finally {
      await worker.terminate();
    }
  };
}

const WARM_UP_MS = 100;
/** Beside this file, compiled or not. */
const WORKER = new URL(`./trial-worker${import.meta.url.slice(-3)}`, import.meta.url);

function answerOf(
  worker: Worker,
  { startTimer, timeoutMs }: ExamineParts,
  signal: AbortSignal,
): Promise<ExaminationResult> {
  return new Promise((resolve, reject) => {
    const refuse = (message: string, cause?: unknown): void =>
      reject(new BundleError('bundle_rejected', cutFault(message), { cause }));
    const stopTimer = startTimer(timeoutMs, () =>
      refuse(`its trial took longer than ${timeoutMs} ms: a rule loops, or \`agent.trial.timeout_ms\` is too short`),
    );
    const stopped = (): void => refuse('the service is stopping');
    if (signal.aborted) stopped();
    signal.addEventListener('abort', stopped, { once: true });
    worker.once('message', (result: ExaminationResult) => resolve(result));
    worker.once('error', (error) => refuse(`its trial ended with: ${error.message}`, error));
    worker.once('exit', () => {
      stopTimer();
      signal.removeEventListener('abort', stopped);
      refuse('its trial ended without an answer');
    });
  });
}
