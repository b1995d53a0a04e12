import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll } from 'vitest';
import type { BucketStore } from '../../src/quota/bucket-store.ts';
import { openMemoryStore } from '../../src/quota/memory/memory-store.ts';
import { createMemoryTable } from '../../src/quota/memory/memory-table.ts';
import { createRedisStore } from '../../src/quota/redis/redis-store.ts';
import { describeWith } from '../support/describe-with.ts';
import { createManualClock, type ManualClock } from '../support/manual-clock.ts';
import { createReferenceBucketStore } from '../support/reference-bucket-store.ts';
import { startSystemTimer, systemClock } from '../support/system-ports.ts';
import { startValkey, type ValkeyServer } from '../support/valkey.ts';
import { describeBucketStore } from './bucket-store.suite.ts';
import type { OpenBucketStore } from './bucket-store-kit.ts';

/** One entry for each store that there is; one that needs a server opens a store with a deadline of a second or more. */
const OPENERS: Readonly<Record<string, () => Promise<OpenBucketStore>>> = {
  'the reference store': async () => {
    const clock = createManualClock();
    const store = createReferenceBucketStore();
    return withManualTime(store, clock);
  },
  'the memory store': async () => {
    const clock = createManualClock();
    const store = openMemoryStore({ table: createMemoryTable(MEMORY), workerId: 0 });
    return withManualTime(store, clock);
  },
};

const MEMORY = {
  store: { max_buckets: 16_384, max_outsider_buckets: 1024, max_reservations: 1024 },
  settleHorizonSeconds: 900,
  key: randomBytes(16),
} as const;

for (const [name, open] of Object.entries(OPENERS)) describeBucketStore(name, open);

function withManualTime(store: BucketStore, clock: ManualClock): OpenBucketStore {
  return {
    store,
    clock,
    manualTime: true,
    advance: (ms) => clock.advance(ms),
    setEpoch: (epochMs) => clock.setEpoch(epochMs),
    close: () => store.stop(),
  };
}

describeWith(['valkey'], 'a Valkey server', () => {
  let server: ValkeyServer;
  beforeAll(async () => {
    server = await startValkey();
  });
  afterAll(async () => {
    await server.remove();
  });

  describeBucketStore('the Redis store', async () => {
    const store = createRedisStore({
      config: {
        store: {
          ...MEMORY.store,
          kind: 'redis',
          url: server.url,
          key_prefix: `contract-${randomBytes(4).toString('hex')}:`,
          cold_start_seconds: 0,
        },
        deadline_ms: 5000,
        settle_horizon_seconds: 900,
      },
      clock: systemClock,
      startTimer: startSystemTimer,
      random: randomBytes,
      report: () => {},
    });
    await store.start();
    return {
      store,
      clock: systemClock,
      manualTime: false,
      advance: (ms) => new Promise((passed) => setTimeout(passed, ms + 2)),
      close: () => store.stop(),
    };
  });
});
