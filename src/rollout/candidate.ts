/** A bundle that is to come into force, as its author signed it. */
export interface RolloutCandidate {
  /** The bundle's name. */
  readonly bundle: string;
  /** Of the archive, lower-case hex. */
  readonly sha256: string;
  readonly revision: string;
  readonly version?: number;
  /** Nothing older may come back by an automatic rollback from this one. */
  readonly minRollbackVersion?: number;
  /** It mends a hole: where another would be taken back, its rollout pauses. */
  readonly security: boolean;
  /** The version of what is in force; absent where it is not signed. */
  readonly stableVersion?: number;
}

/** What a bundle's author orders of a fleet; it was verified before it came here. */
export interface RolloutOrder {
  readonly version: number;
  readonly expiresEpochS: number;
  readonly candidate: { readonly sha256: string; readonly version: number; readonly revision: string };
  readonly mode: 'shadow' | 'canary' | 'promote';
  readonly percent: number;
  readonly labels: { readonly [name: string]: string };
  readonly paused: boolean;
  readonly aborted: boolean;
  readonly abortOnTrips?: number;
}

/** Why the candidate may not be taken back without a person's word, `undefined` when it may. */
export function rollbackForbidden(candidate: RolloutCandidate): 'security' | 'min_rollback_version' | undefined {
  if (candidate.security) return 'security';
  const { minRollbackVersion, stableVersion } = candidate;
  if (minRollbackVersion === undefined || minRollbackVersion <= 0) return undefined;
  // What is in force without a version cannot be shown to be new enough.
  return stableVersion !== undefined && stableVersion >= minRollbackVersion ? undefined : 'min_rollback_version';
}

/** Whether an order is for an agent with these labels. */
export function isFor(order: RolloutOrder, labels: ReadonlyMap<string, string>): boolean {
  return Object.entries(order.labels).every(([name, value]) => labels.get(name) === value);
}

/** Whether so many instances said that a rail tripped there that the order itself has all go back. */
export function abortsOnTrips({ abortOnTrips, mode }: RolloutOrder, trips: readonly string[]): boolean {
  return abortOnTrips !== undefined && mode !== 'shadow' && new Set(trips).size >= abortOnTrips;
}

/** For log lines. */
export function nameOf({ bundle, revision, sha256 }: RolloutCandidate): {
  readonly bundle: string;
  readonly revision: string;
  readonly sha256: string;
} {
  return { bundle, revision, sha256 };
}

/** For people: why a candidate is not taken back. */
export function whyKept(forbidden: string): string {
  return KEPT[forbidden] ?? forbidden;
}

const KEPT: Readonly<Record<string, string>> = {
  security: 'it mends a hole',
  min_rollback_version: 'what is in force is older than `min_rollback_version` permits',
  pardoned: 'it was taken back once before, and a person let it in again',
};
