import { hash } from 'node:crypto';
import type { Instant } from '../decision/ports.ts';

/** The DPoP proofs that were accepted and could be accepted again, were they not remembered. */
export interface ProofReplays {
  /**
   * Admits a proof once: at the same moment only one of two equal ones. `full`: nothing more can be remembered of this
   * key, or at all, so that no new proof may be believed. Call it last, for a proof that is good in every other way.
   */
  admit(proof: { readonly jkt: string; readonly jti: string; readonly issuedAtMs: number }, at: Instant): Admission;
  /** How many proofs are remembered. */
  size(): number;
}

export type Admission = 'fresh' | 'replayed' | 'full';

export interface ProofReplaysOptions {
  /** How far the `iat` of an acceptable proof may lie from the clock, to either side. */
  readonly maxAgeMs: number;
  readonly maxEntries: number;
  /** Of one key, so that no client can use up what all need. */
  readonly maxEntriesPerKey: number;
}

/** Remembers proofs for as long as they are acceptable: a proof dated ahead by the most is so for twice that age. */
export function createProofReplays({ maxAgeMs, maxEntries, maxEntriesPerKey }: ProofReplaysOptions): ProofReplays {
  const keepMs = 2 * maxAgeMs;
  // Insertion order is the order of expiry, because every entry is kept equally long.
  const entries = new Map<string, Entry>();
  const perKey = new Map<string, number>();
  // The clock on the wall may be set back; what was forgotten must not become acceptable by that.
  let forgottenUpToMs = Number.NEGATIVE_INFINITY;

  function forget(at: Instant): void {
    for (const [key, { jkt, issuedAtMs, admittedAtMs }] of entries) {
      if (at.monotonicMs - admittedAtMs <= keepMs) return;
      entries.delete(key);
      const left = (perKey.get(jkt) ?? 1) - 1;
      if (left === 0) perKey.delete(jkt);
      else perKey.set(jkt, left);
      forgottenUpToMs = Math.max(forgottenUpToMs, issuedAtMs);
    }
  }

  return {
    admit: ({ jkt, jti, issuedAtMs }, at) => {
      forget(at);
      // Written so that a NaN is no fresh proof.
      if (!(issuedAtMs > forgottenUpToMs)) return 'replayed';
      const key = hash('sha256', `${jkt.length}:${jkt}${jti.length}:${jti}`, 'base64url');
      if (entries.has(key)) return 'replayed';
      const ofKey = perKey.get(jkt) ?? 0;
      if (ofKey >= maxEntriesPerKey || entries.size >= maxEntries) return 'full';
      entries.set(key, { jkt, issuedAtMs, admittedAtMs: at.monotonicMs });
      perKey.set(jkt, ofKey + 1);
      return 'fresh';
    },
    size: () => entries.size,
  };
}

interface Entry {
  readonly jkt: string;
  readonly issuedAtMs: number;
  readonly admittedAtMs: number;
}
