import { randomInt } from 'node:crypto';

/** A reproducible source of randomness (mulberry32); one per test, so that no test depends on another's draws. */
export interface Random {
  readonly seed: number;
  /** In [0, 1). */
  next(): number;
  /** An integer in [0, below). */
  below(below: number): number;
  pick<T>(items: readonly T[]): T;
  chance(probability: number): boolean;
  bytes(count: number): Uint8Array;
}

/** The run's seed: `SALLYPORT_SEED`, else a fresh one. Printed, so that a failure can be run again. */
export function seedOf(name: string, otherwise = randomInt(2 ** 31)): number {
  const given = process.env['SALLYPORT_SEED'];
  const seed = given === undefined ? otherwise : Number(given);
  if (!Number.isSafeInteger(seed)) throw new Error('`SALLYPORT_SEED` is not an integer');
  console.info(`${name}: SALLYPORT_SEED=${seed}`);
  return seed;
}

/** How many cases to run: the CI figure, times `SALLYPORT_CASES` for a long run (`40`) or a quick one (`0.01`). */
export function caseCount(inCi: number): number {
  const factor = Number(process.env['SALLYPORT_CASES'] ?? '1');
  if (!Number.isFinite(factor) || factor <= 0) throw new Error('`SALLYPORT_CASES` is not a positive number');
  return Math.max(1, Math.round(inCi * factor));
}

export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    seed,
    next,
    below,
    pick: (items) => {
      const item = items[below(items.length)];
      if (items.length === 0) throw new Error('nothing to pick from');
      // In range: `below` is smaller than the length.
      return item as (typeof items)[number];
    },
    chance: (probability) => next() < probability,
    bytes: (count) => Uint8Array.from({ length: count }, () => below(256)),
  };
}
