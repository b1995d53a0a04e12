import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { compileDescriptors } from '../../../src/quota/descriptors/descriptors-data.ts';
import { createDescriptorLimits } from '../../../src/quota/descriptors/descriptors-limits.ts';
import type { DescriptorRequest } from '../../../src/quota/descriptors/descriptors-plan.ts';
import { createLimiter } from '../../../src/quota/limiter.ts';
import { openMemoryStore } from '../../../src/quota/memory/memory-store.ts';
import { createMemoryTable } from '../../../src/quota/memory/memory-table.ts';
import { createQuotaMetrics } from '../../../src/telemetry/quota-metrics.ts';
import { createManualClock } from '../../support/manual-clock.ts';

const STORE = {
  kind: 'memory',
  max_buckets: 1024,
  max_outsider_buckets: 1024,
  max_reservations: 64,
  key_prefix: 'sallyport:',
  cold_start_seconds: 0,
} as const;
const CONFIG = {
  store: STORE,
  deadline_ms: 50,
  settle_horizon_seconds: 900,
  max_holds_per_principal: 8,
  failure: { local_share: 0.5, replicas: 1, allow: false },
  lease_batch: 0,
  learning: { enabled: false, max_entries: 10 },
  refusals: { limit: 10, per_seconds: 60, max_entries: 100 },
};

it('descriptors are counted by the limiter that policies charge, each value in a bucket of its own', async () => {
  const clock = createManualClock({ epochMs: 1_800_000_000_000 });
  const table = createMemoryTable({ store: STORE, settleHorizonSeconds: 900, key: Buffer.alloc(16, 7) });
  const limiter = createLimiter({
    store: openMemoryStore({ table, workerId: 0 }),
    config: CONFIG,
    clock,
    startTimer: clock.startTimer,
    randomBytes: (bytes) => Buffer.alloc(bytes, 3),
    metrics: createQuotaMetrics(new Registry(), 100),
    report: () => undefined,
  });
  const rules = compileDescriptors(
    {
      d: {
        descriptors: [
          { key: 'window', limits: { kind: 'window', unit: 'requests', limit: 3, per_seconds: 60 } },
          { key: 'rate', limits: { kind: 'rate', unit: 'requests', limit: 2, per_seconds: 60 } },
        ],
      },
    },
    () => expect.fail('a fault in the rules'),
  );
  const limit = createDescriptorLimits({
    table: () => rules,
    quota: limiter,
    adjust: (adjustments, at) => limiter.adjust(adjustments, at),
    clock,
    onFault: () => expect.fail('could not be counted by force'),
  });
  const ask = async (texts: readonly string[], hits = 1, negative = false): Promise<readonly unknown[]> => {
    const request: DescriptorRequest = {
      domain: 'd',
      descriptors: texts.map((text) => {
        const [key = '', value = ''] = text.split('=');
        return { entries: [{ key, value }], hits, negative };
      }),
    };
    const answer = await limit(request);
    if (answer.kind === 'undecided') return [answer.cause];
    return [answer.overLimit, ...answer.statuses.map(({ overLimit, remaining }) => [overLimit, remaining])];
  };

  expect(await ask(['window=a', 'rate=a'])).toEqual([false, [false, 2], [false, 1]]);
  expect(await ask(['window=b'])).toEqual([false, [false, 2]]);
  expect(await ask(['window=a', 'rate=a'])).toEqual([false, [false, 1], [false, 0]]);
  // The rate refuses; the window counts it all the same.
  expect(await ask(['window=a', 'rate=a'])).toEqual([true, [false, 0], [true, 0]]);
  expect(await ask(['window=a'])).toEqual([true, [true, 0]]);
  expect(await ask(['window=a'], 2, true)).toEqual([false, [false, 2]]);
  expect(await ask(['window=a'], 5)).toEqual([true, [true, 0]]);
  // The first value is given back when the second does not fit.
  expect(await ask(['rate=b', 'rate=a'])).toEqual([true, [false, 2], [true, 0]]);
  expect(await ask(['rate=b'])).toEqual([false, [false, 1]]);
  clock.advance(60_000);
  expect(await ask(['window=a', 'rate=a'])).toEqual([false, [false, 2], [false, 1]]);
});
