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

export function createAdmission({ oneVotePer }: AdmissionParts): Admission {
  const groups = new Map<string, Admitted>();
  return {
    admits: ({ group, hasTenant, principal }) => {
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
    reset: () => groups.clear(),
  };
}

interface Admitted {
  count: number;
  waiting: number;
  readonly principals: Map<string, number>;
}
