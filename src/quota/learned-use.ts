import { LRUCache } from 'lru-cache';
import { keyPart } from './bucket-terms.ts';
import type { QuotaConfig } from './config.ts';

/** What reservations turned out to use, for each tenant, model and limit. */
export interface LearnedUse {
  /** What 95 of 100 such calls stay within; `undefined` until enough were seen. */
  p95(tenant: string, model: string, limit: string): number | undefined;
  /** Counts what a settled reservation used. */
  learn(tenant: string, model: string, limit: string, used: number): void;
}

/**
 * Learns in bounded memory: small histograms with steps of at most a quarter, old calls fading; of what was not looked
 * at for the longest time nothing is kept.
 */
export function createLearnedUse({ enabled, max_entries: max }: QuotaConfig['learning']): LearnedUse {
  const uses = new LRUCache<string, Use>({ max });
  return {
    p95: (tenant, model, limit) => (enabled ? uses.get(keyOf(tenant, model, limit))?.p95 : undefined),
    learn: (tenant, model, limit, used) => {
      if (!enabled || !Number.isSafeInteger(used) || used < 0) return;
      const key = keyOf(tenant, model, limit);
      let use = uses.get(key);
      if (use === undefined) {
        use = { counts: new Uint16Array(CELLS), total: 0, p95: undefined };
        uses.set(key, use);
      }
      const cell = cellOf(used);
      use.counts[cell] = (use.counts[cell] ?? 0) + 1;
      use.total += 1;
      if (use.total >= FADE_AT) fade(use);
      if (use.total >= ENOUGH) use.p95 = percentile(use, 0.95);
    },
  };
}

interface Use {
  readonly counts: Uint16Array;
  total: number;
  p95: number | undefined;
}

function keyOf(tenant: string, model: string, limit: string): string {
  return keyPart(tenant) + keyPart(model) + keyPart(limit);
}

/** Fewer calls say little of the rare long ones. */
const ENOUGH = 20;
const FADE_AT = 1024;

/** Halves what is known, so that the last thousand calls count most. */
function fade(use: Use): void {
  let total = 0;
  for (let cell = 0; cell < CELLS; cell += 1) {
    const left = (use.counts[cell] ?? 0) >> 1;
    use.counts[cell] = left;
    total += left;
  }
  use.total = total;
}

function percentile({ counts, total }: Use, part: number): number {
  const wanted = Math.ceil(total * part);
  let seen = 0;
  for (let cell = 0; cell < CELLS; cell += 1) {
    seen += counts[cell] ?? 0;
    if (seen >= wanted) return mostOf(cell);
  }
  return Number.MAX_SAFE_INTEGER;
}

const STEPS = 4;
const OCTAVES = 53;
/** One for each number below 4, then four for each doubling up to 2^53. */
const CELLS = OCTAVES * STEPS;

function cellOf(used: number): number {
  if (used < STEPS) return used;
  // Exact for every integer below 2^53, which a logarithm near a power of two is not.
  let octave = 0;
  let step = used;
  if (step >= 2 ** 32) {
    octave = 32;
    step = Math.floor(step / 2 ** 32);
  }
  octave += 31 - Math.clz32(step);
  return (octave - 1) * STEPS + Math.floor((used / 2 ** octave - 1) * STEPS);
}

/** The largest number of a cell. */
function mostOf(cell: number): number {
  if (cell < STEPS) return cell;
  const octave = Math.floor(cell / STEPS) + 1;
  return 2 ** octave + ((cell % STEPS) + 1) * 2 ** (octave - 2) - 1;
}
