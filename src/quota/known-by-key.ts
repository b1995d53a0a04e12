/** What was made lately for keys of several values. */
export interface KnownByKey<T> {
  get(key: readonly string[]): T | undefined;
  set(key: readonly string[], made: T): void;
}

/**
 * Makes one after another, bounded together: all forget at once when `max` is reached. Keys that are long altogether are
 * not kept, since callers choose some of their values.
 */
export function createKnownByKey<T>(max: number): () => KnownByKey<T> {
  let filled: Branch<T>[] = [];
  let count = 0;

  function forgetAll(): void {
    for (const root of filled) {
      root.made = undefined;
      root.below = undefined;
    }
    filled = [];
    count = 0;
  }

  return () => {
    const root = new Branch<T>();
    return {
      get: (key) => {
        let branch: Branch<T> | undefined = root;
        for (let at = 0; at < key.length && branch !== undefined; at += 1) branch = branch.below?.get(key[at] ?? '');
        return branch?.made;
      },
      set: (key, made) => {
        if (lengthOf(key) > MAX_KEY) return;
        if (count >= max) forgetAll();
        if (root.below === undefined && root.made === undefined) filled.push(root);
        let branch = root;
        for (const value of key) branch = branch.step(value);
        if (branch.made === undefined) count += 1;
        branch.made = made;
      },
    };
  };
}

/** In characters, all values of a key together. */
const MAX_KEY = 256;

class Branch<T> {
  made: T | undefined = undefined;
  below: Map<string, Branch<T>> | undefined = undefined;

  step(value: string): Branch<T> {
    this.below ??= new Map();
    let next = this.below.get(value);
    if (next === undefined) {
      next = new Branch();
      this.below.set(value, next);
    }
    return next;
  }
}

function lengthOf(key: readonly string[]): number {
  let length = 0;
  for (const value of key) length += value.length;
  return length;
}
