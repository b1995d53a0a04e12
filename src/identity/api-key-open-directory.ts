import type { Clock, StartTimer } from '../decision/ports.ts';
import type { KeyDirectory, KeyDirectoryEvent } from './api-key-directory.ts';
import { createFileKeyDirectory, createWatchedFile } from './api-key-file-directory.ts';
import { createRedisKeyDirectory } from './api-key-redis-directory.ts';
import { createRedisHashStore } from './api-key-redis-store.ts';
import type { ApiKeysConfig } from './config.ts';

export interface KeyDirectoryPorts {
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly report: (event: KeyDirectoryEvent) => void;
}

/** The directory that a validated config names. */
export function createKeyDirectory(config: ApiKeysConfig, ports: KeyDirectoryPorts): KeyDirectory {
  const { file, redis, cache_max_entries: cacheMaxEntries } = config;
  if (redis !== undefined) {
    return createRedisKeyDirectory({
      store: createRedisHashStore({ url: redis.url, ...ports }),
      prefix: redis.prefix,
      deadlineMs: redis.deadline_ms,
      cacheMaxEntries,
      startTimer: ports.startTimer,
    });
  }
  if (file !== undefined) return createFileKeyDirectory({ file: createWatchedFile(file), ...ports });
  throw new TypeError('API keys have neither `file` nor `redis`: run `checkIdentityConfig` first');
}
