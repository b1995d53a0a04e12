import type { BucketTerms, Windows } from '../../../src/quota/bucket.ts';

/** The buckets of a run; every worker makes the same ones. */
export interface Scenario {
  readonly hotRates: readonly BucketTerms[];
  readonly hotWindows: readonly BucketTerms[];
  readonly concurrency: readonly BucketTerms[];
  readonly cold: readonly BucketTerms[];
  /** One for each client: a window that is always used, and so tells the moment of its store in every answer. */
  readonly clocks: readonly BucketTerms[];
}

/** Sizes are such that about half of all takes are refused at `perSecond` takes. */
export function createScenario(name: string, clients: number, perSecond: number): Scenario {
  const rate = (id: string, limit: number, burst: number, periodMs: number): BucketTerms => ({
    id: `${name}:${id}`,
    kind: 'rate',
    limit,
    burst,
    periodMs,
    region: 'callers',
    scope: 'tenant',
  });
  const window = (id: string, limit: number, windows: Windows): BucketTerms => ({
    id: `${name}:${id}`,
    kind: 'window',
    limit,
    burst: limit,
    periodMs: 1,
    region: 'callers',
    scope: 'tenant',
    windows,
  });
  const held = (id: string, limit: number): BucketTerms => ({
    id: `${name}:${id}`,
    kind: 'concurrency',
    limit,
    burst: limit,
    periodMs: 1,
    region: 'callers',
    scope: 'tenant',
  });
  return {
    hotRates: [
      rate('requests', Math.ceil(perSecond / 4), Math.ceil(perSecond / 20), 1000),
      rate('tokens', perSecond * 60 * 8, perSecond * 4, 60_000),
    ],
    hotWindows: [window('month', 2 ** 50, ERA), window('second', Math.ceil(perSecond / 3), SECONDS)],
    concurrency: [held('streams', Math.max(2, Math.ceil(clients / 2)))],
    cold: Array.from({ length: 100 }, (_, at) => rate(`cold${at}`, 1 + (at % 7), 5, 3_600_000)),
    clocks: Array.from({ length: clients }, (_, at) => window(`clock${at}`, 2 ** 50, ERA)),
  };
}

export function termsOf(scenario: Scenario): ReadonlyMap<string, BucketTerms> {
  return new Map(
    Object.values(scenario).flatMap((all: readonly BucketTerms[]) => all.map((terms) => [terms.id, terms])),
  );
}

/** No end of it comes in any run. */
const ERA: Windows = { at: () => ({ startMs: Date.UTC(2020, 0), endMs: Date.UTC(2060, 0) }) };

const SECONDS: Windows = {
  at: (epochMs) => {
    const startMs = Math.floor(epochMs / 1000) * 1000;
    return { startMs, endMs: startMs + 1000 };
  },
};
