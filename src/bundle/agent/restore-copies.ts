import type { Clock } from '../../decision/ports.ts';
import type { BundleError } from '../errors.ts';
import { believeCopy } from './believe.ts';
import type { KeptCopies } from './kept-copies.ts';
import type { PutInForce } from './put-in-force.ts';
import type { Watched } from './watched-state.ts';

export interface RestoreOptions {
  readonly copies: KeptCopies | undefined;
  readonly putInForce: Pick<PutInForce, 'inTurn' | 'activateOffered'>;
  readonly clock: Clock;
  readonly noteFault: (one: Watched, error: unknown) => BundleError;
}

/** Brings back what was in force before a restart, verified again. None of them rejects. */
export interface RestoreCopies {
  /** Whether there is a copy that is believed. */
  readonly restore: (one: Watched) => Promise<boolean>;
  /** The same, for what was promoted in the place of the pinned one only. */
  readonly restorePromoted: (one: Watched) => Promise<boolean>;
  /** Whether the copies are in force now. */
  readonly activateRestored: (restored: readonly Watched[]) => Promise<boolean>;
}

export function createRestoreCopies({ copies, putInForce, clock, noteFault }: RestoreOptions): RestoreCopies {
  /** A copy that was in force before the restart; its source may be down. */
  const restoreIf = async (one: Watched, promotedOnly: boolean): Promise<boolean> => {
    try {
      const copy = await copies?.read(one.name);
      const promoted = copy?.supersedes !== undefined && copy.supersedes === one.authority.pin?.();
      if (promotedOnly && !promoted) return false;
      const authority = promoted && one.trial?.kind === 'local' ? one.trial.authority : one.authority;
      const believed = copy && (await believeCopy({ ...one, authority }, copy));
      if (copy === undefined || believed === undefined) return false;
      const { monotonicMs } = clock.now();
      const ageMs = Math.max(0, one.authority.nowEpochS() * 1000 - copy.confirmedAtEpochMs);
      one.offered = promoted ? { ...believed, supersedes: copy.supersedes } : believed;
      one.etag = believed.etag;
      one.confirmed = { ageMs, monotonicMs };
      return true;
    } catch (error) {
      noteFault(one, error);
      return false;
    }
  };

  /** Whether the restored copies are in force now. */
  const activateRestored = async (restored: readonly Watched[]): Promise<boolean> => {
    try {
      return await putInForce.inTurn(() => putInForce.activateOffered());
    } catch (error) {
      for (const one of restored) {
        delete one.offered;
        one.etag = undefined;
        noteFault(one, error);
      }
      return false;
    }
  };

  return {
    restore: (one) => restoreIf(one, false),
    restorePromoted: (one) => restoreIf(one, true),
    activateRestored,
  };
}
