import type { PutInForce } from './put-in-force.ts';
import type { Believed } from './watched-bundle.ts';
import type { Watched } from './watched-state.ts';

export interface PromoteOptions {
  readonly watched: readonly Watched[];
  readonly putInForce: Pick<PutInForce, 'inTurn' | 'noteActivation'>;
  readonly keep: (one: Watched) => Promise<void>;
  readonly stopping: AbortSignal;
}

/** See `Activator.promote`. */
export type PromoteCandidate = (bundle: string, sha256: string, putInForce: () => boolean) => Promise<boolean>;

export function createPromoteCandidate({ watched, putInForce, keep, stopping }: PromoteOptions): PromoteCandidate {
  const { inTurn, noteActivation } = putInForce;
  return (name, sha256, candidatePutInForce) =>
    inTurn(async () => {
      const one = watched.find((other) => other.name === name);
      if (one?.candidate === undefined || stopping.aborted) return false;
      const taken = one.candidate.promotable(sha256);
      if (taken === undefined) {
        await one.candidate.restage();
        return false;
      }
      // INVARIANT: what decides and what is noted as in force change together: nothing is awaited between the two.
      if (!candidatePutInForce()) return false;
      one.candidate.letGo();
      const pin = one.authority.pin?.();
      const promoted: Believed = pin === undefined ? taken : { ...taken, supersedes: pin };
      one.offered = promoted;
      // The source has not said what it calls this one.
      one.etag = undefined;
      noteActivation(one, promoted);
      await keep(one);
      return true;
    });
}
