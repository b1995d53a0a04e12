import type { StagedGeneration } from '../decision/generations.ts';
import type { Outcome } from '../decision/ports.ts';
import type { RolloutCandidate, RolloutOrder } from './candidate.ts';
import type { Changes } from './changes.ts';
import type { CandidateStatus, RolloutStatus } from './status.ts';

/** Brings one candidate at a time into force, or takes it back. Nothing here is on the way of a request. */
export interface Rollout extends Changes {
  /** Reads what was before a restart; a damaged state is said, and then no canary runs. */
  start(): Promise<void>;
  /** Judges and writes for the last time; what is staged stays as it is. */
  stop(): Promise<void>;
  /** Puts a candidate under trial, in the place of another. `false`: it was taken back before, and is withdrawn at once. */
  stage(candidate: RolloutCandidate, staged: StagedGeneration, order?: RolloutOrder): boolean;
  /** The newest verified order, and the instances of which the server says that a rail tripped there. */
  setOrder(order: RolloutOrder | undefined, trips?: readonly string[]): void;
  /** Whether this archive was taken back once, so that it is not to be staged. */
  refusesCandidate(sha256: string): boolean;
  /** The later of the clock and the newest time ever seen here, also before a restart; `Infinity` where that is lost. */
  readonly nowEpochMs: () => number;
  /** Whether it decides for anybody; of one that is not staged yet: whether it did before the restart. */
  decides(sha256: string): boolean;
  /** The candidate is none any more. */
  withdraw(): void;
  /** Called after the reply; O(1), never throws for what it is told. */
  record(outcome: Outcome): void;
  status(): RolloutStatus;
  /** For the status document, also of one that was taken back; `offered`: even before a restart. */
  candidateStatus(bundle: string, offered?: string): CandidateStatus | undefined;
  /** Called when something that `candidateStatus` tells has changed. */
  onChanged(callback: () => void): void;
  /** Called within the step in which the candidate came into force for everybody. */
  onPromoted(callback: (candidate: RolloutCandidate) => void): void;
  /** Called once a candidate was taken back, by itself or by hand. */
  onTakenBack(callback: (candidate: RolloutCandidate, reason: string) => void): void;
}
