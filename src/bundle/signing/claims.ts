/** What a bundle's author signs of it: the detached JWS beside an archive, or OPA's `.signatures.json` inside. */
export interface BundleClaims {
  readonly kind: 'bundle' | 'delta';
  /** The bundle's name, as config and server call it. */
  readonly name: string;
  /** Of the whole archive, lower-case hex. Absent in OPA's form, whose `files` stand for it. */
  readonly sha256?: string;
  readonly sizeBytes?: number;
  /** Where it is meant for, such as `prod`; compared with `trust.scope`. */
  readonly scope: string;
  /** Grows with every release of this bundle and scope; compared with what was in force before. */
  readonly version: number;
  readonly revision: string;
  readonly issuedAtEpochS: number;
  readonly notBeforeEpochS: number;
  readonly expiresEpochS: number;
  /** No version below this one may come back by an automatic rollback from this one. */
  readonly minRollbackVersion: number;
  /** It mends a hole: a rollout of it pauses where another would be rolled back. */
  readonly security: boolean;
  /** For a delta: the digest of the archive that it is to be applied to. */
  readonly baseSha256?: string;
}

/** What a bundle's author orders of a fleet: who is to try which archive, and how much. */
export interface RolloutOrder {
  readonly bundle: string;
  readonly scope: string;
  /** Grows with every order for this bundle and scope; agents refuse a lower one. */
  readonly version: number;
  readonly issuedAtEpochS: number;
  /** From then on nobody begins or goes on with it. */
  readonly expiresEpochS: number;
  readonly candidate: { readonly sha256: string; readonly version: number; readonly revision: string };
  readonly mode: 'shadow' | 'canary' | 'promote';
  /** Of the verified tenants, 0 to 100; for `canary`. */
  readonly percent: number;
  /** Agents with all of these labels only; none: every agent. */
  readonly labels: { readonly [name: string]: string };
  readonly paused: boolean;
  /** Everybody goes back to what is in force. */
  readonly aborted: boolean;
  /** How many agents must say that a guard rail tripped for all to go back; absent: each judges for itself. */
  readonly abortOnTrips?: number;
}
