import type { Bundle } from '../bundle/bundle.ts';
import type { Config } from '../config/config.ts';
import type { Generation, Outcome } from '../decision/ports.ts';
import type { Try } from '../decision/trial.ts';

/** What decides cases, without a service around it. */
export interface Trial {
  readonly tryOnce: Try;
  /** Throws where the bundles cannot be decided by. */
  readonly load: (
    bundles: readonly Bundle[],
  ) => Promise<{ readonly generation: Generation; readonly close: () => void }>;
  /** The decision event of an outcome, parsed, as the log of this config would have it. */
  readonly toEvent: (outcome: Outcome, sequence: number) => unknown;
}

/** What the commands that run request cases are given. */
export interface CasesPorts {
  readonly openTrial: (config: Config) => Trial;
}
