import type { Clock, StartTimer } from '../../decision/ports.ts';
import type { Bundle } from '../bundle.ts';
import { BundleError, nameBundle } from '../errors.ts';
import type { RolloutOrder } from '../signing/claims.ts';
import type { Download } from '../source.ts';
import { believe } from './believe.ts';
import { createKeepCandidate, demandAsHigh, forbidsRollback } from './hold-candidate.ts';
import type { KeptCopies } from './kept-copies.ts';
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
  /** Whether it decides for anybody here, or did before the restart. */
  readonly decides: (sha256: string) => boolean;
  /** Of candidates that forbid a rollback; absent: none is kept. */
  readonly copies: KeptCopies | undefined;
  readonly onNotKept: (error: unknown) => void;
  readonly startTimer: StartTimer;
  /** Of this instance: an order may be for some only. */
  readonly labels: { readonly [name: string]: string };
  readonly clock: Clock;
  /** Runs a step while nothing else is activated. */
  readonly inTurn: <T>(step: () => Promise<T>) => Promise<T>;
  readonly onFault: (fault: BundleError) => void;
}

export interface TrialCandidate {
  /** Brings back one that forbids a rollback and decided before the restart; its source may be down. Never rejects. */
  restore(): Promise<void>;
  /** Asks the source once; answers whether there was something new. Throws a `BundleError`. */
  refresh(signal: AbortSignal, waitSeconds: number): Promise<boolean>;
  /** Tells `stage` what changed, if anything. To be called in turn. Never throws. */
  restage(): Promise<void>;
  /** Whether the newest question was answered. */
  heard(): boolean;
  /** Whether what is staged is over, so that `restage` is to be called. */
  due(): boolean;
  /** The candidate, where what is staged is the set in force with it in its place. To be called in turn. */
  promotable(sha256: string): Believed | undefined;
  /** The candidate became the one in force by other hands: it is let go of. */
  letGo(): void;
  status(): CandidateStatus | undefined;
}

export function createTrialCandidate(options: TrialOptions): TrialCandidate {
  const { one, trial, stable, examine, stage, refuses, decides, labels, clock, inTurn, onFault } = options;
  const authority = trial.kind === 'local' ? trial.authority : one.authority;
  const { keep, read } = createKeepCandidate({ ...options, authority });
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
  let staged: Tried | undefined;

  const toFault = ({ code, message }: BundleError): BundleFault => ({ code, message, atEpochMs: clock.now().epochMs });

  const believeIn = async (download: Download): Promise<Believed> => {
    const active = stable()?.active;
    return believe({ ...one, authority }, download, active, [candidate, staged?.believed, active]);
  };

  const stableVersion = (): number => stable()?.active.claims?.version ?? 0;

  /** INVARIANT: no order that is missing, over or for others takes such a one from those for whom it decides. */
  const isHeld = (believed: Believed): boolean => {
    const { sha256 } = believed.bundle;
    return forbidsRollback(believed.claims, stableVersion()) && !refuses(sha256) && decides(sha256);
  };
  const held = (): Tried | undefined => (staged !== undefined && isHeld(staged.believed) ? staged : undefined);
  const heldOne = (): Believed | undefined =>
    held()?.believed ?? (candidate !== undefined && isHeld(candidate) ? candidate : undefined);

  const loadLocal = async (
    { source }: TrialSource & { kind: 'local' },
    signal: AbortSignal,
    waitSeconds: number,
  ): Promise<boolean> => {
    const download = await source.load(etag, signal, { waitSeconds });
    if (download === undefined) return false;
    const former = candidate;
    candidate = demandAsHigh(await believeIn(download), heldOne());
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
    if (candidate !== undefined && !isNamed(candidate) && !isHeld(candidate)) candidate = undefined;
    const there = candidate !== undefined && isNamed(candidate);
    if (order !== undefined && !there && !order.aborted && worthLoading(order)) {
      // What was tried before is over, however long the next archive takes; one that is held hears of the order.
      if (staged !== undefined) await inTurn(restage);
      const download = await archive(order.candidate.sha256).load(undefined, signal);
      if (download !== undefined) {
        candidate = demandAsHigh(demandOrdered(order, await believeIn(download)), heldOne());
      }
    }
    etag = offered.etag;
    return !sameMembers(before, [order?.version, candidate?.bundle, ...trips]);
  };

  const worthLoading = ({ candidate: { sha256 } }: RolloutOrder): boolean =>
    sha256 !== stable()?.active.bundle.sha256 && !refuses(sha256);

  const isNamed = ({ bundle }: Believed): boolean => order?.candidate.sha256 === bundle.sha256;

  const expired = (): boolean => order !== undefined && one.authority.nowEpochS() >= order.expiresEpochS;

  const wanted = (): Tried | undefined => {
    const inForce = stable();
    if (candidate === undefined || inForce === undefined) return undefined;
    const { bundle, claims } = candidate;
    if (bundle.sha256 === inForce.active.bundle.sha256 || refuses(bundle.sha256)) return undefined;
    const ordered = trial.kind === 'local' || (isNamed(candidate) && !expired());
    if (!ordered && !isHeld(candidate)) return undefined;
    const set = {
      bundle: one.name,
      sha256: bundle.sha256,
      revision: bundle.revision,
      version: claims?.version ?? 0,
      minRollbackVersion: claims?.minRollbackVersion ?? 0,
      security: claims?.security ?? false,
      stableVersion: inForce.active.claims?.version ?? 0,
      bundles: inForce.withCandidate(bundle),
    };
    return { set, believed: candidate };
  };

  const restage = async (): Promise<void> => {
    const found = wanted();
    const good = found !== undefined && sameMembers(found.set.bundles, rejected) ? undefined : found;
    if (found === undefined || good !== undefined) trialFault = undefined;
    const tried = good ?? held();
    const set = tried?.set;
    const valid = expired() ? undefined : order;
    const next = [...(set?.bundles ?? []), valid?.version, ...trips];
    if (sameMembers(next, told)) return;
    told = next;
    try {
      if (set !== undefined && !sameMembers(set.bundles, examined)) await examine(set.bundles);
      // Before anybody is decided for by it.
      if (tried !== undefined && forbidsRollback(tried.believed.claims, stableVersion())) await keep(tried.believed);
      await stage(set, valid, trips);
      examined = set?.bundles ?? [];
      staged = tried;
    } catch (error) {
      const fault = nameBundle(one.name, error, 'bundle_rejected');
      trialFault = toFault(fault);
      onFault(fault);
      const former = held();
      rejected = set?.bundles ?? [];
      told = [...(former?.set.bundles ?? []), valid?.version, ...trips];
      if (staged !== undefined) await stage(former?.set, valid, trips).catch(() => undefined);
      staged = former;
      if (former !== undefined) await keep(former.believed);
    }
  };

  const restore = async (): Promise<void> => {
    try {
      const kept = await read();
      if (kept !== undefined && isHeld(kept)) candidate = kept;
    } catch (error) {
      const fault = nameBundle(one.name, error, 'bundle_rejected');
      loadFault = toFault(fault);
      onFault(fault);
    }
    await inTurn(restage);
  };

  return {
    restore,
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
    due: () => staged !== undefined && (expired() || refuses(staged.set.sha256)),
    promotable: (sha256) => {
      if (staged?.set.sha256 !== sha256) return undefined;
      const found = wanted();
      if (found === undefined || !sameMembers(found.set.bundles, staged.set.bundles)) return undefined;
      return found.believed;
    },
    letGo: () => {
      candidate = undefined;
      staged = undefined;
      told = [order?.version, ...trips];
    },
    status: () => {
      const fault = trialFault ?? loadFault;
      if (candidate === undefined && order === undefined && fault === undefined) return undefined;
      const about =
        candidate === undefined ? order?.candidate : { ...candidate.bundle, version: candidate.claims?.version };
      return {
        ...(about === undefined ? {} : { sha256: about.sha256, revision: about.revision }),
        ...(about?.version === undefined ? {} : { version: about.version }),
        staged: staged !== undefined && (about === undefined || staged.set.sha256 === about.sha256),
        ...(order === undefined ? {} : { orderVersion: order.version }),
        ...(fault === undefined ? {} : { lastError: fault }),
      };
    },
  };
}

/** What is tried, and the candidate in it. */
interface Tried {
  readonly set: CandidateSet;
  readonly believed: Believed;
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
