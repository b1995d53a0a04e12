import type { PlainTaken } from './redis-takes.ts';

/** `recorded`: it holds, and the store knows it. */
export type RecentTake = PlainTaken | 'recorded' | 'released';

/**
 * The last takes of this process, by id. Of those that hold nothing the store keeps no record: who can give one back is
 * the process that took it, and no other learns its id. Bounded: what is forgotten stays charged.
 */
export interface RecentTakes<T = RecentTake> {
  set(id: string, taken: T): void;
  get(id: string): T | undefined;
}

/** Remembers at least `size` of them; two halves, so that forgetting costs nothing. */
export function createRecentTakes<T = RecentTake>(size: number): RecentTakes<T> {
  let young = new Map<string, T>();
  let old: ReadonlyMap<string, T> = young;
  return {
    set: (id, taken) => {
      if (young.size >= size) {
        old = young;
        young = new Map();
      }
      young.set(id, taken);
    },
    get: (id) => young.get(id) ?? old.get(id),
  };
}
