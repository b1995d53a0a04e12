import type { Clock } from '../../decision/ports.ts';
import type { Bundle } from '../bundle.ts';
import { BundleError, nameBundle } from '../errors.ts';
import type { RolloutOrder } from '../signing/claims.ts';
import type { Download } from '../source.ts';
import type { Authority } from './authority.ts';
import { believe } from './believe.ts';
import type { Believed, BundleFault, CandidateStatus, TrialSource, WatchedBundle } from './watched-bundle.ts';

/** Something to be tried beside the set in force: that set with one bundle replaced. */
export interface CandidateSet {
  readonly bundle: string;
  readonly sha256: string;
  readonly revision: string;
  /** As signed; 0 under a pin, as `stableVersion`. */
  readonly version: number;
  readonly minRollbackVersion: number;
  readonly security: boolean;
  readonly stableVersion: number;
  readonly bundles: readonly Bundle[];
}

/**
 * Told whenever the candidate, the order or who met a guard rail changes. Without a candidate: what was tried is
 * withdrawn. Throws where the candidate cannot be tried.
 */
export type Stage = (
  candidate: CandidateSet | undefined,
  order: RolloutOrder | undefined,
  trips: readonly string[],
) => Promise<void>;

export interface TrialOptions {
  readonly one: Pick<WatchedBundle, 'authority' | 'compile'> & { readonly name: string };
  readonly trial: TrialSource;
  /** The set in force, as far as it is there, and which of it is tried against. */
  readonly stable: () =>
    | { readonly active: Believed; readonly withCandidate: (bundle: Bundle) => readonly Bundle[] }
    | undefined;
  /** Throws unless the set may decide. */
  readonly examine: (bundles: readonly Bundle[]) => Promise<void>;
  readonly stage: Stage;
  /** Rolled back once: it is not tried again. */
  readonly refuses: (sha256: string) => boolean;
  /** Of this instance: an order may be for some only. */
  readonly labels: { readonly [name: string]: string };
  readonly clock: Clock;
  /** Runs a step while nothing else is activated. */
  readonly inTurn: <T>(step: () => Promise<T>) => Promise<T>;
  readonly onFault: (fault: BundleError) => void;
}

export interface TrialCandidate {
  /** Asks the source once; answers whether there was something new. Throws a `BundleError`. */
  refresh(signal: AbortSignal, waitSeconds: number): Promise<boolean>;
  /** Tells `stage` what changed, if anything. To be called in turn. Never throws. */
  restage(): Promise<void>;
  /** Whether the newest question was answered. */
  heard(): boolean;
  /** Whether what is staged is over, so that `restage` is to be called. */
  due(): boolean;
  /** The candidate becomes the one in force by other hands: it is let go of. */
  take(sha256: string): Believed | undefined;
  status(): CandidateStatus | undefined;
}

export function createTrialCandidate(options: TrialOptions): TrialCandidate {
  const { one, trial, stable, examine, stage, refuses, labels, clock, inTurn, onFault } = options;
  let candidate: Believed | undefined;
  let order: RolloutOrder | undefined;
  let trips: readonly string[] = [];
  let etag: string | undefined;
  let heard = false;
  /** Why the source did not give it, and why it may not be tried. */
  let loadFault: BundleFault | undefined;
  let trialFault: BundleFault | undefined;
  /** What `stage` was last told, to tell it nothing twice. */
  let told: readonly unknown[] = [undefined];
  let examined: readonly Bundle[] = [];
  let rejected: readonly Bundle[] = [];
  let staged = false;

  const toFault = ({ code, message }: BundleError): BundleFault => ({ code, message, atEpochMs: clock.now().epochMs });

  const believeIn = (authority: Authority, download: Download): Promise<Believed> =>
    believe({ ...one, authority }, download, stable()?.active, [candidate, stable()?.active]);

  const loadLocal = async (
    { source, authority }: TrialSource & { kind: 'local' },
    signal: AbortSignal,
    waitSeconds: number,
  ): Promise<boolean> => {
    const download = await source.load(etag, signal, { waitSeconds });
    if (download === undefined) return false;
    const former = candidate;
    candidate = await believeIn(authority, download);
    etag = download.etag;
    return candidate.bundle !== former?.bundle;
  };

  const loadOrder = async (
    { orders, archive }: TrialSource & { kind: 'orders' },
    signal: AbortSignal,
    waitSeconds: number,
  ): Promise<boolean> => {
    const offered = await orders.load(etag, signal, waitSeconds);
    if (offered === undefined) return false;
    const before = [order?.version, candidate?.bundle, ...trips];
    const next = offered.order === null ? undefined : await one.authority.acceptOrder(offered.order);
    trips = offered.trips;
    order = next !== undefined && isForUs(next, labels) ? next : undefined;
    if (candidate?.bundle.sha256 !== order?.candidate.sha256) candidate = undefined;
    if (order !== undefined && candidate === undefined && !order.aborted && worthLoading(order)) {
      // What was tried before is over, however long the next archive takes.
      if (staged) await inTurn(restage);
      const download = await archive(order.candidate.sha256).load(undefined, signal);
      if (download !== undefined) candidate = demandOrdered(order, await believeIn(one.authority, download));
    }
    etag = offered.etag;
    return !sameMembers(before, [order?.version, candidate?.bundle, ...trips]);
  };

  const worthLoading = ({ candidate: { sha256 } }: RolloutOrder): boolean =>
    sha256 !== stable()?.active.bundle.sha256 && !refuses(sha256);

  const expired = (): boolean => order !== undefined && one.authority.nowEpochS() >= order.expiresEpochS;

  const wanted = (): CandidateSet | undefined => {
    const inForce = stable();
    if (candidate === undefined || inForce === undefined) return undefined;
    const { bundle, claims } = candidate;
    if (bundle.sha256 === inForce.active.bundle.sha256 || refuses(bundle.sha256)) return undefined;
    if (trial.kind === 'orders' && (order === undefined || expired())) return undefined;
    return {
      bundle: one.name,
      sha256: bundle.sha256,
      revision: bundle.revision,
      version: claims?.version ?? 0,
      minRollbackVersion: claims?.minRollbackVersion ?? 0,
      security: claims?.security ?? false,
      stableVersion: inForce.active.claims?.version ?? 0,
      bundles: inForce.withCandidate(bundle),
    };
  };

  const restage = async (): Promise<void> => {
    const found = wanted();
    const set = found !== undefined && sameMembers(found.bundles, rejected) ? undefined : found;
    if (found === undefined || set !== undefined) trialFault = undefined;
    const valid = expired() ? undefined : order;
    const next = [...(set?.bundles ?? []), valid?.version, ...trips];
    if (sameMembers(next, told)) return;
    told = next;
    try {
      if (set !== undefined && !sameMembers(set.bundles, examined)) await examine(set.bundles);
      examined = set?.bundles ?? [];
      await stage(set, valid, trips);
      staged = set !== undefined;
    } catch (error) {
      const fault = nameBundle(one.name, error, 'bundle_rejected');
      trialFault = toFault(fault);
      onFault(fault);
      rejected = set?.bundles ?? [];
      told = [valid?.version, ...trips];
      if (staged) await stage(undefined, valid, trips).catch(() => undefined);
      staged = false;
    }
  };

  return {
    refresh: async (signal, waitSeconds) => {
      try {
        const changed =
          trial.kind === 'orders'
            ? await loadOrder(trial, signal, waitSeconds)
            : await loadLocal(trial, signal, waitSeconds);
        loadFault = undefined;
        heard = true;
        return changed;
      } catch (error) {
        const fault = nameBundle(one.name, error, 'bundle_rejected');
        heard = false;
        // That somebody broke off to ask anew is no fault of the source.
        if (!signal.aborted) loadFault = toFault(fault);
        throw fault;
      } finally {
        await inTurn(restage);
      }
    },
    restage,
    heard: () => heard,
    due: () => staged && (expired() || (candidate !== undefined && refuses(candidate.bundle.sha256))),
    take: (sha256) => {
      if (candidate?.bundle.sha256 !== sha256) return undefined;
      const taken = candidate;
      candidate = undefined;
      staged = false;
      told = [order?.version, ...trips];
      return taken;
    },
    status: () => {
      const fault = trialFault ?? loadFault;
      if (candidate === undefined && order === undefined && fault === undefined) return undefined;
      const about =
        candidate === undefined ? order?.candidate : { ...candidate.bundle, version: candidate.claims?.version };
      return {
        ...(about === undefined ? {} : { sha256: about.sha256, revision: about.revision }),
        ...(about?.version === undefined ? {} : { version: about.version }),
        staged,
        ...(order === undefined ? {} : { orderVersion: order.version }),
        ...(fault === undefined ? {} : { lastError: fault }),
      };
    },
  };
}

function isForUs({ labels: wanted }: RolloutOrder, ours: { readonly [name: string]: string }): boolean {
  return Object.entries(wanted).every(([name, value]) => Object.hasOwn(ours, name) && ours[name] === value);
}

/** INVARIANT: what is tried is what was ordered, by digest and version. */
function demandOrdered({ candidate: { sha256, version } }: RolloutOrder, found: Believed): Believed {
  if (found.bundle.sha256 === sha256 && found.claims?.version === version) return found;
  throw new BundleError('bundle_untrusted', 'the archive is not the one that the order names');
}

function sameMembers(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((member, at) => member === b[at]);
}
