import type { ChargedLimit } from './recorded-charges.ts';

/** What the allowed requests of a tenant took of a limit, and would take. */
export interface ChargeEffect {
  readonly limit: string;
  readonly tenant: string;
  readonly unit: string;
  readonly before: Charged;
  readonly after: Charged;
}

export interface Charged {
  readonly requests: number;
  readonly cost: number;
}

/** Sums of charges that differ; requests that are charged the same before and after count on both sides. */
export interface ChargeEffects {
  readonly add: (tenant: string, before: readonly ChargedLimit[], after: readonly ChargedLimit[]) => void;
  /** Only what would change, the largest change of a cost first. */
  readonly total: () => readonly ChargeEffect[];
}

export function chargeEffects(): ChargeEffects {
  const sums = new Map<string, Sum>();
  const sumOf = (tenant: string, { name, unit }: ChargedLimit): Sum => {
    const key = JSON.stringify([name, tenant, unit]);
    const known = sums.get(key);
    if (known !== undefined) return known;
    const [limit, owner] = sums.size < MAX_SUMS ? [name, tenant] : ['…', '…'];
    const otherKey = JSON.stringify([limit, owner, unit]);
    const sum = sums.get(otherKey) ?? { limit, tenant: owner, unit, before: nothing(), after: nothing() };
    sums.set(otherKey, sum);
    return sum;
  };
  return {
    add: (tenant, before, after) => {
      for (const one of before) count(sumOf(tenant, one).before, one.cost);
      for (const one of after) count(sumOf(tenant, one).after, one.cost);
    },
    total: () =>
      [...sums.values()]
        .filter(({ before, after }) => before.requests !== after.requests || before.cost !== after.cost)
        .sort((one, other) => difference(other) - difference(one)),
  };
}

interface Sum extends ChargeEffect {
  readonly before: Growing;
  readonly after: Growing;
}

type Growing = { -readonly [member in keyof Charged]: Charged[member] };

const MAX_SUMS = 10_000;

function nothing(): Growing {
  return { requests: 0, cost: 0 };
}

function count(sum: Growing, cost: number): void {
  sum.requests += 1;
  sum.cost += cost;
}

function difference({ before, after }: ChargeEffect): number {
  return Math.abs(after.cost - before.cost);
}
