import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EpochMemory } from './redis-state.ts';

/** Which counts this replica knew, kept over its restarts: a Redis that came back empty is then known to have lost them. */
export function createEpochFile(folder: string, name = 'redis-epoch'): EpochMemory {
  const file = join(folder, name);
  return {
    load: () => {
      try {
        return readFileSync(file, 'utf8').trim() || undefined;
      } catch {
        return undefined;
      }
    },
    save: (epoch) => {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const half = `${file}.new`;
      writeFileSync(half, `${epoch}\n`, { mode: 0o600 });
      renameSync(half, file);
    },
  };
}
