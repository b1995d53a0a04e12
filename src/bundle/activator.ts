import type { Clock, StartTimer } from '../decision/ports.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { pollersOf } from './agent/ask-sources.ts';
import { believe, isDelta, knownSignature, WrongDelta } from './agent/believe.ts';
import { createKeepInForce } from './agent/keep-in-force.ts';
import type { KeptCopies } from './agent/kept-copies.ts';
import { createPromoteCandidate } from './agent/promote-candidate.ts';
import { createPutInForce } from './agent/put-in-force.ts';
import { createRestoreCopies } from './agent/restore-copies.ts';
import type { Staleness } from './agent/staleness.ts';
import type { Stage } from './agent/trial-candidate.ts';
import { createStalenessWatch } from './agent/watch-staleness.ts';
import { createTrialWatch } from './agent/watch-trials.ts';
import type { BundleStatus, WatchedBundle } from './agent/watched-bundle.ts';
import { afterAnswer, ageOf, toStatus, toWatched, type Watched } from './agent/watched-state.ts';
import type { Bundle } from './bundle.ts';
import { type BundleError, nameBundle } from './errors.ts';
import type { Poller, PollResult } from './poller.ts';

export interface ActivatorOptions {
  readonly bundles: ReadonlyMap<string, WatchedBundle>;
  /** What `policy.decisions` names: a set of bundles without one of them is not activated. */
  readonly entrypoints: readonly string[];
  /**
   * Throws unless the set may decide: loads it apart, runs its cases. Not asked about a set that is this machine's own
   * copy of what was in force. Given up after `examineTimeoutMs`.
   */
  readonly examine?: (bundles: readonly Bundle[], signal: AbortSignal) => Promise<void>;
  readonly examineTimeoutMs?: number;
  /** Puts a whole set in force, or throws and leaves the former one in force. Never called twice at a time. */
  readonly activate: (bundles: readonly Bundle[]) => Promise<void> | void;
  /** Told of what is to be tried beside the set in force; never at a time with `activate`. */
  readonly stage?: Stage;
  /** Of an archive that was rolled back here before: it is not tried again. */
  readonly refusesCandidate?: (sha256: string) => boolean;
  /** Called when what `staleness` answers has changed. */
  readonly onStaleness?: (staleness: Staleness) => void;
  /** Called when something that `status` tells has changed. */
  readonly onChange?: () => void;
  /** Whether a candidate decides for anybody, or did before the restart. Absent: as if it did. */
  readonly candidateDecides?: (sha256: string) => boolean;
  /** Of this instance, for orders that are for some only. */
  readonly labels?: { readonly [name: string]: string };
  /** Verified copies on disk; absent: none is kept. */
  readonly copies?: KeptCopies;
  /** Of candidates that forbid a rollback; absent: none is kept. */
  readonly candidateCopies?: KeptCopies;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  /** In [0, 1). */
  readonly random: () => number;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  readonly metrics: Pick<Metrics, 'bundleActivated' | 'bundleRefused' | 'bundleCopyFailed' | 'trackBundleAges'>;
}

export interface Activator {
  /**
   * Puts verified copies in force, loads every file and begins to poll every url. Throws a `BundleError` when a file is
   * no good and there is no copy; a url that does not answer is asked again, and until there is something to put in force
   * nothing is.
   */
  start(): Promise<void>;
  /** Reads every source once more, at once; what fails is in `status`, and the former bundles stay in force. */
  reload(): Promise<void>;
  stop(): Promise<void>;
  /** Whether a set is in force. */
  ready(): boolean;
  status(): ReadonlyMap<string, BundleStatus>;
  /** How far what is in force may still be relied on, as of the last second; may be asked at every request. */
  staleness(): Staleness;
  /**
   * Has the candidate that `stage` was given put in force for everybody, and keeps it as an activated bundle. `putInForce` is
   * called in a step of its own, and only where the set that was staged is still the set in force with the candidate in it;
   * it answers whether it did. Answers whether it is in force; where not, what is to be tried now was staged anew.
   */
  promote(bundle: string, sha256: string, putInForce: () => boolean): Promise<boolean>;
}

interface Attempted {
  readonly fault?: BundleError;
  readonly result: PollResult;
}

/** Keeps one set of bundles in force: download is not activation, and a set is activated whole or not at all. */
export function createActivator(options: ActivatorOptions): Activator {
  const { activate, clock, copies, entrypoints, logger, metrics, random, startTimer } = options;
  const { onChange = () => {}, onStaleness = () => {}, labels = {}, refusesCandidate = () => false } = options;
  const { candidateCopies, candidateDecides = () => true } = options;
  const watched = [...options.bundles].map(([name, bundle]) => toWatched(name, bundle));
  const stopping = new AbortController();
  const putInForce = createPutInForce({
    watched,
    entrypoints,
    examine: options.examine,
    examineTimeoutMs: options.examineTimeoutMs ?? 60_000,
    activate,
    stopping: stopping.signal,
    clock,
    startTimer,
    logger,
    metrics,
    onChange,
  });
  const { inTurn, activateOffered } = putInForce;
  metrics.trackBundleAges(() => {
    const at = clock.now();
    return new Map(watched.flatMap((one) => (one.active === undefined ? [] : [[one.name, ageOf(one, at) / 1000]])));
  });
  const { keep, refresh: refreshKept } = createKeepInForce({ copies, clock, startTimer, logger, metrics });
  let pollers: readonly Poller[] = [];

  /** Asks the source once; answers whether something else is in force by it. */
  const refresh = async (one: Watched, signal: AbortSignal, waitSeconds: number): Promise<boolean> => {
    one.requestedAtEpochMs = clock.now().epochMs;
    const { active } = one;
    const signature = active?.archives.at(-1)?.signature;
    const wish = {
      waitSeconds,
      ...(active?.claims === undefined || active.archives.length > MAX_DELTAS ? {} : { base: active.bundle.sha256 }),
      ...(signature === undefined || active === undefined ? {} : knownSignature(active, signature)),
    };
    const download = await one.source.load(one.etag, signal, wish);
    one.heard = true;
    try {
      return await take(one, download);
    } catch (error) {
      if (!isDelta(download) || signal.aborted) throw error;
      if (!(error instanceof WrongDelta)) warn(one, nameBundle(one.name, error, 'bundle_rejected'), 'delta refused');
      return take(one, await one.source.load(undefined, signal));
    }
  };

  const take = async (one: Watched, download: Awaited<ReturnType<Watched['source']['load']>>): Promise<boolean> => {
    if (download === undefined) {
      confirm(one);
      return false;
    }
    one.downloadedAtEpochMs = clock.now().epochMs;
    const changed = await inTurn(async () => {
      if (stopping.signal.aborted) return false;
      const { active } = one;
      const believed = await believe(one, download, active, [active, one.offered]);
      if (believed.bundle.sha256 === (active ?? one.offered)?.supersedes) {
        one.etag = download.etag;
        return false;
      }
      one.offered = believed;
      if (believed.bundle !== active?.bundle) {
        if (!(await activateOffered(one))) return false;
      } else one.active = believed;
      one.etag = download.etag;
      return believed.bundle !== active?.bundle;
    });
    if (one.active === one.offered) confirm(one);
    if (changed || one.active === one.offered) await keep(one);
    return changed;
  };

  const confirm = (one: Watched): void => {
    one.confirmed = { ageMs: 0, monotonicMs: clock.now().monotonicMs };
    staleness.refresh();
    refreshKept(one);
  };

  const noteFault = (one: Watched, error: unknown): BundleError => {
    const fault = nameBundle(one.name, error, 'bundle_rejected');
    one.lastError = { code: fault.code, message: fault.message, atEpochMs: clock.now().epochMs };
    warn(one, fault, 'bundle refused');
    onChange();
    return fault;
  };

  const warn = (one: Watched, { code, message: error }: BundleError, message: string): void => {
    metrics.bundleRefused(one.name, code);
    const inForce = one.active === undefined ? 'none' : one.active.bundle.revision;
    logger.warn({ bundle: one.name, code, revision_in_force: inForce, error }, message);
  };

  /** Never rejects: what went wrong is in the answer. */
  const attemptNow = async (one: Watched, signal: AbortSignal, waitSeconds: number): Promise<Attempted> => {
    const { interrupt } = one;
    const startedMs = clock.now().monotonicMs;
    try {
      const changed = await refresh(one, AbortSignal.any([signal, interrupt.signal]), waitSeconds);
      if (one.lastError !== undefined) onChange();
      one.lastError = undefined;
      return { result: afterAnswer(one, { waitSeconds, changed, tookMs: clock.now().monotonicMs - startedMs }) };
    } catch (error) {
      if (stopping.signal.aborted)
        return { result: 'failed', fault: nameBundle(one.name, error, 'bundle_unreachable') };
      if (interrupt.signal.aborted) return { result: 'again' };
      return { result: 'failed', fault: noteFault(one, error) };
    }
  };

  const attempt = (one: Watched, signal: AbortSignal, waitSeconds = (): number => 0): Promise<Attempted> => {
    const turn = one.attempt.then(() => attemptNow(one, signal, waitSeconds()));
    one.attempt = turn;
    return turn;
  };

  const { attemptTrial } = createTrialWatch({
    watched,
    entrypoints,
    putInForce,
    stage: options.stage,
    refuses: refusesCandidate,
    decides: candidateDecides,
    copies: candidateCopies,
    labels,
    stopping: stopping.signal,
    clock,
    startTimer,
    logger,
    metrics,
    warn,
    onChange,
  });
  const { restore, restorePromoted, activateRestored } = createRestoreCopies({ copies, putInForce, clock, noteFault });
  const staleness = createStalenessWatch({
    watched,
    clock,
    startTimer,
    logger,
    onStaleness: (now) => {
      onStaleness(now);
      onChange();
    },
    onTick: () => {
      for (const { candidate } of watched) if (candidate?.due() === true) void inTurn(() => candidate.restage());
    },
  });

  const startFile = async (one: Watched): Promise<void> => {
    const { fault } = await attempt(one, stopping.signal);
    if (fault === undefined) return;
    if (!(await restore(one)) || !(await activateRestored([one]))) throw fault;
  };

  return {
    start: async () => {
      await Promise.all(
        watched.map((one) => one.authority.open().catch((error: unknown) => Promise.reject(noteFault(one, error)))),
      );
      const tried = watched.map(async (one) =>
        (await (one.source.kind === 'url' ? restore(one) : restorePromoted(one))) ? [one] : [],
      );
      const restored = (await Promise.all(tried)).flat();
      const files = watched.filter(({ source }) => source.kind === 'file');
      for (const one of files) await startFile(one);
      if (restored.some((one) => one.active === undefined) && !(await activateRestored(restored))) {
        for (const one of files) if (one.active === undefined) await startFile(one);
      }
      await Promise.all(watched.map(async ({ candidate }) => candidate?.restore()));
      const local = watched.filter(({ trial }) => trial?.kind === 'local' && trial.source.kind === 'file');
      await Promise.all(local.map((one) => attemptTrial(one, stopping.signal, 0)));
      staleness.start();
      pollers = watched.flatMap((one) =>
        pollersOf(one, {
          startTimer,
          random,
          attempt: async (which, signal, waitSeconds) => (await attempt(which, signal, waitSeconds)).result,
          attemptTrial,
        }),
      );
      for (const poller of pollers) poller.start();
    },
    reload: async () => {
      for (const one of watched) {
        one.interrupt.abort();
        one.interrupt = new AbortController();
      }
      await Promise.all(
        watched.map(async (one) => {
          await attempt(one, stopping.signal);
          await attemptTrial(one, stopping.signal, 0);
        }),
      );
    },
    stop: async () => {
      stopping.abort();
      staleness.stop();
      await Promise.all(pollers.map((poller) => poller.stop()));
      await inTurn(async () => {});
    },
    ready: () => watched.length > 0 && watched.every((one) => one.active !== undefined),
    status: () => {
      const at = clock.now();
      return new Map(watched.map((one) => [one.name, toStatus(one, at)]));
    },
    staleness: staleness.current,
    promote: createPromoteCandidate({ watched, putInForce, keep, stopping: stopping.signal }),
  };
}

/** Deltas on a bundle in force; then the whole one is wanted again. */
const MAX_DELTAS = 16;
