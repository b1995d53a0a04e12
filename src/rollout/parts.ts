import type { Clock, Generation, StartTimer } from '../decision/ports.ts';
import type { Redecide } from '../decision/trial.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { RolloutMetrics } from '../telemetry/rollout-metrics.ts';
import type { RolloutConfig } from './config.ts';
import type { Promote } from './promotion.ts';

/** What a rollout is made of. */
export interface RolloutParts {
  readonly config: RolloutConfig;
  /** Of this agent; orders name them. */
  readonly labels: { readonly [name: string]: string };
  /** Whether signed orders say how it goes, instead of `steps`. */
  readonly followsOrders: boolean;
  /** Absent: the state is lost at a restart. */
  readonly stateFile?: string;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  /** What this thread has had of a processor: a pause of the process is no fault of a policy. */
  readonly cpuMs: () => number;
  /** Calls back in a later turn of the event loop. */
  readonly schedule: (step: () => void) => void;
  /** In [0, 1): which requests are compared. */
  readonly random: () => number;
  /** A secret of at least 128 bits, as text. */
  readonly newSalt: () => string;
  /** The generation in force. */
  readonly currentGeneration: () => Generation | undefined;
  readonly redecide: Redecide;
  readonly promote: Promote;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error' | 'limited'>;
  readonly metrics: RolloutMetrics;
}
