import { type QuotaConfig, quotaConfigSchema } from '../../../src/quota/config.ts';

const { max_buckets, max_outsider_buckets, max_reservations } = quotaConfigSchema.properties.store.properties;

/** The memory store at its defaults. */
export const MEMORY_STORE: QuotaConfig['store'] = {
  kind: 'memory',
  max_buckets: max_buckets.default,
  max_outsider_buckets: max_outsider_buckets.default,
  max_reservations: max_reservations.default,
  key_prefix: 'unused:',
  cold_start_seconds: 0,
};
