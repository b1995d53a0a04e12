/** What becomes of a bundle that is stale. */
export interface StalePolicy {
  /** Since the source last confirmed it; absent: any age. */
  readonly maxAgeMs?: number;
  readonly level: 'warn' | 'not_ready' | 'deny';
}

/** `age`: its source has not confirmed it for too long. `expired`: its signature says that it is over. */
export type StaleCause = 'age' | 'expired';

/** How stale the set in force is, by the worst of its bundles. */
export interface Staleness {
  readonly level: 'fresh' | StalePolicy['level'];
  /** `<bundle>: <cause>`, for readiness and the log. */
  readonly reasons: readonly string[];
}

export interface Freshness {
  readonly policy: StalePolicy;
  readonly ageMs: number;
  readonly expiresEpochS: number | undefined;
  readonly nowEpochS: number;
}

/** Says so and goes on: what a bundle without `stale` gets, which can be stale by expiry only. */
export const WARN_ONLY: StalePolicy = { level: 'warn' };

export function staleCauseOf({ policy, ageMs, expiresEpochS, nowEpochS }: Freshness): StaleCause | undefined {
  if (expiresEpochS !== undefined && nowEpochS >= expiresEpochS) return 'expired';
  return policy.maxAgeMs !== undefined && ageMs > policy.maxAgeMs ? 'age' : undefined;
}

export function worstOf(
  stale: readonly { readonly name: string; readonly cause: StaleCause; readonly level: StalePolicy['level'] }[],
): Staleness {
  const level = LEVELS.findLast((candidate) => stale.some((one) => one.level === candidate)) ?? 'fresh';
  return { level, reasons: stale.map(({ name, cause }) => `${name}: ${cause}`) };
}

const LEVELS = ['warn', 'not_ready', 'deny'] as const;
