import type { Voter } from './voter.ts';

/** Who may still be compared in this window: so that nobody's flood takes the place of others. */
export interface Admission {
  /** Whether there is room for this voter; nothing is counted yet. */
  admits(voter: Voter): boolean;
  count(voter: Voter): void;
  /** One that was counted waits no longer. */
  taken(voter: Voter): void;
  /** One that was counted was not compared after all. */
  uncount(voter: Voter): void;
  /**
   * Admits this voter no more: for this window and the next, and each time for twice as long. A tenant where it has one
   * vote, else the principal alone, so that nobody without a tenant bars others.
   */
  bar(voter: Voter): void;
  isBarred(voter: Voter): boolean;
  /** How many are barred now. */
  barred(): number;
  /** Begins a new window. */
  reset(): void;
}

export interface AdmissionParts {
  readonly oneVotePer: 'tenant' | 'principal';
}

const PER_PRINCIPAL = 4;
const PER_TENANT = 64;
const PER_ISSUER = 2048;
const MAX_GROUPS = 2048;
/** At once, so that a queue that is slow to empty is not one caller's. */
const WAITING_PER_TENANT = 4;
const WAITING_PER_ISSUER = 64;
const MAX_BARS = 1024;
const MAX_BAR_DOUBLINGS = 6;

export function createAdmission({ oneVotePer }: AdmissionParts): Admission {
  const groups = new Map<string, Admitted>();
  const bars = new Map<string, Bar>();
  let window = 0;

  function keyOf({ group, hasTenant, principal }: Voter): string {
    return hasTenant && oneVotePer === 'tenant' ? group : principal;
  }

  function isBarred(voter: Voter): boolean {
    return window < (bars.get(keyOf(voter))?.untilWindow ?? 0);
  }

  return {
    admits: (voter) => {
      const { group, hasTenant, principal } = voter;
      if (isBarred(voter)) return false;
      const admitted = groups.get(group);
      if (admitted === undefined) return groups.size < MAX_GROUPS;
      if (admitted.waiting >= (hasTenant && oneVotePer === 'tenant' ? WAITING_PER_TENANT : WAITING_PER_ISSUER))
        return false;
      if (admitted.count >= (hasTenant && oneVotePer === 'tenant' ? PER_TENANT : PER_ISSUER)) return false;
      return (admitted.principals.get(principal) ?? 0) < PER_PRINCIPAL;
    },
    count: ({ group, principal }) => {
      let admitted = groups.get(group);
      if (admitted === undefined) {
        admitted = { count: 0, waiting: 0, principals: new Map() };
        groups.set(group, admitted);
      }
      admitted.count += 1;
      admitted.waiting += 1;
      admitted.principals.set(principal, (admitted.principals.get(principal) ?? 0) + 1);
    },
    taken: ({ group }) => {
      const admitted = groups.get(group);
      if (admitted !== undefined && admitted.waiting > 0) admitted.waiting -= 1;
    },
    uncount: ({ group, principal }) => {
      const admitted = groups.get(group);
      const own = admitted?.principals.get(principal) ?? 0;
      if (admitted === undefined || own === 0) return;
      admitted.count -= 1;
      admitted.principals.set(principal, own - 1);
    },
    bar: (voter) => {
      const key = keyOf(voter);
      const times = Math.min((bars.get(key)?.times ?? 0) + 1, MAX_BAR_DOUBLINGS);
      bars.delete(key);
      const [oldest] = bars.keys();
      if (bars.size >= MAX_BARS && oldest !== undefined) bars.delete(oldest);
      bars.set(key, { times, untilWindow: window + 2 ** times });
    },
    isBarred,
    barred: () => [...bars.values()].filter(({ untilWindow }) => window < untilWindow).length,
    reset: () => {
      window += 1;
      groups.clear();
    },
  };
}

interface Admitted {
  count: number;
  waiting: number;
  readonly principals: Map<string, number>;
}

interface Bar {
  readonly times: number;
  /** Windows are counted from 0. */
  readonly untilWindow: number;
}
