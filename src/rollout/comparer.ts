import type { Clock, Generation, Outcome, StartTimer } from '../decision/ports.ts';
import type { Redecide } from '../decision/trial.ts';
import type { RolloutMetrics } from '../telemetry/rollout-metrics.ts';
import { createAdmission } from './admission.ts';
import { type Comparison, compareOutcomes, isSuspect } from './comparison.ts';
import type { RolloutConfig } from './config.ts';
import type { Vote } from './tally.ts';
import { type Voter, voterOf } from './voter.ts';

/** Decides a sample of what was decided once more by the other bundle, after the reply and within bounds. */
export interface Comparer {
  /** Called after the reply; O(1). */
  offer(outcome: Outcome): void;
  /** Lets every caller be compared anew. */
  beginWindow(): void;
  /** Drops what waits; nothing is compared any more. */
  stop(): void;
}

export interface Compared {
  readonly outcome: Outcome;
  readonly comparison: Comparison;
  /** Absent for the anonymous, who have no vote. */
  readonly voter: Voter | undefined;
  readonly vote: Vote;
}

export interface ComparerParts {
  readonly config: Pick<RolloutConfig, 'shadow_percent' | 'max_cpu_percent' | 'guard_rails'>;
  readonly candidate: Generation;
  readonly currentGeneration: () => Generation | undefined;
  readonly redecide: Redecide;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  /** Calls back in a later turn of the event loop. */
  readonly schedule: (step: () => void) => void;
  readonly random: () => number;
  readonly metrics: Pick<RolloutMetrics, 'compared' | 'comparisonDropped'>;
  readonly onCompared: (compared: Compared) => void;
}

const MAX_QUEUE = 256;
const MAX_SUSPECTS = 64;
const MAX_BODY_BYTES = 16 * 1024 * 1024;
const MAX_ANONYMOUS = 32;
/** Less than a generation is kept after it was replaced. */
const MAX_AGE_MS = 5_000;
/** How long may be compared at a stretch, where nothing was for a while. */
const BURST_MS = 20;

export function createComparer(parts: ComparerParts): Comparer {
  const { config, candidate, clock, startTimer, schedule, random, metrics } = parts;
  const admission = createAdmission({ oneVotePer: config.guard_rails.one_vote_per });
  const costFactor = 100 / config.max_cpu_percent;
  /** What the candidate failed at itself. */
  const suspects: Waiting[] = [];
  const tenants: Waiting[] = [];
  const others: Waiting[] = [];
  /** Each has its turn, so that those without a tenant, whom anybody may be many of, keep nobody waiting. */
  const queues = [suspects, tenants, others];
  let nextQueue = 0;
  let anonymous = 0;
  let bodyBytes = 0;
  let running = false;
  let stopped = false;
  let nextAtMs = 0;
  let turns = 0;
  let cancel: (() => void) | undefined;

  function offer(outcome: Outcome): void {
    const { request, authentication, generation } = outcome;
    if (stopped || generation === undefined || 'unreadable' in request) return;
    if (authentication === undefined || authentication.kind === 'refused') return;
    const decidedIt = generation === candidate;
    const suspect = decidedIt && isSuspect(outcome);
    if (!suspect && random() * 100 >= config.shadow_percent) return;
    const voter = authentication.kind === 'verified' ? voterOf(authentication.principal) : undefined;
    if (voter === undefined ? anonymous >= MAX_ANONYMOUS : !admission.admits(voter)) return;
    const into = suspect ? suspects : voter?.hasTenant === true ? tenants : others;
    const size = request.body.bytes.byteLength;
    if (into.length >= (suspect ? MAX_SUSPECTS : MAX_QUEUE) || bodyBytes + size > MAX_BODY_BYTES) {
      metrics.comparisonDropped('queue_full');
      return;
    }
    if (voter === undefined) anonymous += 1;
    else admission.count(voter);
    bodyBytes += size;
    into.push({ outcome, voter, decidedIt, size, sinceMs: clock.now().monotonicMs });
    if (!running) begin();
  }

  function begin(): void {
    running = true;
    schedule(next);
  }

  function nextWaiting(): Waiting | undefined {
    for (let tried = 0; tried < queues.length; tried++) {
      const waiting = queues[nextQueue]?.shift();
      nextQueue = (nextQueue + 1) % queues.length;
      if (waiting !== undefined) return waiting;
    }
    return undefined;
  }

  function take(): Waiting | undefined {
    for (;;) {
      const waiting = nextWaiting();
      if (waiting === undefined) return undefined;
      bodyBytes -= waiting.size;
      if (waiting.voter !== undefined) admission.taken(waiting.voter);
      if (clock.now().monotonicMs - waiting.sinceMs <= MAX_AGE_MS) return waiting;
      metrics.comparisonDropped('too_old');
      if (waiting.voter !== undefined) admission.uncount(waiting.voter);
    }
  }

  function next(): void {
    cancel = undefined;
    const waiting = stopped ? undefined : take();
    if (waiting === undefined) {
      running = false;
      return;
    }
    const startMs = clock.now().monotonicMs;
    const then = (): void => {
      const nowMs = clock.now().monotonicMs;
      nextAtMs = Math.max(nextAtMs, startMs - BURST_MS) + (nowMs - startMs) * costFactor;
      if (nextAtMs <= nowMs) schedule(next);
      else cancel = startTimer(nextAtMs - nowMs, next);
    };
    compare(waiting).then(then, () => {
      metrics.comparisonDropped('failed');
      then();
    });
  }

  async function compare({ outcome, voter, decidedIt }: Waiting): Promise<void> {
    const current = decidedIt ? parts.currentGeneration() : outcome.generation;
    if (current === undefined) return;
    turns += 1;
    // In turn, so that neither of them always finds the caches warm.
    const [stable, other] = decidedIt
      ? [await parts.redecide(outcome, current), outcome]
      : turns % 2 === 0
        ? [await parts.redecide(outcome, current), await parts.redecide(outcome, candidate)]
        : (await inTurn(parts.redecide, outcome, candidate, current)).reverse();
    if (stopped || stable === undefined || other === undefined) return;
    const comparison = compareOutcomes(stable, other, !decidedIt);
    if (comparison === undefined) return metrics.comparisonDropped('undecided');
    metrics.compared(comparison.result);
    const timing = decidedIt
      ? {}
      : { timing: { stableMs: stable.phaseMs.total ?? 0, candidateMs: other.phaseMs.total ?? 0 } };
    const { result } = comparison;
    parts.onCompared({
      outcome,
      comparison,
      voter,
      vote: {
        denyChanged: result === 'allow_to_deny',
        allowChanged: result === 'deny_to_allow',
        failed: result === 'error',
        overBudget: other.overBudget && !stable.overBudget,
        ...timing,
      },
    });
  }

  return {
    offer,
    beginWindow: () => {
      admission.reset();
      anonymous = 0;
    },
    stop: () => {
      stopped = true;
      cancel?.();
      for (const queue of queues) queue.length = 0;
      bodyBytes = 0;
    },
  };
}

interface Waiting {
  readonly outcome: Outcome;
  readonly voter: Voter | undefined;
  /** Whether the candidate made this decision itself. */
  readonly decidedIt: boolean;
  readonly size: number;
  readonly sinceMs: number;
}

async function inTurn(redecide: Redecide, outcome: Outcome, first: Generation, second: Generation) {
  return [await redecide(outcome, first), await redecide(outcome, second)];
}
