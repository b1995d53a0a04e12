import type { Canary, Generation, StartTimer } from './ports.ts';

/** What is put in force; numbers and what is under trial are added here. */
export type GenerationParts = Omit<Generation, 'number' | 'canary'>;

/** The generation in force, what is under trial beside it, and those that requests may still hold. */
export interface Generations {
  readonly current: () => Generation | undefined;
  /** Swaps a generation in with one assignment; `close` is called once no request can hold it any more. */
  readonly put: (generation: GenerationParts, close: () => void) => void;
  /**
   * Gives a generation its number without putting it in force. `close` is called once it was withdrawn and no request can
   * hold it, unless it was put in force before.
   */
  readonly stage: (generation: GenerationParts, close: () => void) => StagedGeneration;
  /** Closes all of them at once. */
  readonly close: () => void;
}

/** A generation beside the one in force. Each of these is done at once, and again is nothing. */
export interface StagedGeneration {
  readonly generation: Generation;
  /** From here on decides for those whom `includes` names; again with others changes whom. */
  decideFor(includes: Canary['includes']): void;
  /** From here on decides for nobody, until `decideFor`. */
  decideForNobody(): void;
  /** Puts it in force for everybody. */
  promote(): void;
  /** Decides for nobody any more, for good. */
  withdraw(): void;
}

export interface GenerationsParts {
  readonly startTimer: StartTimer;
  /** Longer than any request takes: requests keep the generation that they pinned. */
  readonly retireAfterMs: number;
}

export function createGenerations({ startTimer, retireAfterMs }: GenerationsParts): Generations {
  const retiring = new Set<() => void>();
  const staged = new Set<Held>();
  let stable: Held | undefined;
  let canary: { readonly held: Held; readonly includes: Canary['includes'] } | undefined;
  /** What `current` answers: one object, made anew only when something changes. */
  let current: Generation | undefined;
  let count = 0;

  function number(parts: GenerationParts, close: () => void): Held {
    count += 1;
    return { generation: { ...parts, number: count }, close };
  }

  function publish(): void {
    if (stable === undefined || canary === undefined) current = stable?.generation;
    else {
      const { held, includes } = canary;
      current = { ...stable.generation, canary: { generation: held.generation, includes } };
    }
  }

  function retire({ close }: Held): void {
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

  function putInForce(held: Held): void {
    const former = stable;
    stable = held;
    if (canary?.held === held) canary = undefined;
    publish();
    if (former !== undefined) retire(former);
  }

  return {
    current: () => current,
    put: (parts, close) => putInForce(number(parts, close)),
    stage: (parts, close) => {
      const held = number(parts, close);
      staged.add(held);
      return {
        generation: held.generation,
        decideFor: (includes) => {
          if (!staged.has(held)) return;
          canary = { held, includes };
          publish();
        },
        decideForNobody: () => {
          if (canary?.held !== held) return;
          canary = undefined;
          publish();
        },
        promote: () => {
          if (staged.delete(held)) putInForce(held);
        },
        withdraw: () => {
          if (!staged.delete(held)) return;
          if (canary?.held === held) canary = undefined;
          publish();
          retire(held);
        },
      };
    },
    close: () => {
      for (const closeNow of retiring) closeNow();
      retiring.clear();
      for (const { close } of staged) close();
      staged.clear();
      stable?.close();
      stable = undefined;
      canary = undefined;
      current = undefined;
    },
  };
}

interface Held {
  readonly generation: Generation;
  readonly close: () => void;
}
