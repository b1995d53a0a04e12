import type { StagedGeneration } from '../decision/generations.ts';
import type { Outcome } from '../decision/ports.ts';
import { createShare } from './arms.ts';
import { type RolloutCandidate, type RolloutOrder, rollbackForbidden } from './candidate.ts';
import { type Comparer, type ComparerParts, createComparer, type Overruns } from './comparer.ts';
import type { RolloutConfig, RolloutStep } from './config.ts';
import { createFindings, type Findings } from './findings.ts';
import { createTally, type Trip, trippedRail } from './guard-rails.ts';
import type { TrialState } from './state.ts';
import type { RolloutPhase } from './status.ts';
import type { Tally } from './tally.ts';

/** One candidate under trial. */
export interface Trial {
  readonly candidate: RolloutCandidate;
  readonly staged: StagedGeneration;
  readonly findings: Findings;
  order: RolloutOrder | undefined;
  state: RolloutPhase;
  reason: string | undefined;
  paused: string | undefined;
  /** The last trip; nothing is judged until it is cleared. */
  tripped: Trip | undefined;
  trips: number;
  step: number;
  elapsedMs: number;
  /** Whether it may decide for anybody: it was compared first. */
  cleared: boolean;
  readonly percent: () => number;
  /** Of the verified tenants; does nothing where it stands already. */
  readonly decideFor: (percent: number) => void;
  /** Votes of this window, and since the step began. */
  readonly votes: () => { readonly window: Tally; readonly step: Tally };
  readonly record: (outcome: Outcome) => void;
  /** Begins a new window when this one is over, and says which rail tripped. */
  readonly judge: (nowMs: number) => Trip | undefined;
  /** Clears it once enough voters were compared, or it was compared for long enough; asked after `judge` found nothing. */
  readonly clear: (nowMs: number) => void;
  /** What was too slow to go on comparing; absent where nothing was. */
  readonly overruns: () => Overruns | undefined;
  /** Forgets the votes and the trip: a new step, or a person's word. */
  readonly beginAnew: () => void;
  readonly toState: () => TrialState;
  /** Where the candidate that takes its place begins, for the same callers; `undefined`: anew. */
  readonly toHeir: (sha256: string) => TrialState | undefined;
  /** Compares nothing any more. */
  readonly end: () => void;
}

/** Whether a trip says something now. */
export function isJudged({ tripped, state }: Trial): boolean {
  return tripped === undefined && (state === 'waiting' || state === 'shadow' || state === 'canary');
}

export interface TrialParts extends Omit<ComparerParts, 'candidate' | 'onCompared' | 'config'> {
  readonly config: RolloutConfig;
  readonly candidate: RolloutCandidate;
  readonly staged: StagedGeneration;
  readonly order: RolloutOrder | undefined;
  readonly salt: string;
  readonly hasTenants: () => boolean;
  /** Where it stood before a restart. */
  readonly before: TrialState | undefined;
}

export function createTrial({ candidate, staged, salt, before, order, hasTenants, ...parts }: TrialParts): Trial {
  const { config, clock } = parts;
  const rails = config.guard_rails;
  const findings = createFindings();
  const armsOf = before?.armsOf ?? candidate.sha256;
  const share = createShare(salt, armsOf);
  let window = createTally(rails, hasTenants);
  let step = createTally(rails, hasTenants);
  const clearAtMs = clock.now().monotonicMs + rails.compare_first_seconds * 1_000;
  let windowEndMs = clock.now().monotonicMs + rails.window_seconds * 1_000;
  let percent = 0;
  let dirty = false;
  const comparer: Comparer = createComparer({
    ...parts,
    candidate: staged.generation,
    onCompared: ({ outcome, comparison, voter, vote }) => {
      findings.add(outcome, comparison, vote.timing);
      if (voter === undefined) return;
      window.add(voter, vote);
      step.add(voter, vote);
      dirty = true;
    },
  });

  function clearVotes(): void {
    window = createTally(rails, hasTenants);
    step = createTally(rails, hasTenants);
    comparer.beginWindow();
  }

  const trial: Trial = {
    candidate,
    staged,
    findings,
    order,
    state: 'waiting',
    reason: undefined,
    paused: before?.paused,
    tripped: undefined,
    trips: 0,
    ...placeIn(config.steps, before),
    cleared: rails.compare_first_seconds === 0 || (before?.percent ?? 0) > 0,
    percent: () => percent,
    decideFor: (wanted) => {
      if (wanted === percent) return;
      percent = wanted;
      if (wanted <= 0) staged.decideForNobody();
      else staged.decideFor((principal) => share(principal) < wanted);
    },
    votes: () => ({ window, step }),
    record: (outcome) => comparer.offer(outcome),
    judge: (nowMs) => {
      let trip: Trip | undefined;
      if (dirty) {
        dirty = false;
        trip = trippedRail(rails, window.count()) ?? trippedRail(rails, step.count());
      }
      if (nowMs >= windowEndMs) {
        windowEndMs = nowMs + rails.window_seconds * 1_000;
        window = createTally(rails, hasTenants);
        comparer.beginWindow();
      }
      return trip;
    },
    clear: (nowMs) => {
      if (step.count().voters >= rails.min_principals) trial.cleared = true;
      // Whoever makes it slow does not have it decide uncompared.
      else if (nowMs >= clearAtMs && !comparer.isBackedOff()) trial.cleared = true;
    },
    overruns: () => comparer.overruns(),
    beginAnew: () => {
      trial.tripped = undefined;
      clearVotes();
    },
    toState: () => ({
      sha256: candidate.sha256,
      step: trial.step,
      elapsedMs: Math.round(trial.elapsedMs),
      percent,
      ...(armsOf === candidate.sha256 ? {} : { armsOf }),
      ...(trial.paused === undefined ? {} : { paused: trial.paused }),
    }),
    toHeir: (sha256) => {
      if (percent === 0 || rollbackForbidden(candidate) === undefined) return undefined;
      if (sha256 === candidate.sha256) return trial.toState();
      return { sha256, step: trial.step, elapsedMs: 0, percent, armsOf };
    },
    end: () => comparer.stop(),
  };
  return trial;
}

/** Where it stood, among the steps of today: none counts as gone through that was not. */
function placeIn(
  steps: readonly RolloutStep[],
  before: TrialState | undefined,
): { readonly step: number; readonly elapsedMs: number } {
  const { step, elapsedMs } = before ?? { step: 0, elapsedMs: 0 };
  return step < steps.length ? { step, elapsedMs } : { step: Math.max(0, steps.length - 1), elapsedMs: 0 };
}
