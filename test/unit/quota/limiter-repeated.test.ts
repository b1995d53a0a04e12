import { expect, test } from 'vitest';
import type { QuotaConfig } from '../../../src/quota/config.ts';
import { CONFIG, charge, limiterWith, REDIS, request, tokens } from './limiter-support.ts';

const LEASING: QuotaConfig = { ...REDIS, lease_batch: 10 };

test.each([
  ['in this process', CONFIG],
  ['elsewhere', REDIS],
  ['elsewhere, with leases', LEASING],
])('a repeated take counts each time it is asked, as a take does, of a store %s', async (_where, config) => {
  const { limiter } = limiterWith(config);
  const again = limiter.repeated(request([charge({ limit: 3 })]));
  const seen: unknown[] = [];
  for (let time = 1; time <= 4; time += 1) {
    const { kind, state } = await again();
    seen.push([kind, state.limits['rps']?.remaining]);
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
  await again();
  await again();
  const [first, second] = store.asked;
  expect(second?.plans).toBe(first?.plans);
  expect(second?.id).not.toBe(first?.id);
});

test('a repeated take that holds is planned anew: what was learned meanwhile changes what is held', async () => {
  const { limiter, store } = limiterWith();
  const held = tokens({ cost: 1000 });
  const again = limiter.repeated(request([held]));
  await again();
  for (let call = 0; call < 100; call += 1) limiter.learned('acme', 'llama', { name: 'tpm' }, 20);
  await again();
  const [first, second] = store.asked.map(({ plans }) => plans[0]?.[0]?.cost);
  expect(first).toBe(1000);
  expect(second).toBeLessThan(1000);
});

test('a repeated take of nothing takes nothing', async () => {
  const { limiter, store } = limiterWith();
  expect(await limiter.repeated(request([]))()).toMatchObject({ kind: 'taken', take: undefined });
  expect(store.asked).toEqual([]);
});
