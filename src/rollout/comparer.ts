import type { Clock, Generation, Outcome, StartTimer } from '../decision/ports.ts';
import type { Redecide } from '../decision/trial.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { RolloutMetrics } from '../telemetry/rollout-metrics.ts';
import { createAdmission } from './admission.ts';
import { type Comparison, compareOutcomes, isSuspect } from './comparison.ts';
import type { RolloutConfig } from './config.ts';
import type { Vote } from './tally.ts';
import { type Voter, voterOf } from './voter.ts';
import { type Watched, watch } from './watched.ts';

/** Decides a sample of what was decided once more by the other bundle, after the reply and within bounds. */
export interface Comparer {
  /** Called after the reply; O(1). */
  offer(outcome: Outcome): void;
  /** Lets every caller be compared anew. */
  beginWindow(): void;
  /** Whether less is compared than config permits, because of an evaluation that was too slow. */
  isBackedOff(): boolean;
  /** `undefined` where none was. */
  overruns(): Overruns | undefined;
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

/** Evaluations that took longer than `max_evaluation_ms` while comparing. */
export interface Overruns {
  /** Of the candidate, and of what is in force. */
  readonly candidate: number;
  readonly stable: number;
  /** Of the processor; the service stood still for at least so long. */
  readonly longest_ms: number;
  /** Voters who are not compared for now. */
  readonly barred_voters: number;
  /** What comparing may take of a processor for now. */
  readonly max_cpu_percent: number;
}

export interface ComparerParts {
  readonly config: Pick<RolloutConfig, 'shadow_percent' | 'max_cpu_percent' | 'guard_rails'>;
  readonly candidate: Generation;
  readonly currentGeneration: () => Generation | undefined;
  readonly redecide: Redecide;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly cpuMs: () => number;
  /** Calls back in a later turn of the event loop. */
  readonly schedule: (step: () => void) => void;
  readonly random: () => number;
  readonly logger: Pick<Logger, 'limited'>;
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
/** So many times less is compared at the most. */
const MAX_BACK_OFF = 8;
/** All of them, where they are barred. The group of no voter is so short. */
const ANONYMOUS: Voter = { group: '', hasTenant: true, principal: '' };

export function createComparer(parts: ComparerParts): Comparer {
  const { config, candidate, clock, startTimer, cpuMs, schedule, random, logger, metrics } = parts;
  const admission = createAdmission({ oneVotePer: config.guard_rails.one_vote_per });
  const costFactor = 100 / config.max_cpu_percent;
  const watchedParts = { cpuMs, maxMs: config.guard_rails.max_evaluation_ms };
  const overruns = { candidate: 0, stable: 0, longest_ms: 0 };
  /** Doubled by each comparison that is too slow, halved by each window without one. */
  let backOff = 1;
  let overranInWindow = false;
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
    if (voter === undefined ? !admitsAnonymous() : !admission.admits(voter)) return;
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

  function admitsAnonymous(): boolean {
    return anonymous < MAX_ANONYMOUS && !admission.isBarred(ANONYMOUS);
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
      if (admission.isBarred(waiting.voter ?? ANONYMOUS)) {
        metrics.comparisonDropped('barred');
        continue;
      }
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
      nextAtMs = Math.max(nextAtMs, startMs - BURST_MS) + (nowMs - startMs) * costFactor * backOff;
      if (nextAtMs <= nowMs) schedule(next);
      else cancel = startTimer(nextAtMs - nowMs, next);
    };
    compare(waiting).then(then, () => {
      metrics.comparisonDropped('failed');
      then();
    });
  }

  function noteOverrun(side: 'candidate' | 'stable', { longestMs }: Watched, { decisionId }: Outcome): void {
    const ms = Math.round(longestMs());
    overruns[side] += 1;
    overruns.longest_ms = Math.max(overruns.longest_ms, ms);
    const fields = { side, ms, decision_id: decisionId };
    logger.limited('rollout_overrun', 'error', fields, 'an evaluation held up the service while comparing');
  }

  function holdBack(voter: Voter | undefined): void {
    overranInWindow = true;
    backOff = Math.min(backOff * 2, MAX_BACK_OFF);
    admission.bar(voter ?? ANONYMOUS);
  }

  async function compare({ outcome, voter, decidedIt }: Waiting): Promise<void> {
    const current = decidedIt ? parts.currentGeneration() : outcome.generation;
    if (current === undefined) return;
    turns += 1;
    const old = watch(current, watchedParts);
    const now = watch(candidate, watchedParts);
    // In turn, so that neither of them always finds the caches warm.
    const sides = decidedIt ? [old] : turns % 2 === 0 ? [old, now] : [now, old];
    let stable: Outcome | undefined;
    let other = decidedIt ? outcome : undefined;
    for (const side of sides) {
      const decided = await parts.redecide(outcome, side.generation);
      if (side === old) stable = decided;
      else other = decided;
      if (!side.overran()) continue;
      noteOverrun(side === old ? 'stable' : 'candidate', side, outcome);
      // Who waited for it has his turn before anything more is compared.
      await new Promise<void>((resolve) => schedule(resolve));
      if (side === old) break;
    }
    if (old.overran() || now.overran()) holdBack(voter);
    if (old.overran()) return metrics.comparisonDropped('overrun');
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
        failed: result === 'error' || now.overran(),
        overBudget: other.overBudget && !stable.overBudget,
        ...timing,
      },
    });
  }

  return {
    offer,
    beginWindow: () => {
      if (!overranInWindow) backOff = Math.max(1, backOff / 2);
      overranInWindow = false;
      admission.reset();
      anonymous = 0;
    },
    isBackedOff: () => backOff > 1,
    overruns: () =>
      overruns.candidate + overruns.stable === 0
        ? undefined
        : { ...overruns, barred_voters: admission.barred(), max_cpu_percent: config.max_cpu_percent / backOff },
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
