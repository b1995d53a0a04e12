import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import type { BucketCharge, BucketTerms } from '../../../src/quota/bucket.ts';
import { StoreFault } from '../../../src/quota/bucket-store.ts';
import { openMemoryStore } from '../../../src/quota/memory/memory-store.ts';
import { createMemoryTable } from '../../../src/quota/memory/memory-table.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { caseCount } from '../../support/seed.ts';

const BUCKETS = 1024;
const LIMIT = 5;

function openSmall(maxReservations = 64) {
  const clock = createManualClock();
  const table = createMemoryTable({
    store: { max_buckets: BUCKETS, max_outsider_buckets: BUCKETS, max_reservations: maxReservations },
    settleHorizonSeconds: 900,
    key: randomBytes(16),
  });
  const store = openMemoryStore({ table, workerId: 0 });
  let ids = 0;
  const take = (terms: BucketTerms, more: Partial<BucketCharge> = {}) => {
    ids += 1;
    const charge = { terms, cost: 1, enforced: true, refundable: true, ...more };
    const id = `id ${ids}`;
    return { id, kind: store.take({ id, plans: [[charge]], note: '' }, clock.now()).kind };
  };
  return { clock, store, take };
}

function rate(key: string | number, more: Partial<BucketTerms> = {}): BucketTerms {
  return {
    id: `rate ${key}`,
    family: 'rate',
    kind: 'rate',
    limit: LIMIT,
    burst: LIMIT,
    periodMs: 60_000,
    region: 'callers',
    scope: 'tenant',
    ...more,
  };
}

function isFull(step: () => unknown): boolean {
  try {
    step();
    return false;
  } catch (error) {
    if (error instanceof StoreFault && error.reason === 'full') return true;
    throw error;
  }
}

test('in a full table nobody, old or new, gets more than the limit, whoever made room meanwhile', () => {
  const { take, clock } = openSmall();
  const granted = new Map<string, number>();
  const tries = (key: string): void => {
    if (take(rate(key)).kind === 'taken') granted.set(key, (granted.get(key) ?? 0) + 1);
  };
  const keys = Array.from({ length: BUCKETS * 4 }, (_, nth) => `key ${nth}`);
  // An hour's allowance: what there was at once, and what came in since.
  for (let minute = 0; minute < 3; minute += 1) {
    for (let round = 0; round < LIMIT + 1; round += 1) for (const key of keys) tries(key);
    clock.advance(60_000);
  }
  expect(Math.max(...granted.values())).toBeLessThanOrEqual(LIMIT * 3);
  expect(granted.size).toBeGreaterThan(BUCKETS / 2);
  clock.advance(120_000);
  expect(take(rate('newcomer')).kind).toBe('taken');
});

test('those who share a bucket and have limits of different size are each granted no more than their own', () => {
  const { take, clock } = openSmall();
  for (let key = 0; key < BUCKETS * 3; key += 1) take(rate(key, { family: 'crowd', periodMs: 86_400_000 }));
  const small = rate('small', { limit: 1, burst: 1 });
  let grants = 0;
  for (let second = 0; second < 120; second += 1) {
    take(rate('large', { limit: 600, burst: 600 }));
    if (take(small).kind === 'taken') grants += 1;
    clock.advance(1000);
  }
  expect(grants).toBeLessThanOrEqual(3);
});

test('without a family there is no bucket to share: a full table says so, and takes nothing', () => {
  const { take } = openSmall();
  const alone = (key: number): BucketTerms => {
    const { family: _family, ...terms } = rate(key, { periodMs: 86_400_000 });
    return terms;
  };
  let refused = 0;
  for (let key = 0; key < BUCKETS * 2; key += 1) if (isFull(() => take(alone(key)))) refused += 1;
  expect(refused).toBeGreaterThanOrEqual(BUCKETS);
  expect(take(alone(0)).kind).toBe('taken');
});

test('outsiders never crowd out callers', () => {
  const { take } = openSmall();
  for (let key = 0; key < BUCKETS * 4; key += 1) take(rate(key, { region: 'outsiders', periodMs: 86_400_000 }));
  for (let key = 0; key < 50; key += 1) {
    for (let round = 0; round < LIMIT; round += 1) expect(take(rate(`caller ${key}`)).kind).toBe('taken');
    expect(take(rate(`caller ${key}`)).kind).toBe('exceeded');
  }
});

test('a bucket with a live hold is never given away; once its hold has ended it is', () => {
  const { take, clock, store } = openSmall(BUCKETS);
  const calls = (key: number) =>
    rate(key, { id: `calls ${key}`, kind: 'concurrency', limit: 1, burst: 1, periodMs: 1 });
  const hold = { hold: { ttlMs: 60_000, onExpiry: 'release' as const } };
  for (let key = 0; key < 200; key += 1) take(calls(key), hold);
  for (let key = 0; key < BUCKETS * 2; key += 1) take(rate(key));
  for (let key = 0; key < 200; key += 1) expect(take(calls(key), hold).kind).toBe('exceeded');
  clock.advance(120_000);
  for (let key = 0; key < BUCKETS * 2; key += 1) take(rate(`later ${key}`));
  expect(store.peek([calls(0)], clock.now())[0]).toMatchObject({ held: 0, remaining: 1 });
});

test('reservations whose holds count are never forgotten: where there is no room for another nothing is taken', () => {
  const { take, store, clock } = openSmall(64);
  const terms = rate('tokens', { limit: 1000, burst: 1000 });
  const hold = { hold: { ttlMs: 60_000, onExpiry: 'charge' as const } };
  const ids = Array.from({ length: 64 }, () => take(terms, hold).id);
  const before = store.peek([terms], clock.now());
  expect(isFull(() => take(terms, hold))).toBe(true);
  expect(store.peek([terms], clock.now())).toEqual(before);
  for (const id of ids) expect(store.look(id, clock.now())?.state).toBe('open');
  expect(store.settle(ids[0] ?? '', [1], clock.now())).toBe('settled');
  expect(take(terms, hold).kind).toBe('taken');
  clock.advance(59_999);
  expect(isFull(() => take(terms, hold))).toBe(true);
  clock.advance(1);
  expect(take(terms, hold).kind).toBe('taken');
});

test('two charges of one plan on one bucket are refused, and nothing of them is taken', () => {
  const { store, clock } = openSmall();
  const charge = { terms: rate('one'), cost: 3, enforced: true, refundable: true };
  const step = () => store.take({ id: 'twice', plans: [[charge, charge]], note: '' }, clock.now());
  expect(step).toThrow(/in one bucket/);
  expect(store.peek([charge.terms], clock.now())[0]).toMatchObject({ remaining: LIMIT, version: 0 });
});

test('a million distinct keys cost a bounded memory, and none gets more than its limit', async () => {
  const keys = caseCount(1_000_000);
  const script = new URL('./fixtures/memory-cardinality-child.ts', import.meta.url);
  const { stdout } = await promisify(execFile)(process.execPath, [
    // Garbage that is not collected yet is not what a key costs.
    '--expose-gc',
    '--max-semi-space-size=1',
    script.pathname,
    String(keys),
  ]);
  console.info(`${keys} keys: ${stdout}`);
  // The child prints exactly this.
  const { most, rssMegabytes } = JSON.parse(stdout) as { most: number; rssMegabytes: number };
  expect(most).toBeLessThanOrEqual(3);
  expect(rssMegabytes).toBeLessThan(64);
}, 180_000);
