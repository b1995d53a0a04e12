import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { openMemoryStore } from '../../src/quota/memory/memory-store.ts';
import { createMemoryTable } from '../../src/quota/memory/memory-table.ts';
import { createRedisStore } from '../../src/quota/redis/redis-store.ts';
import { describeWith } from '../support/describe-with.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { MEMORY_STORE } from '../support/quota-history/memory-config.ts';
import {
  createReplica,
  type Life,
  live,
  type ScheduleWorld,
  verdictOf,
  withCuts,
} from '../support/quota-history/reservation-schedules.ts';
import { storeConfig } from '../support/quota-history/store-config.ts';
import { caseCount, createRandom, seedOf } from '../support/seed.ts';
import { startSystemTimer, systemClock } from '../support/system-ports.ts';
import { startValkey } from '../support/valkey.ts';

/**
 * SECURITY row 31: a reservation is given up at any event of its life, its settle is lost, late, sent twice, sent by
 * another replica, cut off half-way, and meets its release. What is charged is at least what was produced, once.
 */
const close: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const one of close.splice(0).reverse()) await one();
});

test('no schedule of a reservation is free, or charged twice, in the memory store', async () => {
  const random = createRandom(seedOf('holds never free, memory'));
  const clock = createManualClock();
  const table = createMemoryTable({ store: MEMORY_STORE, settleHorizonSeconds: 900, key: randomBytes(16) });
  const handles = [0, 1].map((workerId) => openMemoryStore({ table, workerId }));
  const ttlMs = 30_000;
  const world: ScheduleWorld = {
    replicas: handles.map((store) => createReplica(withCuts(store, random), { clock, startTimer: clock.startTimer })),
    clock,
    ttlMs,
    // Now and then past the end of the hold, never past the horizon.
    pass: async () => clock.advance(random.pick([0, 1, 1000, ttlMs - 1, ttlMs])),
  };
  const [store] = handles;
  if (store === undefined) throw new Error('there is a store');
  const faults: string[] = [];
  const count = caseCount(10_000);
  let reported = 0;
  for (let nth = 0; nth < count; nth += 1) {
    const life = await live(world, `life${nth}`, random);
    clock.advance(2 * ttlMs);
    const fault = await verdictOf(life, store, clock);
    if (fault !== undefined) faults.push(fault);
    if (life.reported) reported += 1;
  }
  console.info(`memory: ${count} schedules, ${reported} reported, ${faults.length} faults`);
  expect(faults.slice(0, 10)).toEqual([]);
  expect(reported).toBeGreaterThan(count / 3);
});

describeWith(['valkey'], 'with a Valkey store', () => {
  test('no schedule of a reservation is free, or charged twice, while connections are cut', async () => {
    const seed = seedOf('holds never free, Valkey');
    const random = createRandom(seed);
    const valkey = await startValkey();
    close.push(() => valkey.remove());
    const stores = await Promise.all(
      [0, 1].map(async () => {
        const store = createRedisStore({
          config: storeConfig(valkey.url),
          clock: systemClock,
          startTimer: startSystemTimer,
          random: randomBytes,
          report: () => {},
        });
        await store.start();
        close.push(() => store.stop());
        return store;
      }),
    );
    const ttlMs = 1_000;
    const world: ScheduleWorld = {
      replicas: stores.map((store) => createReplica(store, { clock: systemClock, startTimer: startSystemTimer })),
      clock: systemClock,
      ttlMs,
      pass: (own) => sleep(own.pick([0, 5, 50, own.chance(0.1) ? ttlMs : 20])),
    };
    const count = caseCount(400);
    const lives: Life[] = [];
    let cuts = 0;
    let running = true;
    const cutting = (async () => {
      while (running) {
        await sleep(300 + random.below(500));
        await valkey.ask('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
        cuts += 1;
      }
    })();
    let next = 0;
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        while (lives.length < count) {
          const nth = next;
          next += 1;
          // A take that the cut hits is nobody's: its hold ends by itself, or is given back.
          const life = await live(world, `life${nth}`, createRandom(seed + nth)).catch(() => sleep(20));
          if (life !== undefined) lives.push(life);
        }
      }),
    );
    running = false;
    await cutting;
    await sleep(2 * ttlMs + 500);
    const [store] = stores;
    if (store === undefined) throw new Error('there is a store');
    const faults: string[] = [];
    for (const life of lives) {
      const fault = await verdictOf(life, store, systemClock);
      if (fault !== undefined) faults.push(fault);
    }
    const reported = lives.filter((life) => life.reported).length;
    console.info(
      `Valkey: ${lives.length} schedules, ${cuts} cuts, ${next - lives.length} takes cut, ${reported} reported, ${faults.length} faults`,
    );
    expect(faults.slice(0, 10)).toEqual([]);
    expect(reported).toBeGreaterThan(lives.length / 3);
  });
});
