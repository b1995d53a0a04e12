import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import type { BucketCharge, BucketTerms } from '../../../src/quota/bucket.ts';
import { StoreFault } from '../../../src/quota/bucket-store.ts';
import { clearLocksOf } from '../../../src/quota/memory/memory-repair.ts';
import { openMemoryStore } from '../../../src/quota/memory/memory-store.ts';
import { createMemoryTable, LOCK_WORDS, MOST_HOLDS } from '../../../src/quota/memory/memory-table.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { createRandom, seedOf } from '../../support/seed.ts';

// Room for reservations and their holds: who may have it, and when it comes back.

const TTL_MS = 60_000;
const HORIZON_MS = 900_000;
const DAY_MS = 86_400_000;

function open(maxReservations = 64) {
  const clock = createManualClock();
  const table = createMemoryTable({
    store: { max_buckets: 16_384, max_outsider_buckets: 16_384, max_reservations: maxReservations },
    settleHorizonSeconds: HORIZON_MS / 1000,
    key: randomBytes(16),
  });
  const store = openMemoryStore({ table, workerId: 0 });
  let ids = 0;
  const take = (...buckets: (BucketTerms & { readonly more?: Partial<BucketCharge>; readonly ttlMs?: number })[]) => {
    ids += 1;
    const id = `id ${ids}`;
    const plan = buckets.map(({ more, ttlMs = TTL_MS, ...terms }): BucketCharge => {
      const onExpiry = terms.kind === 'concurrency' ? 'release' : 'charge';
      return { terms, cost: 1, enforced: true, refundable: true, hold: { ttlMs, onExpiry }, ...more };
    });
    try {
      return { id, kind: store.take({ id, plans: [plan], note: '' }, clock.now()).kind };
    } catch (error) {
      if (error instanceof StoreFault) return { id, kind: error.reason };
      throw error;
    }
  };
  return { clock, table, store, take };
}

function bucket(key: string, more: Partial<BucketTerms> = {}): BucketTerms {
  return {
    id: key,
    family: 'family',
    kind: 'rate',
    limit: 100_000,
    burst: 100_000,
    periodMs: 60_000,
    region: 'callers',
    scope: 'tenant',
    ...more,
  };
}

const KINDS: readonly Partial<BucketTerms>[] = [
  { kind: 'rate' },
  { kind: 'concurrency', periodMs: 1 },
  { kind: 'window', periodMs: 1, windows: spans(DAY_MS) },
  // A window that is over before the hold is.
  { kind: 'window', periodMs: 1, windows: spans(10_000) },
];

function spans(lengthMs: number) {
  const at = (epochMs: number) => {
    const startMs = Math.floor(epochMs / lengthMs) * lengthMs;
    return { startMs, endMs: startMs + lengthMs };
  };
  return { at };
}

test('holds of buckets that nobody asks for again give their room back, however many there were', () => {
  for (const kind of KINDS) {
    const { take, clock } = open();
    // Each with as many holds as there is room for in the mean.
    for (let call = 0; call < 2000; call += 1) {
      const kinds = Array.from({ length: 4 }, (_, nth) => bucket(`${call} ${nth}`, { ...kind, family: `${nth}` }));
      expect(take(...kinds).kind).toBe('taken');
      clock.advance(1000);
    }
    clock.advance(DAY_MS);
    for (let call = 0; call < 64; call += 1) expect(take(bucket(`later ${call}`, kind)).kind).toBe('taken');
  }
});

test('a settle after the end of the window, for a bucket that nobody asks for again, gives the room back too', () => {
  const { take, clock, store } = open();
  const window = { kind: 'window', periodMs: 1, windows: spans(10_000) } as const;
  for (let call = 0; call < 1000; call += 1) {
    const { id, kind } = take(
      ...Array.from({ length: 4 }, (_, nth) => bucket(`${call} ${nth}`, { ...window, family: `${nth}` })),
    );
    expect(kind).toBe('taken');
    clock.advance(20_000);
    expect(store.settle(id, [1, 1, 1, 1], clock.now())).toBe('settled');
  }
});

test('one tenant that never settles takes the room of nobody whose holds come later than the end of his', () => {
  const { take, clock } = open(256);
  let refused = 0;
  for (let second = 0; second < 1200; second += 1) {
    for (let call = 0; call < 3; call += 1) take(bucket(`evil ${call}`));
    if (take(bucket(`good ${second}`)).kind !== 'taken') refused += 1;
    clock.advance(1000);
  }
  expect(refused).toBe(0);
});

test('where there is no other room the reservation whose holds ended first is forgotten, and its charge stands', () => {
  const { take, clock, store } = open();
  const month = bucket('month', { kind: 'window', periodMs: 1, windows: spans(30 * DAY_MS) });
  const first = take({ ...month, ttlMs: 1000 });
  const others = Array.from({ length: 63 }, () => take(month));
  clock.advance(1000);
  expect(store.look(first.id, clock.now())?.state).toBe('open');
  expect(take(month).kind).toBe('taken');
  expect(store.settle(first.id, [0], clock.now())).toBe('unknown');
  expect(store.renew(first.id, 1000, clock.now())).toBe('unknown');
  for (const { id } of others) expect(store.look(id, clock.now())?.state).toBe('open');
  expect(store.peek([month], clock.now())[0]).toMatchObject({ level: 1, held: 64, remaining: 100_000 - 65 });
});

test('what was settled makes room before what ended, and what is over before both', () => {
  const { take, clock, store } = open();
  const all = Array.from({ length: 64 }, (_, nth) => take({ ...bucket(`${nth}`), ttlMs: nth === 0 ? 1000 : DAY_MS }));
  const [ended, settled, later] = all.map(({ id }) => id);
  clock.advance(2000);
  store.settle(settled ?? '', [1], clock.now());
  expect(take({ ...bucket('a'), ttlMs: DAY_MS }).kind).toBe('taken');
  expect(store.settle(settled ?? '', [1], clock.now())).toBe('unknown');
  expect(store.look(ended ?? '', clock.now())?.state).toBe('open');
  clock.advance(HORIZON_MS);
  store.settle(later ?? '', [1], clock.now());
  expect(take({ ...bucket('b'), ttlMs: DAY_MS }).kind).toBe('taken');
  expect(store.look(ended ?? '', clock.now())).toBeUndefined();
  expect(store.look(later ?? '', clock.now())?.state).toBe('settled');
});

test('a reservation that is renewed keeps its room', () => {
  const { take, clock, store } = open();
  const all = Array.from({ length: 64 }, (_, nth) => take(bucket(`${nth}`)));
  clock.advance(TTL_MS - 1);
  for (const { id } of all.slice(1)) expect(store.renew(id, TTL_MS, clock.now())).toBe('renewed');
  clock.advance(1);
  expect(take(bucket('more')).kind).toBe('taken');
  expect(take(bucket('and more')).kind).toBe('full');
  for (const { id } of all.slice(1)) expect(store.settle(id, [1], clock.now())).toBe('settled');
});

test('a hold of a window whose clock is set back keeps its room as long as it counts', () => {
  const { take, clock, store } = open();
  const window = bucket('window', { kind: 'window', periodMs: 1, windows: spans(DAY_MS) });
  clock.advance(HORIZON_MS);
  for (let call = 0; call < 64; call += 1) take(window);
  clock.setEpoch(clock.now().epochMs - TTL_MS);
  clock.advance(TTL_MS);
  expect(take(bucket('more')).kind).toBe('full');
  expect(store.peek([window], clock.now())[0]).toMatchObject({ held: 64 });
  clock.advance(TTL_MS);
  expect(take(bucket('more')).kind).toBe('taken');
});

test('outsiders have a quarter of the reservations and of the holds, and callers the rest', () => {
  const { take, clock } = open();
  const outsider = (key: string) => bucket(key, { region: 'outsiders' });
  const kindsOf = (count: number, made: () => string) => Array.from({ length: count }, made).join(' ');
  expect(kindsOf(17, () => take(outsider('a')).kind)).toBe(`${'taken '.repeat(16)}full`);
  expect(kindsOf(48, () => take(bucket('caller'), outsider('a')).kind)).toBe('taken '.repeat(48).trim());
  expect(take(bucket('caller')).kind).toBe('full');
  clock.advance(TTL_MS);
  const four = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map(outsider);
  expect(kindsOf(9, () => take(...four).kind)).toBe(`${'taken '.repeat(8)}full`);
  expect(take(bucket('caller')).kind).toBe('taken');
});

test('what an outsider left open never makes a caller wait, and no caller is forgotten for an outsider', () => {
  const { take, clock, store } = open();
  const callers = Array.from({ length: 64 }, (_, nth) => take(bucket(`${nth}`)).id);
  clock.advance(TTL_MS);
  expect(take(bucket('out', { region: 'outsiders' })).kind).toBe('full');
  for (const id of callers) expect(store.look(id, clock.now())?.state).toBe('open');
});

test('one bucket has a bounded number of holds; a shadow charge beyond it is not taken, and refuses nothing', () => {
  const { take, clock, store } = open(16_384);
  const crowd = bucket('crowd', { scope: 'shared' });
  for (let call = 0; call < MOST_HOLDS; call += 1) take(crowd);
  expect(take(crowd).kind).toBe('full');
  expect(take({ ...crowd, more: { enforced: false } }, bucket('own')).kind).toBe('taken');
  expect(store.peek([crowd], clock.now())[0]).toMatchObject({ held: MOST_HOLDS });
  expect(take(bucket('other')).kind).toBe('taken');
  clock.advance(TTL_MS);
  expect(take(crowd).kind).toBe('taken');
});

test('holds of any order of ends, settled and renewed in any order, are all there and all go', () => {
  const random = createRandom(seedOf('memory-room'));
  const { take, clock, store } = open(256);
  const calls = bucket('calls', { kind: 'concurrency', periodMs: 1 });
  const ends = new Map<string, number>();
  for (let step = 0; step < 5000; step += 1) {
    const nowMs = clock.now().monotonicMs;
    for (const [id, endMs] of ends) if (endMs <= nowMs) ends.delete(id);
    const ttlMs = 1 + random.below(500);
    const one = [...ends.keys()][random.below(Math.max(1, ends.size))];
    const choice = random.below(4);
    if (one === undefined || choice < 2) {
      const { id, kind } = take({ ...calls, ttlMs });
      if (ends.size < 256) expect(kind).toBe('taken');
      if (kind === 'taken') ends.set(id, nowMs + ttlMs);
    } else if (choice === 2) {
      expect(store.settle(one, [1], clock.now())).toBe('settled');
      ends.delete(one);
    } else {
      expect(store.renew(one, ttlMs, clock.now())).toBe('renewed');
      ends.set(one, nowMs + ttlMs);
    }
    expect(store.peek([calls], clock.now())[0]).toMatchObject({ held: ends.size });
    clock.advance(random.below(4));
  }
});

test('a thread that died with the lock of the reservations leaves their order to be made anew', () => {
  const { take, clock, store, table } = open();
  const ids = Array.from(
    { length: 40 },
    (_, nth) => take(bucket(`${nth}`, nth < 10 ? { region: 'outsiders' } : {})).id,
  );
  for (const id of ids.slice(30)) store.settle(id, [1], clock.now());
  const words = new Int32Array(table.buffer);
  words.fill(-1, table.liveOrder * 2, table.liveOrder * 2 + 64);
  for (const lock of [0, 1, table.bucketLocks]) Atomics.store(words, lock * LOCK_WORDS, 8);
  expect(clearLocksOf(table, 7)).toBe(3);
  for (let call = 0; call < 34; call += 1) expect(take(bucket('after')).kind).toBe('taken');
  expect(take(bucket('after')).kind).toBe('full');
  clock.advance(TTL_MS);
  for (let call = 0; call < 64; call += 1) expect(take(bucket('later')).kind).toBe('taken');
  expect(take(bucket('later')).kind).toBe('full');
});
