import type { Voter } from './voter.ts';

/** What one comparison says for its voter. */
export interface Vote {
  readonly denyChanged: boolean;
  readonly allowChanged: boolean;
  /** The candidate failed and the bundle in force did not. */
  readonly failed: boolean;
  readonly overBudget: boolean;
  /** Where both were decided under the same conditions. */
  readonly timing?: { readonly stableMs: number; readonly candidateMs: number };
}

export const VOTE_KINDS = ['deny_changed', 'allow_changed', 'error', 'slow'] as const;

export type VoteKind = (typeof VOTE_KINDS)[number];

/** How many voters there were, and for how many the candidate differs. */
export interface VoteCount {
  readonly voters: number;
  readonly affected: Readonly<Record<VoteKind, { readonly voters: number; readonly percent: number }>>;
}

export interface TallyRules {
  readonly oneVotePer: 'tenant' | 'principal';
  readonly maxLatencyRatio: number;
  readonly minLatencyMs: number;
  /** Whether this service has tenants at all: those without one are then not a voter each. */
  readonly hasTenants: () => boolean;
}

const MAX_TENANTS = 1024;
const MAX_PRINCIPALS_PER_TENANT = 64;
const MAX_ISSUERS = 16;
const MAX_PRINCIPALS_PER_ISSUER = 2048;

/**
 * Votes of distinct verified principals, bounded. A principal has one vote however often he asks, a tenant one vote
 * however many principals it has: it is split among them. Who is full takes no place from others.
 */
export class Tally {
  readonly #rules: TallyRules;
  readonly #tenants = new Map<string, Group>();
  /** Those without a tenant, by issuer. */
  readonly #issuers = new Map<string, Group>();

  constructor(rules: TallyRules) {
    this.#rules = rules;
  }

  add({ group, hasTenant, principal }: Voter, vote: Vote): void {
    const groups = hasTenant ? this.#tenants : this.#issuers;
    let votes = groups.get(group);
    if (votes === undefined) {
      if (groups.size >= (hasTenant ? MAX_TENANTS : MAX_ISSUERS)) return;
      votes = new Map();
      groups.set(group, votes);
    }
    let own = votes.get(principal);
    if (own === undefined) {
      if (votes.size >= this.#maxPrincipals(hasTenant)) return;
      own = new PrincipalVotes();
      votes.set(principal, own);
    }
    own.add(vote);
  }

  count(): VoteCount {
    const groups = this.#voters();
    const sums = { deny_changed: [0, 0], allow_changed: [0, 0], error: [0, 0], slow: [0, 0] } satisfies Sums;
    for (const votes of groups) {
      for (const kind of VOTE_KINDS) {
        const part = affectedPart(votes, kind, this.#rules);
        if (part === 0) continue;
        sums[kind][0] += 1;
        sums[kind][1] += part;
      }
    }
    const affected = (kind: VoteKind) => ({
      voters: sums[kind][0],
      percent: groups.length === 0 ? 0 : (sums[kind][1] / groups.length) * 100,
    });
    return {
      voters: groups.length,
      affected: {
        deny_changed: affected('deny_changed'),
        allow_changed: affected('allow_changed'),
        error: affected('error'),
        slow: affected('slow'),
      },
    };
  }

  #maxPrincipals(hasTenant: boolean): number {
    return hasTenant && this.#rules.oneVotePer === 'tenant' ? MAX_PRINCIPALS_PER_TENANT : MAX_PRINCIPALS_PER_ISSUER;
  }

  /** Where nobody has a tenant, each principal is a voter; beside tenants, all without one of an issuer are one. */
  #voters(): readonly Votes[] {
    if (this.#rules.oneVotePer === 'principal') return each([...this.#tenants.values(), ...this.#issuers.values()]);
    if (this.#tenants.size === 0 && !this.#rules.hasTenants()) return each([...this.#issuers.values()]);
    return [...this.#tenants.values(), ...this.#issuers.values()].map((group) => [...group.values()]);
  }
}

type Group = Map<string, PrincipalVotes>;
type Votes = readonly PrincipalVotes[];
type Sums = Record<VoteKind, [number, number]>;

function each(groups: readonly Group[]): readonly Votes[] {
  return groups.flatMap((group) => [...group.values()].map((votes) => [votes]));
}

function affectedPart(votes: Votes, kind: VoteKind, rules: TallyRules): number {
  let affected = 0;
  for (const one of votes) if (one.isAffected(kind, rules)) affected += 1;
  return affected / votes.length;
}

/** What was compared of one principal. */
class PrincipalVotes {
  #compared = 0;
  #denyChanged = false;
  #allowChanged = false;
  #failed = false;
  #overBudget = 0;
  #timed = 0;
  #stableMs = 0;
  #candidateMs = 0;

  add({ denyChanged, allowChanged, failed, overBudget, timing }: Vote): void {
    this.#compared += 1;
    if (denyChanged) this.#denyChanged = true;
    if (allowChanged) this.#allowChanged = true;
    if (failed) this.#failed = true;
    if (overBudget) this.#overBudget += 1;
    if (timing === undefined) return;
    this.#timed += 1;
    this.#stableMs += timing.stableMs;
    this.#candidateMs += timing.candidateMs;
  }

  isAffected(kind: VoteKind, { maxLatencyRatio, minLatencyMs }: TallyRules): boolean {
    switch (kind) {
      case 'deny_changed':
        return this.#denyChanged;
      case 'allow_changed':
        return this.#allowChanged;
      case 'error':
        // A pause of the process makes any evaluation late now and then; a loop makes most of them late.
        return this.#failed || this.#overBudget * 2 > this.#compared;
      case 'slow':
        return (
          this.#candidateMs > this.#stableMs * maxLatencyRatio &&
          this.#candidateMs - this.#stableMs > this.#timed * minLatencyMs
        );
    }
  }
}
