import type { Clock, StartTimer } from '../../decision/ports.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { type Bundle, requireEntrypoints } from '../bundle.ts';
import { type BundleError, nameBundle } from '../errors.ts';
import type { PollResult } from '../poller.ts';
import type { KeptCopies } from './kept-copies.ts';
import type { PutInForce } from './put-in-force.ts';
import { checkDisjoint, complete } from './set-rules.ts';
import { createTrialCandidate, type Stage } from './trial-candidate.ts';
import { afterAnswer, type Watched } from './watched-state.ts';

export interface TrialWatchOptions {
  readonly watched: readonly Watched[];
  readonly entrypoints: readonly string[];
  readonly putInForce: Pick<PutInForce, 'inTurn' | 'examine'>;
  /** Absent: nothing is tried. */
  readonly stage: Stage | undefined;
  readonly refuses: (sha256: string) => boolean;
  readonly decides: (sha256: string) => boolean;
  /** Of candidates; absent: none is kept. */
  readonly copies: KeptCopies | undefined;
  readonly labels: { readonly [name: string]: string };
  readonly stopping: AbortSignal;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly logger: Pick<Logger, 'warn'>;
  readonly metrics: Pick<Metrics, 'bundleCopyFailed'>;
  readonly warn: (one: Watched, fault: BundleError, message: string) => void;
  readonly onChange: () => void;
}

/** Gives each bundle that config names a trial for its candidate, and asks for it. */
export interface TrialWatch {
  /** Never rejects. The candidate's faults are none of the bundle that is in force. */
  readonly attemptTrial: (one: Watched, signal: AbortSignal, waitSeconds: number) => Promise<PollResult>;
}

export function createTrialWatch(options: TrialWatchOptions): TrialWatch {
  const { watched, entrypoints, putInForce, stage, refuses, decides, copies, labels, stopping } = options;
  const { clock, startTimer, logger, metrics, warn, onChange } = options;
  for (const one of watched) {
    const { trial } = one;
    if (trial === undefined || stage === undefined) continue;
    one.candidate = createTrialCandidate({
      one,
      trial,
      stable: () => {
        const set = complete(watched.map(({ active }) => active?.bundle));
        if (one.active === undefined || set === undefined) return undefined;
        const withCandidate = (bundle: Bundle) => set.map((other) => (other.name === bundle.name ? bundle : other));
        return { active: one.active, withCandidate };
      },
      examine: async (bundles) => {
        checkDisjoint(bundles);
        requireEntrypoints(bundles, entrypoints);
        await putInForce.examine(bundles);
      },
      stage,
      refuses,
      decides,
      copies,
      onNotKept: (error) => {
        metrics.bundleCopyFailed(one.name);
        const fields = { bundle: one.name, error: error instanceof Error ? error.message : String(error) };
        logger.warn(fields, 'bundle candidate not kept on disk: after a restart the former one decides');
      },
      labels,
      clock,
      startTimer,
      inTurn: putInForce.inTurn,
      onFault: (fault) => {
        warn(one, fault, 'bundle candidate refused');
        onChange();
      },
    });
  }

  /** Of the candidate: its faults are none of the bundle that is in force. */
  const attemptTrial = (one: Watched, signal: AbortSignal, waitSeconds: number): Promise<PollResult> => {
    const turn = one.trialAttempt.then(async (): Promise<PollResult> => {
      const { candidate, interrupt } = one;
      if (candidate === undefined) return 'good';
      const startedMs = clock.now().monotonicMs;
      try {
        const changed = await candidate.refresh(AbortSignal.any([signal, interrupt.signal]), waitSeconds);
        if (changed) onChange();
        return afterAnswer(one, { waitSeconds, changed, tookMs: clock.now().monotonicMs - startedMs });
      } catch (error) {
        if (stopping.aborted) return 'failed';
        if (interrupt.signal.aborted) return 'again';
        warn(one, nameBundle(one.name, error, 'bundle_rejected'), 'bundle candidate refused');
        onChange();
        return 'failed';
      }
    });
    one.trialAttempt = turn;
    return turn;
  };

  return { attemptTrial };
}
