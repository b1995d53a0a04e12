import type { Clock } from '../../decision/ports.ts';
import type { Usage } from './usage.ts';

/** Lets one step of each reservation run at a time, in the order in which they came. */
export interface Turns {
  readonly alone: <T>(id: string, work: () => Promise<T>) => Promise<T>;
  underWay(): number;
}

export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>();
  let count = 0;
  return {
    underWay: () => count,
    alone: async (id, work) => {
      const turn = (last.get(id) ?? Promise.resolve()).then(work, work);
      last.set(id, turn);
      count += 1;
      try {
        return await turn;
      } finally {
        count -= 1;
        if (last.get(id) === turn) last.delete(id);
      }
    },
  };
}

/** Says yes `burst` times, and then `perSecond` times a second. */
export function createAllowance(
  { burst, perSecond }: { readonly burst: number; readonly perSecond: number },
  clock: Clock,
): () => boolean {
  let left = burst;
  let atMs = clock.now().monotonicMs;
  return () => {
    const { monotonicMs } = clock.now();
    left = Math.min(burst, left + (Math.max(0, monotonicMs - atMs) * perSecond) / 1000);
    atMs = monotonicMs;
    if (left < 1) return false;
    left -= 1;
    return true;
  };
}

/** The last 16,384 of what was set, by id. */
export interface Recent<T> {
  get(id: string): T | undefined;
  set(id: string, value: T): void;
  delete(id: string): void;
}

export function createRecent<T>(): Recent<T> {
  const kept = new Map<string, T>();
  return {
    get: (id) => kept.get(id),
    set: (id, value) => {
      kept.set(id, value);
      if (kept.size > MAX_RECENT) for (const oldest of kept.keys()) if (kept.delete(oldest)) break;
    },
    delete: (id) => void kept.delete(id),
  };
}

const MAX_RECENT = 16_384;

/** Whether two usages say the same, whichever API's names they came by. */
export function sameUsage(a: Usage, b: Usage): boolean {
  return a.input === b.input && a.cached === b.cached && a.output === b.output;
}

export function sameNumbers(a: readonly number[] | undefined, b: readonly number[]): boolean {
  return a !== undefined && a.length === b.length && a.every((number, at) => number === b[at]);
}
