import type { EpochMemory } from './redis-state.ts';

/** The epochs of all parts in one memory, written together. */
export function createClusterEpochs(memory: EpochMemory | undefined, parts: number): (part: number) => EpochMemory {
  const epochs: string[] = [];
  let read = false;
  let planned = false;

  function load(part: number): string | undefined {
    if (!read) {
      read = true;
      for (const [at, epoch] of (memory?.load() ?? '').split(' ').entries()) {
        if (at < parts && EPOCH.test(epoch)) epochs[at] = epoch;
      }
    }
    return epochs[part];
  }

  function save(part: number, epoch: string): void {
    load(part);
    epochs[part] = epoch;
    if (planned || memory === undefined) return;
    planned = true;
    setImmediate(() => {
      planned = false;
      memory.save(Array.from({ length: parts }, (_, at) => epochs[at] ?? '-').join(' '));
    });
  }

  return (part) => ({ load: () => load(part), save: (epoch) => save(part, epoch) });
}

const EPOCH = /^[0-9a-f]{32}$/;
