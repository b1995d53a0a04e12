import {
  abortsOnTrips,
  isFor,
  nameOf,
  type RolloutCandidate,
  type RolloutOrder,
  rollbackForbidden,
  whyKept,
} from './candidate.ts';
import { createChanges } from './changes.ts';
import { type Trip, tripText } from './guard-rails.ts';
import { createMemory } from './memory.ts';
import type { RolloutParts } from './parts.ts';
import type { Rollout } from './port.ts';
import { createAskPromotion } from './promotion.ts';
import { toCandidateStatus, toEnded, toStatus } from './report.ts';
import type { EndedAs, EndedTrial } from './status.ts';
import { COMPARED_FIRST, type Target, targetOf } from './target.ts';
import { createTrial, isJudged, type Trial } from './trial.ts';

const TICK_MS = 500;
const PERSIST_EVERY_MS = 30_000;

/** One rollout for one agent; `start` reads its state before anything is staged. */
export function createRollout(parts: RolloutParts): Rollout {
  const { config, clock, startTimer, logger, metrics } = parts;
  const labels = new Map(Object.entries(parts.labels));
  const memory = createMemory(parts);
  const askPromotion = createAskPromotion(parts);
  const promoted: ((candidate: RolloutCandidate) => void)[] = [];
  const takenBack: ((candidate: RolloutCandidate, reason: string) => void)[] = [];
  const changed: (() => void)[] = [];
  let trial: Trial | undefined;
  let hasStaged = false;
  let last: EndedTrial | undefined;
  let cancel: (() => void) | undefined;
  let tickedMs = clock.now().monotonicMs;
  let persistedMs = tickedMs;

  function persist(): void {
    persistedMs = clock.now().monotonicMs;
    memory.save(hasStaged ? trial?.toState() : 'as_before');
  }

  /** Whether there is something whose time must outlive a restart. */
  function runs(): boolean {
    return trial !== undefined || config.observe.length > 0;
  }

  function target(of: Trial): Target {
    return targetOf({
      sha256: of.candidate.sha256,
      blocked: memory.blocked(),
      pin: memory.pin(),
      paused: of.paused,
      tripped: of.tripped !== undefined,
      order: of.order,
      followsOrders: parts.followsOrders,
      labels,
      nowEpochMs: memory.nowEpochMs(),
      steps: config.steps,
      step: of.step,
      cleared: of.cleared,
    });
  }

  function forbidden(of: Trial): string | undefined {
    return rollbackForbidden(of.candidate) ?? (memory.isPardoned(of.candidate.sha256) ? 'pardoned' : undefined);
  }

  /** Brings the trial to where it should stand. */
  function apply(): void {
    const on = trial;
    if (on === undefined) return;
    const wanted = target(on);
    if (wanted.kind === 'promote') askPromotion(on, () => promoteNow(on));
    else stand(on, wanted);
  }

  /** Unless it should not be by now. */
  function promoteNow(on: Trial): boolean {
    const wanted = trial === on ? target(on) : undefined;
    if (wanted?.kind !== 'promote') return false;
    end(on, 'promoted', wanted.reason);
    return true;
  }

  function stand(on: Trial, wanted: Exclude<Target, { readonly kind: 'promote' }>): void {
    const before = on.percent();
    const kept =
      wanted.kind === 'percent' && wanted.automatic && wanted.percent < before
        ? rollbackForbidden(on.candidate)
        : undefined;
    if (wanted.kind === 'hold') say(on, 'paused', wanted.reason);
    else if (kept !== undefined) say(on, 'paused', `${wanted.reason}, and it may not be taken back: ${kept}`);
    else {
      on.decideFor(wanted.percent);
      if (before !== wanted.percent) on.beginAnew();
      say(on, wanted.state, wanted.reason);
    }
    metrics.canaryPercent(on.percent());
    if (before !== on.percent()) persist();
  }

  function say(on: Trial, state: Trial['state'], reason: string | undefined): void {
    if (on.state === state && on.reason === reason) return;
    on.state = state;
    on.reason = reason;
    const fields = { ...nameOf(on.candidate), state, percent: on.percent(), reason };
    if (state === 'paused' || state === 'blocked') logger.error(fields, 'the rollout of a bundle stands still');
    else logger.info(fields, 'the rollout of a bundle');
    metrics.rolloutChanged(on.candidate.bundle, state, 'set');
    tellChanged();
  }

  function tellChanged(): void {
    for (const callback of changed) callback();
  }

  function end(on: Trial, as: EndedAs, reason: string, code: string = as): void {
    trial = undefined;
    on.end();
    const { candidate, staged } = on;
    const { bundle, sha256, revision } = candidate;
    const at = new Date(clock.now().epochMs).toISOString();
    last = toEnded(on, { state: as, reason, at });
    if (as === 'promoted') staged.promote();
    else staged.withdraw();
    if (as === 'rolled_back' || as === 'aborted') {
      memory.refuse({ sha256, revision, reason: reason.slice(0, 512), at });
    }
    metrics.canaryPercent(0);
    metrics.rolloutChanged(bundle, as, code);
    const fields = { ...nameOf(candidate), percent: last.percent, reason };
    if (as === 'promoted' || as === 'withdrawn') logger.info({ ...fields, state: as }, 'the rollout of a bundle ended');
    else logger.error({ ...fields, state: as }, 'a bundle was taken back: what was in force decides for everybody');
    persist();
    if (as === 'promoted') for (const callback of promoted) callback(candidate);
    if (as === 'rolled_back' || as === 'aborted') for (const callback of takenBack) callback(candidate, reason);
    tellChanged();
  }

  /** Takes it back, or lets it stand still where that may not be. */
  function goBack(on: Trial, reason: string, code: string): void {
    const why = forbidden(on);
    if (why === undefined) {
      end(on, 'rolled_back', reason, code);
      return;
    }
    on.paused = `${reason}; it is not taken back: ${whyKept(why)}`;
    metrics.rolloutChanged(on.candidate.bundle, 'paused', code);
    apply();
    persist();
  }

  function trip(on: Trial, tripped: Trip): void {
    on.tripped = tripped;
    on.trips += 1;
    // Where it is not taken back this is all that others hear of it.
    tellChanged();
    const reason = `guard rail \`${tripped.rail}\`: ${tripText(tripped)}`;
    logger.error(
      { ...nameOf(on.candidate), canary_percent: on.percent(), ...tripped },
      'a guard rail of a rollout tripped',
    );
    if (on.percent() > 0 || on.reason === COMPARED_FIRST) {
      goBack(on, reason, tripped.rail);
      return;
    }
    metrics.rolloutChanged(on.candidate.bundle, 'tripped', tripped.rail);
    // Nobody was decided for by it: the comparing goes on, and nothing else does.
    if (!parts.followsOrders && on.order === undefined && config.steps.length > 0) on.paused = reason;
    apply();
    persist();
  }

  function tick(): void {
    const { monotonicMs } = clock.now();
    const passedMs = Math.max(0, monotonicMs - tickedMs);
    tickedMs = monotonicMs;
    cancel = startTimer(TICK_MS, tick);
    memory.nowEpochMs();
    if (runs() && monotonicMs - persistedMs >= PERSIST_EVERY_MS) persist();
    if (trial === undefined) return;
    const tripped = trial.judge(monotonicMs);
    const judged = isJudged(trial);
    if (judged && tripped !== undefined) {
      trip(trial, tripped);
      return;
    }
    if (judged && !trial.cleared) trial.clear(monotonicMs);
    if (judged && trial.cleared && trial.order === undefined && !parts.followsOrders) advance(trial, passedMs);
    apply();
  }

  /** A step is over after its time, and only once enough voters were compared in it. */
  function advance(on: Trial, passedMs: number): void {
    const step = config.steps[on.step];
    if (step === undefined) return;
    on.elapsedMs += passedMs;
    if (on.elapsedMs >= step.minutes * 60_000) {
      if (on.votes().step.count().voters >= config.guard_rails.min_principals) {
        on.step += 1;
        on.elapsedMs = 0;
        on.beginAnew();
        persist();
      }
    }
  }

  function applies(on: Trial, order: RolloutOrder): boolean {
    const named = order.candidate.sha256 === on.candidate.sha256;
    return named && memory.nowEpochMs() < order.expiresEpochS * 1_000 && isFor(order, labels);
  }

  const changes = createChanges({
    logger,
    memory,
    trial: () => trial,
    apply,
    persist,
    abort: (on, reason) => end(on, 'aborted', reason),
  });

  return {
    ...changes,
    start: async () => {
      await memory.load();
      if (runs()) persist();
      tick();
    },
    stop: async () => {
      cancel?.();
      trial?.end();
      if (runs()) persist();
      await memory.settled();
    },
    stage: (candidate, staged, order) => {
      hasStaged = true;
      const heir = trial?.toHeir(candidate.sha256);
      if (trial !== undefined) end(trial, 'withdrawn', 'another candidate takes its place');
      if (memory.refuses(candidate.sha256)) {
        staged.withdraw();
        logger.warn(nameOf(candidate), 'a bundle that was taken back once is not tried again');
        return false;
      }
      const before = memory.trialOf(candidate.sha256) ?? heir;
      trial = createTrial({
        ...parts,
        hasTenants: memory.hasTenants,
        salt: memory.salt(),
        candidate,
        staged,
        order,
        before,
      });
      // Where it stood; what should be is looked at next.
      if (before !== undefined && memory.blocked() === undefined) trial.decideFor(before.percent);
      apply();
      if (trial !== undefined) persist();
      return true;
    },
    setOrder: (order, trips = []) => {
      if (trial === undefined) return;
      const fresh = order?.version !== trial.order?.version;
      trial.order = order;
      if (fresh) trial.beginAnew();
      if (
        order !== undefined &&
        abortsOnTrips(order, trips) &&
        trial.paused === undefined &&
        memory.blocked() === undefined &&
        applies(trial, order)
      ) {
        goBack(
          trial,
          `guard rails tripped on ${new Set(trips).size} instances, order ${order.version}`,
          'abort_on_trips',
        );
      } else apply();
    },
    refusesCandidate: (sha256) => memory.refuses(sha256),
    decides: (sha256) =>
      (trial?.candidate.sha256 === sha256 ? trial.percent() : (memory.trialOf(sha256)?.percent ?? 0)) > 0,
    withdraw: () => {
      if (trial !== undefined) end(trial, 'withdrawn', 'it is no candidate any more');
    },
    record: (outcome) => {
      if (outcome.principal?.tenant !== undefined) memory.noteTenants();
      trial?.record(outcome);
    },
    nowEpochMs: memory.nowEpochMs,
    status: () => toStatus({ config, memory, trial, last, labels }),
    candidateStatus: (bundle, offered) => toCandidateStatus(bundle, trial, last, memory.refusalOf(offered)),
    onChanged: (callback) => changed.push(callback),
    onPromoted: (callback) => promoted.push(callback),
    onTakenBack: (callback) => takenBack.push(callback),
  };
}
