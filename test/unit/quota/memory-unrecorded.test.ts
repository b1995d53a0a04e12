import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import type { BucketCharge, BucketTerms } from '../../../src/quota/bucket.ts';
import type { Receipt, StoreTake } from '../../../src/quota/bucket-store.ts';
import { openMemoryStore } from '../../../src/quota/memory/memory-store.ts';
import { createMemoryTable } from '../../../src/quota/memory/memory-table.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { caseCount, createRandom, type Random, seedOf } from '../../support/seed.ts';
import { CONFIG, charge, limiterWith, REDIS, request } from './limiter-support.ts';

// A take that nothing is held of needs no id in the table: its receipt is what it is given back by.

function open(key = randomBytes(16)) {
  const table = createMemoryTable({
    store: { max_buckets: 1024, max_outsider_buckets: 1024, max_reservations: 64 },
    settleHorizonSeconds: 900,
    key,
  });
  return openMemoryStore({ table, workerId: 0 });
}

function bucket(key: string, more: Partial<BucketTerms> = {}): BucketTerms {
  return {
    id: key,
    family: 'family',
    kind: 'rate',
    limit: 5,
    burst: 5,
    periodMs: 60_000,
    region: 'callers',
    scope: 'tenant',
    ...more,
  };
}

const MINUTES = {
  at: (epochMs: number) => {
    const startMs = Math.floor(epochMs / 60_000) * 60_000;
    return { startMs, endMs: startMs + 60_000 };
  },
};

function plain(terms: BucketTerms, more: Partial<BucketCharge> = {}): BucketCharge {
  return { terms, cost: 1, enforced: true, refundable: true, ...more };
}

function drawPlan(random: Random, keys: number): readonly BucketCharge[] {
  const size = 1 + random.below(3);
  return Array.from({ length: size }, (_, nth) => {
    const window = random.chance(0.5);
    const id = `${window ? 'window' : 'rate'} ${nth} ${random.below(keys)}`;
    // Newcomers of one family may be counted in one bucket, which no plan may name twice.
    const family = `${window} ${nth}`;
    const terms = bucket(id, window ? { family, kind: 'window', periodMs: 1, windows: MINUTES } : { family });
    return plain(terms, {
      cost: random.below(4),
      enforced: random.chance(0.7),
      refundable: random.chance(0.8),
    });
  });
}

test('takes that are left unrecorded come to the same as those with an id, given back or not, in a full table too', () => {
  const random = createRandom(seedOf('unrecorded takes'));
  for (const { keys, mostMs } of [
    { keys: 5, mostMs: 20_000 },
    { keys: 3000, mostMs: 200 },
  ]) {
    let shared = 0;
    const key = randomBytes(16);
    const recorded = open(key);
    const unrecorded = open(key);
    const clock = createManualClock();
    const kept: { id: string; charges: readonly BucketCharge[]; receipt: Receipt | undefined }[] = [];
    for (let step = 0; step < caseCount(8000); step += 1) {
      if (random.chance(0.05)) clock.advance(random.below(mostMs));
      const released = random.chance(0.4) ? kept.splice(random.below(kept.length), 1)[0] : undefined;
      if (released !== undefined) {
        recorded.release(released.id, released.charges, clock.now());
        unrecorded.release('', released.charges, clock.now(), released.receipt);
      }
      const plans = Array.from({ length: 1 + random.below(2) }, () => drawPlan(random, keys));
      const wanted: StoreTake = { id: `id ${step}`, plans, note: '', fresh: true };
      const answer = recorded.take(wanted, clock.now());
      const other = unrecorded.take({ ...wanted, unrecorded: true }, clock.now());
      const { receipt, ...said } = { receipt: undefined, ...other };
      expect(said).toEqual(answer);
      if (answer.kind !== 'taken') continue;
      if (receipt !== undefined && receipt.shared !== 0) shared += 1;
      expect(receipt).toBeDefined();
      // An old id makes room for others; a receipt does not.
      if (kept.length < 200) kept.push({ id: wanted.id, charges: plans[answer.plan] ?? [], receipt });
    }
    if (keys === 3000) console.info(`out of buckets that newcomers share: ${shared}`);
  }
});

test('a newcomer that is given the drained bucket of a later charge of its plan does not refuse the plan', () => {
  const clock = createManualClock();
  const store = open(Buffer.alloc(16, 7));
  const plan = (step: number) => [
    plain(bucket(`new ${step}`, { family: 'new' })),
    plain(bucket(`old ${step % 300}`, { family: 'old' })),
  ];
  for (let step = 0; step < 20_000; step += 1) {
    clock.advance(60_000);
    expect(store.take({ id: `${step}`, plans: [plan(step)], note: '', fresh: true }, clock.now()).kind).toBe('taken');
  }
});

test('nothing is known of the id of such a take', () => {
  const clock = createManualClock();
  const store = open();
  const take: StoreTake = { id: 'a', plans: [[plain(bucket('one'))]], note: '', fresh: true, unrecorded: true };
  expect(store.take(take, clock.now())).toMatchObject({ receipt: { taken: 1, shared: 0 } });
  expect(store.look('a', clock.now())).toBeUndefined();
});

test('what holds is recorded whatever was asked for', () => {
  const clock = createManualClock();
  const store = open();
  const held = plain(bucket('one'), { hold: { ttlMs: 1000, onExpiry: 'charge' } });
  const answer = store.take({ id: 'a', plans: [[held]], note: '', fresh: true, unrecorded: true }, clock.now());
  expect(answer).not.toHaveProperty('receipt');
  expect(store.look('a', clock.now())).toMatchObject({ state: 'open', amounts: [1] });
});

test('a limiter on the memory store gives a take back once, however often it is asked to', async () => {
  const { limiter, clock } = limiterWith(CONFIG, { store: open() });
  const take = async (cost: number) => limiter.take(request([charge({ cost })]), clock.now());
  await take(4);
  const second = await take(4);
  expect(second.state.limits).toMatchObject({ rps: { remaining: 2 } });
  if (second.kind !== 'taken') throw new Error('the second take was not taken');
  second.take?.release();
  second.take?.release();
  expect((await take(0)).state.limits).toMatchObject({ rps: { remaining: 6 } });
});

test.each([
  ['memory', CONFIG],
  ['Redis', REDIS],
])('a limiter asks %s for no record of a take without a hold', async (_, config) => {
  const { take, store } = limiterWith(config);
  await take([charge()]);
  expect(store.asked).toMatchObject([{ unrecorded: true }]);
});
