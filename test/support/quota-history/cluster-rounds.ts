import type { BucketTerms } from '../../../src/quota/bucket.ts';
import { clusterRate } from '../redis-cluster-store.ts';

/** A take of a cluster, when it was asked and answered, and what it asked of which bucket. */
export interface ClusterTake {
  readonly startUs: number;
  readonly endUs: number;
  readonly said: string;
  readonly costs: readonly (readonly [string, number])[];
}

/** Buckets that give nothing back while a test runs: two limits of a tenant, and limits that tenants share. */
export function termsOfRound(round: number) {
  const name = (what: string): string => `round-${round}-${what}`;
  return {
    own: [clusterRate(name('own-a'), 70), clusterRate(name('own-b'), 90)],
    ownTokens: clusterRate(name('own-tokens'), 150),
    shared: [20, 120, 220].map((part) => clusterRate(name(`shared-${part}`), 50, part)),
    sharedTokens: [60, 180].map((part) => clusterRate(name(`tokens-${part}`), 90, part)),
  };
}

export function allTerms(round: number): readonly BucketTerms[] {
  const { own, ownTokens, shared, sharedTokens } = termsOfRound(round);
  return [...own, ownTokens, ...shared, ...sharedTokens];
}

export interface ClusterVerdict {
  readonly taken: number;
  readonly refused: number;
  /** Units that were admitted above a limit. */
  readonly over: number;
  /** Takes that would have fitted if none that was refused itself had been under way. */
  readonly falselyRefused: number;
  /** Refusals that what was taken and what was under way together do not explain. */
  readonly unexplained: number;
  readonly admitted: ReadonlyMap<string, number>;
}

export function judgeCluster(history: readonly ClusterTake[], limits: ReadonlyMap<string, number>): ClusterVerdict {
  const byBucket = new Map<string, { readonly take: ClusterTake; readonly cost: number }[]>();
  for (const take of history) {
    for (const [id, cost] of take.costs) {
      const all = byBucket.get(id) ?? [];
      byBucket.set(id, all);
      all.push({ take, cost });
    }
  }
  const admitted = new Map<string, number>();
  let over = 0;
  for (const [id, all] of byBucket) {
    const units = all.reduce((sum, { take, cost }) => sum + (take.said === 'taken' ? cost : 0), 0);
    admitted.set(id, units);
    over += Math.max(0, units - (limits.get(id) ?? 0));
  }
  let falselyRefused = 0;
  let unexplained = 0;
  const refusals = history.filter(({ said }) => said === 'exceeded');
  for (const refusal of refusals) {
    const needs = refusal.costs.map(([id, cost]) => {
      let counted = cost;
      let underWay = 0;
      for (const { take, cost: units } of byBucket.get(id) ?? []) {
        if (take === refusal || take.startUs >= refusal.endUs) continue;
        if (take.said === 'taken') counted += units;
        else if (take.endUs > refusal.startUs) underWay += units;
      }
      return { counted, all: counted + underWay, limit: limits.get(id) ?? 0 };
    });
    if (needs.every(({ counted, limit }) => counted <= limit)) falselyRefused += 1;
    if (needs.every(({ all, limit }) => all <= limit)) unexplained += 1;
  }
  const taken = history.length - refusals.length;
  return { taken, refused: refusals.length, over, falselyRefused, unexplained, admitted };
}
