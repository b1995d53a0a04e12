import type { Clock, StartTimer } from '../../decision/ports.ts';
import { BundleError } from '../errors.ts';
import type { BundleClaims } from '../signing/claims.ts';
import type { Authority } from './authority.ts';
import { believeCopy } from './believe.ts';
import { within } from './keep-in-force.ts';
import type { KeptCopies } from './kept-copies.ts';
import type { Believed, WatchedBundle } from './watched-bundle.ts';

/** Whether those for whom it decides would fall back to what its author signed that they must not. */
export function forbidsRollback(claims: BundleClaims | undefined, stableVersion: number): boolean {
  if (claims === undefined || claims.version <= stableVersion) return false;
  const { security, minRollbackVersion } = claims;
  return security || (minRollbackVersion > 0 && stableVersion < minRollbackVersion);
}

/** INVARIANT: the place of one that forbids a rollback is taken only by what is signed at least as high. */
export function demandAsHigh(next: Believed, held: Believed | undefined): Believed {
  const old = held?.claims;
  if (old === undefined) return next;
  const { claims } = next;
  const asHigh =
    claims !== undefined &&
    claims.version >= old.version &&
    claims.minRollbackVersion >= old.minRollbackVersion &&
    (claims.security || !old.security);
  if (asHigh) return next;
  throw new BundleError(
    'bundle_untrusted',
    `version ${old.version} forbids a rollback and decides already; abort it first, or sign \`version\`, \`min_rollback_version\` and \`security\` at least as high`,
  );
}

export interface KeepCandidateOptions {
  readonly one: Pick<WatchedBundle, 'compile'> & { readonly name: string };
  readonly authority: Authority;
  /** Absent: none is kept. */
  readonly copies: KeptCopies | undefined;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  /** The disk does not do it. */
  readonly onNotKept: (error: unknown) => void;
}

/** A candidate on disk, so that it goes on deciding after a restart while its source is down. */
export interface KeepCandidate {
  /** Never rejects, and waits no longer than some seconds. */
  readonly keep: (believed: Believed) => Promise<void>;
  /** Verified again; throws a `BundleError` for one that is not believed. */
  readonly read: () => Promise<Believed | undefined>;
}

export function createKeepCandidate(options: KeepCandidateOptions): KeepCandidate {
  const { one, authority, copies, clock, startTimer, onNotKept } = options;
  let kept: string | undefined;
  return {
    keep: async ({ bundle, archives }) => {
      if (copies === undefined || kept === bundle.sha256) return;
      const written = copies.write(one.name, { archives, confirmedAtEpochMs: clock.now().epochMs }).then(() => {
        kept = bundle.sha256;
      }, onNotKept);
      await within(written, startTimer);
    },
    read: async () => {
      const copy = await copies?.read(one.name);
      const believed = copy && (await believeCopy({ ...one, authority }, copy));
      if (believed === undefined) return undefined;
      kept = believed.bundle.sha256;
      // It was tried, but not in force: it is examined with what is in force now.
      return { ...believed, kept: false };
    },
  };
}
