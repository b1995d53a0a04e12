import type { GuardRailsConfig } from './config.ts';
import { Tally, VOTE_KINDS, type VoteCount, type VoteKind } from './tally.ts';

/** A guard rail that tripped. */
export interface Trip {
  readonly rail: VoteKind;
  /** Voters who were compared, and those of them who are affected. */
  readonly voters: number;
  readonly affected: number;
  readonly percent: number;
  readonly maxPercent: number;
}

/** The first rail that the votes trip; `undefined` where none does, or too few voters were compared. */
export function trippedRail(config: GuardRailsConfig, { voters, affected }: VoteCount): Trip | undefined {
  if (voters < config.min_principals) return undefined;
  for (const rail of RAILS) {
    const maxPercent = limitOf(config, rail);
    const { voters: count, percent } = affected[rail];
    if (maxPercent !== undefined && count >= config.min_affected && percent > maxPercent) {
      return { rail, voters, affected: count, percent, maxPercent };
    }
  }
  return undefined;
}

export function createTally(config: GuardRailsConfig, hasTenants: () => boolean): Tally {
  const { one_vote_per: oneVotePer, max_latency_ratio: maxLatencyRatio, min_latency_ms: minLatencyMs } = config;
  return new Tally({ oneVotePer, maxLatencyRatio, minLatencyMs, hasTenants });
}

/** For people: which rail, and by how much. */
export function tripText({ rail, voters, affected, percent, maxPercent }: Trip): string {
  return `${TEXTS[rail]} for ${affected} of ${voters} voters (${percent.toFixed(1)} %, at most ${maxPercent} %)`;
}

/** What fails is named before what it does to denials. */
const RAILS: readonly VoteKind[] = ['error', ...VOTE_KINDS.filter((kind) => kind !== 'error')];

const TEXTS: Readonly<Record<VoteKind, string>> = {
  deny_changed: 'the candidate denies what was allowed',
  allow_changed: 'the candidate allows what was denied',
  error: 'the candidate fails or is over budget',
  slow: 'the candidate is slow',
};

function limitOf(config: GuardRailsConfig, rail: VoteKind): number | undefined {
  switch (rail) {
    case 'deny_changed':
      return config.max_deny_changed_percent;
    case 'allow_changed':
      return config.max_allow_changed_percent;
    case 'error':
      return config.max_error_percent;
    case 'slow':
      return config.max_slow_percent;
  }
}
