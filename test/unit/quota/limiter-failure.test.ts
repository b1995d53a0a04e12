import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import type { TakeResult } from '../../../src/decision/charges.ts';
import { StoreFault, type StoreFaultReason } from '../../../src/quota/bucket-store.ts';
import type { QuotaConfig } from '../../../src/quota/config.ts';
import { createLimiter } from '../../../src/quota/limiter.ts';
import { createQuotaMetrics } from '../../../src/telemetry/quota-metrics.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { caseCount, createRandom, seedOf } from '../../support/seed.ts';
import { CONFIG, charge, limiterWith, REDIS, request, tokens, watchedStore } from './limiter-support.ts';

const ALLOWING: QuotaConfig = { ...REDIS, failure: { local_share: 0.5, replicas: 1, allow: true } };
const down = (reason: StoreFaultReason = 'unreachable'): StoreFault => new StoreFault(reason, 'the store is down');
const share = (parts: { readonly [member: string]: unknown } = {}) => charge({ on_failure: 'local_share', ...parts });
const taken = (results: readonly TakeResult[]): number => results.filter(({ kind }) => kind === 'taken').length;

describe('a store that fails', () => {
  test.each<[string, { readonly [member: string]: unknown }, QuotaConfig, 'taken' | 'unavailable']>([
    ['deny, the default', {}, ALLOWING, 'unavailable'],
    ['local_share of a rate', { on_failure: 'local_share' }, REDIS, 'taken'],
    ['local_share of a cost above it', { on_failure: 'local_share', cost: 6 }, REDIS, 'unavailable'],
    ['local_share of a window', { on_failure: 'local_share', kind: 'window' }, ALLOWING, 'unavailable'],
    ['local_share of money', { on_failure: 'local_share', unit: 'nano_usd' }, ALLOWING, 'unavailable'],
    ['allow, where config does not permit it', { on_failure: 'allow' }, REDIS, 'unavailable'],
    ['allow of a rate', { on_failure: 'allow' }, ALLOWING, 'taken'],
    ['allow of a day', { on_failure: 'allow', kind: 'window', calendar: 'day', zone: 'UTC' }, ALLOWING, 'taken'],
    [
      'allow of a month',
      { on_failure: 'allow', kind: 'window', calendar: 'month', zone: 'UTC' },
      ALLOWING,
      'unavailable',
    ],
    ['allow of money', { on_failure: 'allow', unit: 'nano_usd' }, ALLOWING, 'unavailable'],
    [
      'allow of concurrency',
      { on_failure: 'allow', kind: 'concurrency', reserve: { ttl_seconds: 5 } },
      ALLOWING,
      'unavailable',
    ],
    ['deny of a shadow charge', { mode: 'shadow' }, REDIS, 'taken'],
  ])('ends by what the charge asks for: %s', async (_, parts, config, kind) => {
    const { take, store } = limiterWith(config);
    store.fault = down();
    const result = await take([charge(parts)]);
    expect(result.kind).toBe(kind);
    expect(result.state).toMatchObject({ taken: kind === 'taken', limits: { rps: { verified: false } } });
  });

  test.each<[StoreFaultReason, 'taken' | 'unavailable']>([
    ['unreachable', 'taken'],
    ['unknown_outcome', 'taken'],
    ['refused', 'taken'],
    ['cold', 'taken'],
    ['full', 'unavailable'],
    ['overloaded', 'unavailable'],
  ])('%s ends a local share as %s', async (reason, kind) => {
    const { take, store } = limiterWith(REDIS);
    store.fault = down(reason);
    const result = await take([share()]);
    expect(result.kind).toBe(kind);
    expect('overloaded' in result).toBe(reason === 'overloaded');
  });

  test('takes the first plan all of whose enforced charges permit it, in whole', async () => {
    const { take, store } = limiterWith(REDIS);
    store.fault = down();
    const other = share({ name: 'other' });
    const result = await take([other, charge()], [other, share({ name: 'cheap', cost: 5 })]);
    expect(result).toMatchObject({ kind: 'taken', state: { plan: 1, limits: { other: { remaining: 4 } } } });
  });

  test('is told of: a metric and an event for every admission that nobody verified', async () => {
    const { take, store, series, events } = limiterWith(ALLOWING);
    store.fault = down('refused');
    await take([share(), charge({ name: 'open', on_failure: 'allow' })]);
    expect(await series('sallyport_quota_unverified_total')).toEqual([
      'sallyport_quota_unverified_total{limit="rps",how="local_share"} 1',
      'sallyport_quota_unverified_total{limit="open",how="allow"} 1',
    ]);
    expect(events).toContainEqual({ kind: 'unverified', limits: ['rps', 'open'], reason: 'refused' });
  });

  test('counts what was denied and perhaps charged', async () => {
    const { take, store, series } = limiterWith(REDIS);
    store.fault = down('unknown_outcome');
    expect(await take([charge()])).toMatchObject({ kind: 'unavailable', cause: 'the store is down' });
    expect(await series('sallyport_quota_denied_perhaps_charged_total')).toEqual([
      'sallyport_quota_denied_perhaps_charged_total 1',
    ]);
  });

  test('with a bug is no failure that anything permits', async () => {
    const { take, store } = limiterWith(ALLOWING);
    store.fault = new TypeError('a bug');
    await expect(take([charge({ on_failure: 'allow' })])).rejects.toThrow('a bug');
  });

  test('holds nothing of a reservation that it cannot keep: a plan that reserves has no local share', async () => {
    const { take, store } = limiterWith(REDIS);
    store.fault = down();
    const held = tokens({ on_failure: 'local_share', cost: 3000 });
    expect(await take([held])).toMatchObject({ kind: 'unavailable', state: { taken: false } });
    expect((await take([share(), held])).kind).toBe('unavailable');
    const whole = tokens({ on_failure: 'local_share', cost: 3000, reserve: undefined });
    expect(await take([held], [whole])).toMatchObject({
      kind: 'taken',
      take: { reservationId: undefined },
      state: { plan: 1, limits: { tpm: { remaining: 2000 } } },
    });
  });
});

describe('the local share', () => {
  test.each<[number, number, number]>([
    [1, 1, 5],
    [2, 1, 2],
    [1, 3, 1],
    [20, 1, 0],
  ])(
    'is divided by the most replicas that config (%i) and the store (%i) know of',
    async (configured, seen, admitted) => {
      const config = { ...REDIS, failure: { ...REDIS.failure, replicas: configured } };
      const { take, store } = limiterWith(config, { replicas: () => ({ highestSeen: seen, everSeen: true }) });
      store.fault = down();
      const results: TakeResult[] = [];
      for (let call = 0; call < 10; call += 1) results.push(await take([share()]));
      expect(taken(results)).toBe(admitted);
    },
  );

  test('is denied by a replica that never saw the store', async () => {
    const { take, store } = limiterWith(REDIS, { replicas: () => ({ highestSeen: 0, everSeen: false }) });
    store.fault = down();
    expect((await take([share()])).kind).toBe('unavailable');
  });

  test('is there once in each period, aligned to the epoch, whatever the wall clock does', async () => {
    const { take, store, clock } = limiterWith(REDIS);
    const spendAll = async (): Promise<number> => {
      const results: TakeResult[] = [];
      for (let call = 0; call < 8; call += 1) results.push(await take([share()]));
      return taken(results);
    };
    store.fault = down();
    clock.advance(900);
    expect(await spendAll()).toBe(5);
    clock.advance(99);
    expect(await spendAll()).toBe(0);
    clock.setEpoch(clock.now().epochMs + 3_600_000);
    expect(await spendAll()).toBe(0);
    clock.setEpoch(clock.now().epochMs - 7_200_000);
    expect(await spendAll()).toBe(0);
    clock.advance(1);
    expect(await spendAll()).toBe(5);
  });

  test('over any number of outages and replicas admits no more than the share beside the limit, in any period', async () => {
    const random = createRandom(seedOf('limiter outages'));
    for (let round = 0; round < caseCount(15); round += 1) {
      const store = watchedStore();
      store.remote = true;
      const clock = createManualClock();
      const count = 1 + random.below(3);
      const limit = 20 + random.below(40);
      const replicas = Array.from({ length: count }, () =>
        createLimiter({
          store,
          config: REDIS,
          replicas: () => ({ highestSeen: count, everSeen: true }),
          clock,
          startTimer: clock.startTimer,
          randomBytes: (bytes) => Buffer.from(random.bytes(bytes)),
          metrics: createQuotaMetrics(new Registry(), 10),
          report: () => undefined,
        }),
      );
      const counted = share({ limit, burst: 1 });
      const offset = clock.now().epochMs;
      const unverified = new Map<number, number>();
      const all = new Map<number, number>();
      for (let step = 0; step < 1500; step += 1) {
        if (random.chance(0.1)) store.fault = store.fault === undefined ? down() : undefined;
        clock.advance(random.below(8));
        const period = Math.floor(clock.now().epochMs / 1000);
        const cost = 1;
        const result = await random.pick(replicas).take(request([counted]), clock.now());
        if (result.kind !== 'taken') continue;
        all.set(period, (all.get(period) ?? 0) + cost);
        if (result.state.limits['rps']?.verified === false)
          unverified.set(period, (unverified.get(period) ?? 0) + cost);
      }
      expect(offset % 1000).toBe(0);
      expect(Math.max(0, ...unverified.values())).toBeLessThanOrEqual(Math.floor(limit / 2));
      // One more at its beginning: that is the burst.
      expect(Math.max(...all.values())).toBeLessThanOrEqual(limit * 1.5 + 1);
    }
  });

  test('of distinct keys without end is remembered in bounded memory, and denied beyond it', async () => {
    const { limiter, store, clock } = limiterWith(CONFIG);
    store.fault = down();
    let admitted = 0;
    // Fewer would not fill what is remembered.
    const keys = Math.max(20_000, caseCount(40_000));
    const { terms } = share();
    for (let key = 0; key < keys; key += 1) {
      const result = limiter.take(request([{ terms, key: [`tenant ${key}`] }]), clock.now());
      if ((await result).kind === 'taken') admitted += 1;
      store.calls.length = 0;
      store.asked.length = 0;
    }
    expect(admitted).toBe(Math.min(keys, 16_384));
  });
});

describe('what was spent without the store', () => {
  test('is charged to it before anything more is taken, once', async () => {
    const { take, store, events } = limiterWith(REDIS);
    store.fault = down();
    for (let call = 0; call < 4; call += 1) await take([share()]);
    store.fault = undefined;
    store.calls.length = 0;
    const [first, second] = await Promise.all([take([share()]), take([share()])]);
    expect(store.calls).toEqual(['peek', 'charge', 'take', 'take']);
    expect([first, second]).toMatchObject([
      { kind: 'taken', state: { limits: { rps: { remaining: 5, verified: true } } } },
      { kind: 'taken', state: { limits: { rps: { remaining: 4 } } } },
    ]);
    expect(events).toContainEqual({ kind: 'charged_back', buckets: 1 });
  });

  test('is not sent to a store that answers nothing: it would carry it out later, again and again', async () => {
    const { take, store } = limiterWith(REDIS);
    store.fault = down('unknown_outcome');
    for (let call = 0; call < 5; call += 1) await take([share()]);
    expect(store.calls.filter((name) => name === 'charge')).toEqual([]);
  });

  test('is charged by a timer where nobody asks', async () => {
    const { limiter, take, store, clock } = limiterWith(REDIS);
    limiter.start();
    store.fault = down();
    await take([share()]);
    store.fault = undefined;
    store.calls.length = 0;
    clock.advance(1000);
    await limiter.stop();
    expect(store.calls).toEqual(['peek', 'charge']);
    expect(clock.pendingTimers()).toBe(0);
  });

  test('is forgotten when the bucket has surely drained', async () => {
    const { take, store, clock } = limiterWith(REDIS);
    store.fault = down();
    await take([share({ cost: 5 })]);
    store.fault = undefined;
    store.calls.length = 0;
    clock.advance(1500);
    await take([share()]);
    expect(store.calls).toEqual(['take']);
  });

  test('is not charged to the next window', async () => {
    const { take, store, clock } = limiterWith(ALLOWING);
    const daily = charge({ kind: 'window', calendar: 'day', zone: 'UTC', on_failure: 'allow', cost: 5 });
    store.fault = down();
    await take([daily]);
    clock.advance(13 * 3_600_000);
    store.fault = undefined;
    expect(await take([daily])).toMatchObject({ kind: 'taken', state: { limits: { rps: { remaining: 5 } } } });
  });

  test('is not owed after it was given back', async () => {
    const { take, store } = limiterWith(REDIS);
    store.fault = down();
    const result = await take([share()]);
    if (result.kind === 'taken') {
      result.take?.release();
      result.take?.release();
    }
    store.fault = undefined;
    store.calls.length = 0;
    await take([share()]);
    expect(store.calls).toEqual(['take']);
  });
});
