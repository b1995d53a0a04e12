import type { Generation, StartTimer } from './ports.ts';

/** The generation in force, and those that requests may still hold. */
export interface Generations {
  readonly current: () => Generation | undefined;
  /** Swaps a generation in with one assignment; `close` is called once no request can hold it any more. */
  readonly put: (generation: Omit<Generation, 'number'>, close: () => void) => void;
  /** Closes all of them at once. */
  readonly close: () => void;
}

export interface GenerationsParts {
  readonly startTimer: StartTimer;
  /** Longer than any request takes: requests keep the generation that they pinned. */
  readonly retireAfterMs: number;
}

export function createGenerations({ startTimer, retireAfterMs }: GenerationsParts): Generations {
  const retiring = new Set<() => void>();
  let current: { readonly generation: Generation; readonly close: () => void } | undefined;
  let count = 0;

  function retire(close: () => void): void {
    const cancel = startTimer(retireAfterMs, () => {
      retiring.delete(closeNow);
      close();
    });
    const closeNow = () => {
      cancel();
      close();
    };
    retiring.add(closeNow);
  }

  return {
    current: () => current?.generation,
    put: (generation, close) => {
      const former = current;
      count += 1;
      current = { generation: { ...generation, number: count }, close };
      if (former !== undefined) retire(former.close);
    },
    close: () => {
      for (const closeNow of retiring) closeNow();
      retiring.clear();
      current?.close();
      current = undefined;
    },
  };
}
