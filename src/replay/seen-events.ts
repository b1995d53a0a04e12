import type { Numbered } from './recorded-event.ts';

/** Tells an event that was read before, as logs that overlap hold it twice: by instance and number, in a bit each. */
export interface SeenEvents {
  /** Whether it is new; it is not any more afterwards. */
  add(numbered: Numbered): boolean;
}

export function createSeenEvents(): SeenEvents {
  const instances = new Map<string, Map<number, Uint32Array>>();
  return {
    add: ({ instanceId, sequence }) => {
      const pages = instances.get(instanceId) ?? new Map<number, Uint32Array>();
      instances.set(instanceId, pages);
      const number = Math.floor(sequence / PAGE);
      const page = pages.get(number) ?? new Uint32Array(PAGE / 32);
      pages.set(number, page);
      const bit = sequence - number * PAGE;
      const word = page[bit >>> 5] ?? 0;
      const mask = 1 << (bit & 31);
      if ((word & mask) !== 0) return false;
      page[bit >>> 5] = word | mask;
      return true;
    },
  };
}

/** Events of an instance come mostly in a row. */
const PAGE = 4096;
