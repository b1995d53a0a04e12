import type { Clock, StartTimer } from '../../decision/ports.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { type Bundle, requireEntrypoints } from '../bundle.ts';
import { BundleError } from '../errors.ts';
import { checkDisjoint, complete } from './set-rules.ts';
import type { Believed } from './watched-bundle.ts';
import type { Watched } from './watched-state.ts';

export interface PutInForceOptions {
  readonly watched: readonly Watched[];
  readonly entrypoints: readonly string[];
  readonly examine: ((bundles: readonly Bundle[], signal: AbortSignal) => Promise<void>) | undefined;
  readonly examineTimeoutMs: number;
  readonly activate: (bundles: readonly Bundle[]) => Promise<void> | void;
  readonly stopping: AbortSignal;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly logger: Pick<Logger, 'info'>;
  readonly metrics: Pick<Metrics, 'bundleActivated'>;
  readonly onChange: () => void;
}

/** The one way of a set of bundles into force. */
export interface PutInForce {
  /** Runs steps one after the other; everything below is to be called in such a step. */
  readonly inTurn: <T>(step: () => Promise<T>) => Promise<T>;
  /**
   * Puts in force all that is newest together, else `changed` beside what is in force, because a faulty one must not hold up
   * others. `false`: the set is not complete yet. Throws a `BundleError`, and the former set stays in force.
   */
  readonly activateOffered: (changed?: Watched) => Promise<boolean>;
  /** Throws unless the set was examined and found good. */
  readonly examine: (bundles: readonly Bundle[]) => Promise<void>;
  /** Writes down that a bundle is in force. */
  readonly noteActivation: (one: Watched, believed: Believed) => void;
}

export function createPutInForce(options: PutInForceOptions): PutInForce {
  const { activate, clock, entrypoints, logger, metrics, onChange, startTimer, stopping, watched } = options;
  let last: Promise<unknown> = Promise.resolve();

  /** Activations go one after the other. */
  const inTurn = <T>(step: () => Promise<T>): Promise<T> => {
    const turn = last.then(step);
    last = turn.catch(() => undefined);
    return turn;
  };

  /** Tries all that is newest together, else this one beside what is in force: a faulty one must not hold up others. */
  const activateOffered = async (changed?: Watched): Promise<boolean> => {
    const newest = complete(watched.map((one) => one.offered ?? one.active));
    if (newest === undefined) return false;
    try {
      await putInForce(newest);
    } catch (error) {
      const besideActive = complete(watched.map((one) => (one === changed ? one.offered : one.active)));
      if (besideActive === undefined || besideActive.every((other, at) => other === newest[at])) throw error;
      await putInForce(besideActive);
    }
    return true;
  };

  const putInForce = async (set: readonly Believed[]): Promise<void> => {
    const bundles = set.map(({ bundle }) => bundle);
    checkDisjoint(bundles);
    requireEntrypoints(bundles, entrypoints);
    try {
      if (!set.every(({ kept }) => kept)) await examine(bundles);
      await activate(bundles);
    } catch (error) {
      throw asBundleError(error);
    }
    for (const [at, one] of watched.entries()) {
      const believed = set[at];
      if (believed !== undefined && one.active?.bundle !== believed.bundle) noteActivation(one, believed);
    }
    for (const one of watched) await one.candidate?.restage();
  };

  const noteActivation = (one: Watched, believed: Believed): void => {
    const { epochMs, monotonicMs } = clock.now();
    const { revision, sha256 } = believed.bundle;
    one.active = believed;
    one.activatedAtEpochMs = epochMs;
    if (!believed.kept) one.confirmed = { ageMs: 0, monotonicMs };
    metrics.bundleActivated(one.name, revision, epochMs);
    const version = believed.claims?.version;
    logger.info(
      { bundle: one.name, revision, sha256, ...(version === undefined ? {} : { version }), from_copy: believed.kept },
      'bundle activated',
    );
    onChange();
  };

  /** INVARIANT: nothing that was not examined is put in force or tried, and no examination goes on for ever. */
  const examine = async (bundles: readonly Bundle[]): Promise<void> => {
    if (options.examine === undefined) return;
    const { examineTimeoutMs } = options;
    const late = new AbortController();
    const cancel = startTimer(examineTimeoutMs, () =>
      late.abort(new BundleError('bundle_rejected', `was not examined within ${examineTimeoutMs} ms`)),
    );
    const signal = AbortSignal.any([stopping, late.signal]);
    try {
      const given = new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
      await Promise.race([options.examine(bundles, signal), given]);
    } finally {
      cancel();
    }
  };

  return { inTurn, activateOffered, examine, noteActivation };
}

function asBundleError(error: unknown): BundleError {
  if (error instanceof BundleError) return error;
  return new BundleError('bundle_rejected', error instanceof Error ? error.message : String(error), { cause: error });
}
