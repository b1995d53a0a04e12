import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { describeWith } from '../support/describe-with.ts';
import {
  BURST,
  type FailingStore,
  PERIOD_SECONDS,
  SHARED_UNITS,
  startFailingStore,
} from '../support/quota-history/failing-store.ts';
import { caseCount } from '../support/seed.ts';

/**
 * SECURITY row 16: a limiter before a real Valkey that dies, stops, forgets and refuses. Callers ask all the time; what
 * they were admitted for is counted here and compared with the limit. The deadline is a second.
 */
const open: FailingStore[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

async function start(onFailure: 'deny' | 'local_share', coldStartSeconds?: number): Promise<FailingStore> {
  const world = await startFailingStore(onFailure, coldStartSeconds);
  open.push(world);
  world.ask(8);
  // A first start is cold, and then nothing is verified; who is refused was refused by the store.
  await world.until('exceeded', 1);
  Object.assign(world.counts, { unavailable: 0, overloaded: 0, unverified: 0 });
  world.counts.causes.clear();
  return world;
}

interface Fault {
  readonly name: string;
  readonly begin: (world: FailingStore) => unknown;
  readonly end: (world: FailingStore) => unknown;
}

const FAULTS: readonly Fault[] = [
  {
    name: 'is killed and started again with its append-only file',
    begin: ({ valkey }) => valkey.kill(),
    end: ({ valkey }) => valkey.restart(),
  },
  {
    name: 'is paused',
    begin: ({ valkey }) => valkey.program().signal('SIGSTOP'),
    end: ({ valkey }) => valkey.program().signal('SIGCONT'),
  },
  {
    name: 'is read only',
    begin: ({ valkey }) => valkey.ask('REPLICAOF', '127.0.0.1', '1'),
    end: ({ valkey }) => valkey.ask('REPLICAOF', 'NO', 'ONE'),
  },
  {
    name: 'is out of memory',
    begin: ({ valkey }) => valkey.ask('CONFIG', 'SET', 'maxmemory', '1'),
    end: ({ valkey }) => valkey.ask('CONFIG', 'SET', 'maxmemory', '0'),
  },
  {
    name: 'is loading',
    begin: async ({ valkey }) => {
      await valkey.ask('EVAL', "for i = 1, 2000 do redis.call('SET', 'filler:' .. i, i) end", '0');
      await valkey.ask('BGREWRITEAOF');
      for (let info = 'aof_rewrite_in_progress:1'; /rewrite_(in_progress|scheduled):1/.test(info); ) {
        await sleep(50);
        info = String(await valkey.ask('INFO', 'persistence'));
      }
      await valkey.kill();
      await valkey.restart('--key-load-delay', '1000', '--loading-process-events-interval-bytes', '1024');
    },
    end: () => {},
  },
];

describeWith(['valkey'], 'a store that', () => {
  for (const { name, begin, end } of FAULTS) {
    test(`${name} admits nothing meanwhile and counts on afterwards, over by 0`, async () => {
      const world = await start('deny');
      const { counts } = world;
      await world.until('exceeded', 1);
      await begin(world);
      await world.until('unavailable', 8);
      await end(world);
      await world.until('taken', 5);
      await world.stop();
      expect(counts.unverified).toBe(0);
      expect(world.over(0)).toBe(0);
      report(name, world, await world.metric('sallyport_quota_denied_perhaps_charged_total'));
    });
  }

  test('forgets its scripts keeps counting', async () => {
    const world = await start('deny');
    for (let times = 0; times < 10; times += 1) {
      await world.valkey.ask('SCRIPT', 'FLUSH');
      // Scripts that are forgotten once more while they are loaded are a refusal.
      await sleep(300);
    }
    await world.stop();
    expect([...world.counts.causes]).toEqual([]);
    expect(world.over(0)).toBe(0);
    report('forgets its scripts', world, 0);
  });

  test('comes back empty admits nothing before it could have drained', async () => {
    const world = await start('deny', 3);
    await world.until('exceeded', 1);
    const before = world.counts.taken;
    await world.valkey.ask('FLUSHALL');
    const lostMs = performance.now();
    await world.until('unavailable', 20);
    await sleep(3_500);
    // A rate that drains in 30 s owes for that long, however short the cold start is.
    expect(world.counts.taken - before).toBeLessThanOrEqual(Math.ceil((performance.now() - lostMs) / 100) + 10);
    await world.stop();
    expect(world.over(0)).toBe(0);
    report('is emptied', world, 0);
  });

  test.each(['deny', 'local_share'] as const)(
    'flaps a hundred times in one window stays within its limit under %s',
    async (onFailure) => {
      const world = await start(onFailure);
      const { counts, valkey } = world;
      const hours = hourNow();
      const flaps = Math.max(5, caseCount(100));
      for (let flap = 0; flap < flaps; flap += 1) {
        await valkey.kill();
        await sleep(20);
        await valkey.restart();
        await sleep(30);
      }
      await world.until('exceeded', 5);
      await world.stop();
      const share = onFailure === 'deny' ? 0 : SHARED_UNITS * (hourNow() - hours + 1);
      expect(world.over(share)).toBe(0);
      expect(counts.unverified).toBeLessThanOrEqual(share);
      const metered = await world.metric('sallyport_quota_unverified_total');
      expect(metered).toBeGreaterThanOrEqual(counts.unverified);
      expect(metered).toBeLessThanOrEqual(share);
      if (onFailure === 'local_share') expect(metered).toBeGreaterThan(SHARED_UNITS / 2);
      report(
        `flaps ${flaps} times (${onFailure})`,
        world,
        await world.metric('sallyport_quota_denied_perhaps_charged_total'),
      );
    },
  );

  test('is healthy beside a stalled event loop is never taken for dead', async () => {
    const world = await start('local_share');
    const { counts } = world;
    for (let stalls = 0; stalls < 3; stalls += 1) {
      const untilMs = performance.now() + 1_500;
      while (performance.now() < untilMs);
      await sleep(100);
    }
    await world.stop();
    expect([counts.unverified, ...counts.causes]).toEqual([0]);
    expect(counts.unavailable).toBe(counts.overloaded);
    expect(world.over(SHARED_UNITS)).toBe(0);
    report('is healthy beside a stall', world, 0);
  });
});

function report(name: string, { counts }: FailingStore, perhapsCharged: number): void {
  const { taken, exceeded, unavailable, overloaded, unverified, causes } = counts;
  console.info(
    `${name}: ${JSON.stringify({ taken, exceeded, unavailable, overloaded, unverified, perhapsCharged, burst: BURST })} ${[...causes].map(([cause, count]) => `${count} × ${cause}`).join('; ')}`,
  );
}

function hourNow(): number {
  return Math.floor(Date.now() / 1000 / PERIOD_SECONDS);
}
