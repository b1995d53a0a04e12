import type { RedisStoreEvent } from './redis-event.ts';

/**
 * Gives back the reservations of callers that were refused without an answer: an id is released, or, where it never
 * took, marked, so that it takes nothing when it arrives after all.
 */
export interface GivingBack {
  give(id: string): void;
  /** What cannot be given back is counted, and told. */
  lost(): void;
  /** There is a connection again. */
  resume(): void;
}

export interface GivingBackOptions {
  readonly release: (id: string) => Promise<void>;
  readonly report: (event: RedisStoreEvent) => void;
}

/** More are left to expire. */
const MAX_IDS = 10_000;
const AT_ONCE = 16;

export function createGivingBack({ release, report }: GivingBackOptions): GivingBack {
  const ids = new Set<string>();
  let active = 0;
  let lostCount = 0;

  function lost(): void {
    lostCount += 1;
    if (lostCount > 1) return;
    setImmediate(() => {
      report({ kind: 'charged_unanswered', count: lostCount });
      lostCount = 0;
    });
  }

  function next(): void {
    for (const id of ids) {
      if (active >= AT_ONCE) return;
      ids.delete(id);
      active += 1;
      release(id).then(
        () => {
          active -= 1;
          next();
        },
        () => {
          active -= 1;
          // The next connection tries again.
          if (ids.size < MAX_IDS) ids.add(id);
          else lost();
        },
      );
    }
  }

  return {
    give: (id) => {
      if (ids.size >= MAX_IDS) return lost();
      ids.add(id);
      next();
    },
    lost,
    resume: next,
  };
}
