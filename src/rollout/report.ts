import { isFor, rollbackForbidden } from './candidate.ts';
import type { RolloutConfig } from './config.ts';
import type { RolloutMemory } from './memory.ts';
import type { RefusedCandidate } from './state.ts';
import type { CandidateStatus, EndedTrial, RolloutStatus } from './status.ts';
import type { Trial } from './trial.ts';

export interface ReportGiven {
  readonly config: RolloutConfig;
  readonly memory: RolloutMemory;
  readonly trial: Trial | undefined;
  readonly last: EndedTrial | undefined;
  readonly labels: ReadonlyMap<string, string>;
}

/** What operators see; holds no salt and nothing that a caller sent but his verified tenant. */
export function toStatus({ config, memory, trial, last, labels }: ReportGiven): RolloutStatus {
  const pin = memory.pin()?.to;
  const blocked = memory.blocked();
  const around = {
    ...(pin === undefined ? {} : { pin }),
    refused: memory.refused(),
    persisted: memory.isPersisted(),
    ...(last === undefined ? {} : { last }),
  };
  if (trial === undefined) {
    if (blocked !== undefined) return { state: 'blocked', reason: blocked, percent: 0, trips: 0, ...around };
    return { state: 'idle', percent: 0, trips: 0, ...around };
  }
  const { candidate, order, reason } = trial;
  const { bundle, sha256, revision, version, security } = candidate;
  const votes = trial.votes();
  const step = votes.step.count();
  const overruns = trial.overruns();
  return {
    state: trial.state,
    ...(reason === undefined ? {} : { reason }),
    candidate: {
      bundle,
      sha256,
      revision,
      ...(version === undefined ? {} : { version }),
      security,
      may_roll_back: rollbackForbidden(candidate) === undefined,
    },
    percent: trial.percent(),
    ...toStep(config, trial, step.voters),
    ...(order === undefined
      ? {}
      : {
          order: {
            version: order.version,
            mode: order.mode,
            percent: order.percent,
            expires: new Date(Math.min(order.expiresEpochS * 1_000, MAX_DATE_MS)).toISOString(),
            applies: isFor(order, labels) && order.candidate.sha256 === sha256,
          },
        }),
    trips: trial.trips,
    votes: { window: votes.window.count(), step },
    findings: trial.findings.report(),
    ...(overruns === undefined ? {} : { overruns }),
    ...around,
  };
}

/** What became of a trial. */
export function toEnded(
  { candidate, trips, findings, percent }: Trial,
  how: Pick<EndedTrial, 'state' | 'reason' | 'at'>,
): EndedTrial {
  const { bundle, sha256, revision } = candidate;
  return { bundle, sha256, revision, ...how, percent: percent(), trips, findings: findings.report() };
}

/** Of the candidate under trial, else of the last one, so that its end is told too; else of one that is refused. */
export function toCandidateStatus(
  bundle: string,
  trial: Trial | undefined,
  last: EndedTrial | undefined,
  refusal: RefusedCandidate | undefined,
): CandidateStatus | undefined {
  if (trial?.candidate.bundle === bundle) {
    const { candidate, state, reason, trips } = trial;
    const { sha256, revision } = candidate;
    return {
      sha256,
      revision,
      state,
      step_percent: trial.percent(),
      ...(reason === undefined ? {} : { reason }),
      trips,
    };
  }
  if (refusal !== undefined && refusal.sha256 !== last?.sha256) {
    const { sha256, revision, reason } = refusal;
    return { sha256, revision, state: 'refused', step_percent: 0, reason, trips: 0 };
  }
  if (last?.bundle !== bundle) return undefined;
  const { sha256, revision, state, reason, trips } = last;
  return { sha256, revision, state, step_percent: 0, reason, trips };
}

/** The last moment that a `Date` can name (ECMA-262 §21.4.1.1). */
const MAX_DATE_MS = 8.64e15;

function toStep({ steps, guard_rails }: RolloutConfig, trial: Trial, voters: number): Pick<RolloutStatus, 'step'> {
  const step = steps[trial.step];
  if (step === undefined || trial.order !== undefined) return {};
  return {
    step: {
      number: trial.step + 1,
      of: steps.length,
      minutes: step.minutes,
      elapsed_seconds: Math.round(trial.elapsedMs / 1_000),
      voters,
      voters_needed: guard_rails.min_principals,
    },
  };
}
