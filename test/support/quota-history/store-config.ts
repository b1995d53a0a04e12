import type { QuotaConfig } from '../../../src/quota/config.ts';

/** A Valkey server of the tests: a deadline of a second, since no machine is slow for that long, and no cold start. */
export function storeConfig(
  url: string,
  coldStartSeconds = 0,
): Pick<QuotaConfig, 'store' | 'deadline_ms' | 'settle_horizon_seconds'> {
  return {
    store: {
      kind: 'redis',
      url,
      key_prefix: 'test:',
      max_buckets: 1024,
      max_outsider_buckets: 1024,
      max_reservations: 64,
      cold_start_seconds: coldStartSeconds,
    },
    deadline_ms: 1000,
    settle_horizon_seconds: 900,
  };
}
