import { expect, test } from 'vitest';
import { StoreFault } from '../../../src/quota/bucket-store.ts';
import type { QuotaConfig } from '../../../src/quota/config.ts';
import type { RepeatedResult } from '../../../src/quota/limiter.ts';
import { CONFIG, charge, limiterWith, REDIS, request, tokens } from './limiter-support.ts';

const LEASING: QuotaConfig = { ...REDIS, lease_batch: 10 };
const asIs = (result: RepeatedResult): RepeatedResult => result;

test.each([
  ['in this process', CONFIG],
  ['elsewhere', REDIS],
  ['elsewhere, with leases', LEASING],
])('a repeated take counts each time it is asked, as a take does, of a store %s', async (_where, config) => {
  const { limiter } = limiterWith(config);
  const again = limiter.repeated(request([charge({ limit: 3 })]));
  const seen: unknown[] = [];
  for (let time = 1; time <= 4; time += 1) {
    const result = await again(asIs);
    const left = result.kind === 'charged' ? result.states[0] : result.state.limits['rps'];
    seen.push([result.kind === 'charged' ? 'taken' : result.kind, left?.remaining]);
  }
  expect(seen).toEqual([
    ['taken', 2],
    ['taken', 1],
    ['taken', 0],
    ['exceeded', 0],
  ]);
});

test('a repeated take is planned once where nothing is held, and has an id of its own each time', async () => {
  const { limiter, store } = limiterWith();
  const again = limiter.repeated(request([charge()]));
  await again(asIs);
  await again(asIs);
  const [first, second] = store.asked;
  expect(second?.plans).toBe(first?.plans);
  expect(second?.id).not.toBe(first?.id);
});

test('a repeated take that holds is planned anew: what was learned meanwhile changes what is held', async () => {
  const { limiter, store } = limiterWith();
  const held = tokens({ cost: 1000 });
  const again = limiter.repeated(request([held]));
  await again(asIs);
  for (let call = 0; call < 100; call += 1) limiter.learned('acme', 'llama', { name: 'tpm' }, 20);
  await again(asIs);
  const [first, second] = store.asked.map(({ plans }) => plans[0]?.[0]?.cost);
  expect(first).toBe(1000);
  expect(second).toBeLessThan(1000);
});

test('a repeated take of nothing takes nothing', async () => {
  const { limiter, store } = limiterWith();
  expect(await limiter.repeated(request([]))(asIs)).toMatchObject({ kind: 'taken', take: undefined });
  expect(store.asked).toEqual([]);
});

const SERIES = [
  'sallyport_quota_taken_total',
  'sallyport_quota_exhausted_total',
  'sallyport_quota_unverified_total',
  'sallyport_quota_remaining_ratio',
  'sallyport_quota_store_failures_total',
  'sallyport_quota_store_latency_seconds_count',
  'sallyport_quota_denied_perhaps_charged_total',
  'sallyport_quota_cached_refusals_total',
];

test.each([
  ['in this process', CONFIG],
  ['elsewhere', REDIS],
])(
  'repeated takes are counted as takes are, refused, failed and remembered ones too, of a store %s',
  async (_where, config) => {
    const asked = request([
      charge({ limit: 3, on_failure: 'local_share' }),
      charge({ name: 'dry', limit: 2, mode: 'shadow' }),
    ]);
    const seen = [];
    for (const repeats of [false, true]) {
      const { limiter, store, clock, series } = limiterWith(config);
      const again = limiter.repeated(asked);
      const kinds: unknown[] = [];
      for (let time = 1; time <= 12; time += 1) {
        store.fault = time === 2 || time === 3 ? new StoreFault('unknown_outcome', 'no answer') : undefined;
        if (time === 10) clock.advance(600);
        const { kind } = repeats ? await again(asIs) : await limiter.take(asked, clock.now());
        kinds.push(kind === 'charged' ? 'taken' : kind);
      }
      seen.push({ kinds, asked: store.asked.length, counted: await Promise.all(SERIES.map(series)) });
    }
    expect(seen[1]).toEqual(seen[0]);
    expect(new Set(seen[0]?.kinds)).toEqual(new Set(['taken', 'exceeded', 'unavailable']));
  },
);
