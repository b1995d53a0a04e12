import { startValkey, type ValkeyServer } from '../support/valkey.ts';
import type { RowTools } from './row.ts';

/** An empty Valkey that appends every write to its file. */
export async function startedValkey({ started }: RowTools): Promise<ValkeyServer> {
  const valkey = await startValkey();
  await started(Promise.resolve({ stop: () => valkey.remove() }));
  return valkey;
}

/**
 * `quota` of a service that is measured: with a deadline that a machine which stalls does not miss, since one refusal
 * would end the run. What the usual deadline misses is counted by a row of its own.
 */
export function quotaOnRedis(url: string): unknown {
  return { store: { kind: 'redis', url, key_prefix: 'bench:', cold_start_seconds: 0 }, deadline_ms: 1_000 };
}
