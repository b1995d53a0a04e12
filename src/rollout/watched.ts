import { RequestFault } from '../decision/errors.ts';
import type { Generation } from '../decision/ports.ts';

/** A generation whose evaluations are measured; after one that took too long no further one is begun. */
export interface Watched {
  readonly generation: Generation;
  readonly longestMs: () => number;
  readonly overran: () => boolean;
}

export interface WatchedParts {
  readonly cpuMs: () => number;
  readonly maxMs: number;
}

/** For one comparison: an evaluation cannot be interrupted, but the next one of the same request can be left out. */
export function watch(generation: Generation, { cpuMs, maxMs }: WatchedParts): Watched {
  let longestMs = 0;
  return {
    longestMs: () => longestMs,
    overran: () => longestMs > maxMs,
    generation: {
      ...generation,
      evaluate: (entrypoint, input, at) => {
        if (longestMs > maxMs)
          throw new RequestFault('policy_budget', 'the evaluation before took too long to compare');
        const startMs = cpuMs();
        try {
          return generation.evaluate(entrypoint, input, at);
        } finally {
          longestMs = Math.max(longestMs, cpuMs() - startMs);
        }
      },
    },
  };
}
