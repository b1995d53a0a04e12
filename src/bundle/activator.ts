import type { Clock, StartTimer } from '../decision/ports.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { type Bundle, parseBundle, requireEntrypoints } from './bundle.ts';
import { BundleError, nameBundle } from './errors.ts';
import { rootsOverlap } from './manifest.ts';
import { createPoller, type Poller } from './poller.ts';
import type { BundleSource } from './source.ts';
import { type BundleTrust, verifyTrust } from './trust.ts';

/** One bundle of the generation: where it comes from, and what makes it believed. */
export interface WatchedBundle {
  readonly source: BundleSource;
  readonly trust: BundleTrust;
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
}

export interface ActivatorOptions {
  readonly bundles: ReadonlyMap<string, WatchedBundle>;
  /** What `policy.decisions` names: a set of bundles without one of them is not activated. */
  readonly entrypoints: readonly string[];
  /** Puts a whole set in force, or throws and leaves the former one in force. Never called twice at a time. */
  readonly activate: (bundles: readonly Bundle[]) => Promise<void> | void;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  /** In [0, 1). */
  readonly random: () => number;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  readonly metrics: Pick<Metrics, 'bundleActivated' | 'bundleRefused'>;
}

export interface BundleStatus {
  /** In force; absent before the first activation. */
  readonly revision?: string;
  readonly sha256?: string;
  readonly activatedAtEpochMs?: number;
  /** Of the newest attempt; absent when that went well. */
  readonly lastError?: { readonly code: string; readonly message: string; readonly atEpochMs: number };
}

export interface Activator {
  /**
   * Loads every file and begins to poll every url. Throws a `BundleError` when a file is no good; a url that does not
   * answer is asked again, and until it does nothing is in force.
   */
  start(): Promise<void>;
  /** Reads every source once more, at once; what fails is in `status`, and the former bundles stay in force. */
  reload(): Promise<void>;
  stop(): Promise<void>;
  /** Whether a set is in force. */
  ready(): boolean;
  status(): ReadonlyMap<string, BundleStatus>;
}

interface Watched extends WatchedBundle {
  readonly name: string;
  candidate?: Bundle;
  active?: Bundle;
  activatedAtEpochMs?: number;
  /** Of the version in force only: a version that was refused is to be downloaded again. */
  etag?: string | undefined;
  lastError?: BundleStatus['lastError'] | undefined;
  /** The attempt under way: an older answer of a source never replaces a newer one. */
  attempt: Promise<unknown>;
}

/** Keeps one set of bundles in force: download is not activation, and a set is activated whole or not at all. */
export function createActivator(options: ActivatorOptions): Activator {
  const { activate, clock, entrypoints, logger, metrics } = options;
  const watched = [...options.bundles].map(
    ([name, bundle]): Watched => ({ name, ...bundle, attempt: Promise.resolve() }),
  );
  const stopping = new AbortController();
  let pollers: readonly Poller[] = [];
  let last: Promise<unknown> = Promise.resolve();

  /** Activations go one after the other. */
  const inTurn = <T>(step: () => Promise<T>): Promise<T> => {
    const turn = last.then(step);
    last = turn.catch(() => undefined);
    return turn;
  };

  const refresh = async (one: Watched, signal: AbortSignal): Promise<void> => {
    const download = await one.source.load(one.etag, signal);
    if (download === undefined) return;
    await inTurn(async () => {
      if (stopping.signal.aborted) return;
      const sha256 = verifyTrust(download.bytes, one.trust);
      one.candidate =
        [one.active, one.candidate].find((known) => known?.sha256 === sha256) ?? parseBundle(one.name, download.bytes);
      if (one.candidate === one.active || (await activateCandidates(one))) one.etag = download.etag;
    });
  };

  /** Tries all that is newest together, else this one beside what is in force: a faulty one must not hold up others. */
  const activateCandidates = async (changed: Watched): Promise<boolean> => {
    const newest = complete(watched.map((one) => one.candidate ?? one.active));
    if (newest === undefined) return false;
    try {
      await putInForce(newest);
    } catch (error) {
      const besideActive = complete(watched.map((one) => (one === changed ? one.candidate : one.active)));
      if (besideActive === undefined || besideActive.every((bundle, at) => bundle === newest[at])) throw error;
      await putInForce(besideActive);
    }
    return true;
  };

  const putInForce = async (bundles: readonly Bundle[]): Promise<void> => {
    checkDisjoint(bundles);
    requireEntrypoints(bundles, entrypoints);
    try {
      await activate(bundles);
    } catch (error) {
      if (error instanceof BundleError) throw error;
      throw new BundleError('bundle_rejected', error instanceof Error ? error.message : String(error), {
        cause: error,
      });
    }
    const { epochMs } = clock.now();
    for (const [at, one] of watched.entries()) {
      const bundle = bundles[at];
      if (bundle === undefined || one.active === bundle) continue;
      one.active = bundle;
      one.activatedAtEpochMs = epochMs;
      metrics.bundleActivated(one.name, bundle.revision, epochMs);
      logger.info({ bundle: one.name, revision: bundle.revision, sha256: bundle.sha256 }, 'bundle activated');
    }
  };

  const attempt = (one: Watched, signal: AbortSignal): Promise<BundleError | undefined> => {
    const turn = one.attempt.then(() => attemptNow(one, signal));
    one.attempt = turn;
    return turn;
  };

  /** Never rejects: what went wrong is the answer. */
  const attemptNow = async (one: Watched, signal: AbortSignal): Promise<BundleError | undefined> => {
    try {
      await refresh(one, signal);
      one.lastError = undefined;
      return undefined;
    } catch (error) {
      const fault = nameBundle(one.name, error, 'bundle_rejected');
      if (stopping.signal.aborted) return fault;
      one.lastError = { code: fault.code, message: fault.message, atEpochMs: clock.now().epochMs };
      metrics.bundleRefused(one.name, fault.code);
      const inForce = one.active === undefined ? 'none' : one.active.revision;
      logger.warn(
        { bundle: one.name, code: fault.code, revision_in_force: inForce, error: fault.message },
        'bundle refused',
      );
      return fault;
    }
  };

  return {
    start: async () => {
      for (const one of watched.filter(({ source }) => source.kind === 'file')) {
        const fault = await attempt(one, stopping.signal);
        if (fault !== undefined) throw fault;
      }
      pollers = watched
        .filter(({ source }) => source.kind === 'url')
        .map((one) =>
          createPoller({
            minDelayMs: one.minDelayMs,
            maxDelayMs: one.maxDelayMs,
            random: options.random,
            startTimer: options.startTimer,
            attempt: async (signal) => (await attempt(one, signal)) === undefined,
          }),
        );
      for (const poller of pollers) poller.start();
    },
    reload: async () => {
      await Promise.all(watched.map((one) => attempt(one, stopping.signal)));
    },
    stop: async () => {
      stopping.abort();
      await Promise.all(pollers.map((poller) => poller.stop()));
      await last;
    },
    ready: () => watched.length > 0 && watched.every((one) => one.active !== undefined),
    status: () => new Map(watched.map((one) => [one.name, toStatus(one)])),
  };
}

function complete(bundles: readonly (Bundle | undefined)[]): readonly Bundle[] | undefined {
  const there = bundles.filter((bundle) => bundle !== undefined);
  return there.length === bundles.length ? there : undefined;
}

/** INVARIANT: every path of `data` has one bundle that may say what is there. */
function checkDisjoint(bundles: readonly Bundle[]): void {
  for (const [at, one] of bundles.entries()) {
    for (const other of bundles.slice(at + 1)) {
      const root = one.roots.find((mine) => other.roots.some((theirs) => rootsOverlap(mine, theirs)));
      if (root === undefined) continue;
      throw new BundleError(
        'bundle_conflict',
        `bundles \`${one.name}\` and \`${other.name}\` both own \`${root === '' ? 'data' : `data/${root}`}\`; give each its own roots`,
      );
    }
  }
}

function toStatus({ active, activatedAtEpochMs, lastError }: Watched): BundleStatus {
  return {
    ...(active === undefined ? {} : { revision: active.revision, sha256: active.sha256 }),
    ...(activatedAtEpochMs === undefined ? {} : { activatedAtEpochMs }),
    ...(lastError === undefined ? {} : { lastError }),
  };
}
