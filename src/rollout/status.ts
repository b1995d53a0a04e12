import type { Overruns } from './comparer.ts';
import type { FindingsReport } from './findings.ts';
import type { RefusedCandidate } from './state.ts';
import type { VoteCount } from './tally.ts';

/** `idle`: nothing is under trial. `waiting`: there is a candidate, and no order or step that lets it decide. */
export type RolloutPhase = 'idle' | 'waiting' | 'shadow' | 'canary' | 'paused' | 'pinned' | 'blocked' | EndedAs;

/** What a trial came to. */
export type EndedAs = 'promoted' | 'rolled_back' | 'aborted' | 'withdrawn';

/** Everything there is to know of a rollout, for operators. */
export interface RolloutStatus {
  readonly state: RolloutPhase;
  /** Why it stands where it does, for people. */
  readonly reason?: string;
  readonly candidate?: {
    readonly bundle: string;
    readonly sha256: string;
    readonly revision: string;
    readonly version?: number;
    readonly security: boolean;
    readonly may_roll_back: boolean;
  };
  /** Of the verified tenants, how many in a hundred the candidate decides for. */
  readonly percent: number;
  readonly step?: {
    readonly number: number;
    readonly of: number;
    readonly minutes: number;
    readonly elapsed_seconds: number;
    readonly voters: number;
    readonly voters_needed: number;
  };
  readonly order?: {
    readonly version: number;
    readonly mode: string;
    readonly percent: number;
    readonly expires: string;
    readonly applies: boolean;
  };
  readonly pin?: 'stable' | 'candidate';
  /** How often a guard rail tripped in this trial. */
  readonly trips: number;
  readonly votes?: { readonly window: VoteCount; readonly step: VoteCount };
  readonly findings?: FindingsReport;
  /** What was too slow to go on comparing; absent where nothing was. */
  readonly overruns?: Overruns;
  readonly refused: readonly RefusedCandidate[];
  /** `false` where the state could not be written: a restart would begin anew. */
  readonly persisted: boolean;
  /** What the trial before came to. */
  readonly last?: EndedTrial;
}

export interface EndedTrial {
  readonly bundle: string;
  readonly sha256: string;
  readonly revision: string;
  readonly state: EndedAs;
  readonly reason: string;
  readonly at: string;
  readonly percent: number;
  readonly trips: number;
  readonly findings: FindingsReport;
}

/** What of it goes into the status document of the agent. */
export interface CandidateStatus {
  readonly sha256: string;
  readonly revision: string;
  /** `refused`: it was taken back before this start. */
  readonly state: RolloutPhase | 'refused';
  readonly step_percent: number;
  readonly reason?: string;
  readonly trips: number;
}

/** What a change by hand came to, as the operations port answers it. */
export type RolloutAnswer =
  | { readonly status: 200; readonly body: object }
  | { readonly status: number; readonly reason: string; readonly detail: string };
