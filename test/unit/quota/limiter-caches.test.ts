import { describe, expect, test } from 'vitest';
import type { Charge } from '../../../src/decision/charges.ts';
import type { QuotaConfig } from '../../../src/quota/config.ts';
import { caseCount, createRandom, seedOf } from '../../support/seed.ts';
import { CONFIG, charge, type Fixture, limiterWith, REDIS, tokens } from './limiter-support.ts';

const asked = ({ store }: Fixture): number => store.calls.filter((name) => name === 'take').length;

describe('what was found exhausted', () => {
  async function exhausted(config: QuotaConfig = REDIS, plan: readonly Charge[] = [charge()]): Promise<Fixture> {
    const fixture = limiterWith(config);
    await fixture.limiter.adjust([{ charge: plan[0] ?? charge(), hits: 30 }], fixture.clock.now());
    await fixture.take(plan);
    return fixture;
  }

  test('is refused without asking until it may fit, and is asked again then', async () => {
    const fixture = await exhausted();
    const { take, clock } = fixture;
    clock.advance(500);
    expect(await take([charge()])).toMatchObject({
      kind: 'exceeded',
      retryMs: 1600,
      state: { limits: { rps: { wait_ms: 1600, reset_ms: 2500, exceeded: true, verified: true } } },
    });
    clock.advance(1599);
    await take([charge()]);
    expect(asked(fixture)).toBe(1);
    clock.advance(1);
    expect((await take([charge()])).kind).toBe('taken');
    expect(asked(fixture)).toBe(2);
    expect(await fixture.series('sallyport_quota_cached_refusals_total')).toEqual([
      'sallyport_quota_cached_refusals_total 2',
    ]);
  });

  test.each<[string, Charge, number]>([
    ['the same cost', charge(), 1],
    ['a higher cost', charge({ cost: 3 }), 1],
    ['a lower cost', charge({ cost: 0 }), 2],
    ['another limit', charge({ limit: 20, burst: 10 }), 2],
    ['another burst', charge({ burst: 20 }), 2],
    ['another key', charge({}, ['other']), 2],
    ['a shadow charge', charge({ mode: 'shadow' }), 2],
  ])('says of %s whether it must be asked', async (_, other, times) => {
    const fixture = await exhausted();
    await fixture.take([other]);
    expect(asked(fixture)).toBe(times);
  });

  test('tells a higher cost how long it must wait', async () => {
    const { take } = await exhausted();
    expect(await take([charge({ cost: 4 })])).toMatchObject({ retryMs: 2400 });
  });

  test('refuses no request that has another plan', async () => {
    const fixture = await exhausted();
    expect((await fixture.take([charge()], [charge({ name: 'cheap' })])).kind).toBe('taken');
  });

  test('is asked again after 250 ms while something is held', async () => {
    const fixture = limiterWith(REDIS);
    const plan = [tokens({ limit: 100, cost: 100 })];
    await fixture.take(plan);
    await fixture.take(plan);
    fixture.clock.advance(249);
    await fixture.take(plan);
    expect(asked(fixture)).toBe(2);
    fixture.clock.advance(1);
    await fixture.take(plan);
    expect(asked(fixture)).toBe(3);
  });

  test('is asked again after a minute at the most', async () => {
    const daily = charge({ limit: 1, per_seconds: 86_400 });
    const fixture = limiterWith(REDIS);
    await fixture.take([daily]);
    await fixture.take([daily]);
    fixture.clock.advance(59_999);
    await fixture.take([daily]);
    expect(asked(fixture)).toBe(2);
    fixture.clock.advance(1);
    await fixture.take([daily]);
    expect(asked(fixture)).toBe(3);
  });

  test.each<[string, (fixture: Fixture) => Promise<unknown> | undefined]>([
    ['caches are dropped', async ({ limiter }) => limiter.dropCaches()],
    [
      'something is given back',
      ({ limiter, clock }) => limiter.adjust([{ charge: charge(), hits: -1 }], clock.now()) as Promise<void>,
    ],
  ])('is forgotten when %s', async (_, happen) => {
    const fixture = await exhausted();
    await happen(fixture);
    await fixture.take([charge()]);
    expect(asked(fixture)).toBe(2);
  });

  test('is forgotten when a take of it is released', async () => {
    const fixture = limiterWith(REDIS);
    const all = charge({ cost: 10 });
    const first = await fixture.take([all]);
    await fixture.take([all]);
    if (first.kind === 'taken') first.take?.release();
    expect((await fixture.take([all])).kind).toBe('taken');
  });

  test('is not learned from an answer that was under way when something was given back', async () => {
    const fixture = limiterWith(REDIS);
    await fixture.limiter.adjust([{ charge: charge(), hits: 30 }], fixture.clock.now());
    const underWay = fixture.take([charge()]);
    fixture.limiter.dropCaches();
    await underWay;
    await fixture.take([charge()]);
    expect(asked(fixture)).toBe(2);
  });

  test('is not remembered of a store in this process', async () => {
    const fixture = await exhausted(CONFIG);
    await fixture.take([charge()]);
    expect(asked(fixture)).toBe(2);
  });

  test('never grants what the store would refuse, nor refuses for longer than the store would', async () => {
    const random = createRandom(seedOf('exhausted cache'));
    for (let round = 0; round < caseCount(10); round += 1) {
      const cached = limiterWith(REDIS);
      const plain = limiterWith({ ...CONFIG });
      for (let step = 0; step < 400; step += 1) {
        const plans = Array.from({ length: 1 + random.below(2) }, (_, plan) => [
          charge({ name: random.pick(['a', 'b']), limit: 5, cost: 1 + random.below(4) }),
          charge({ name: `plan ${plan}`, limit: 10, per_seconds: 2, cost: random.below(4) }),
        ]);
        const [ours, theirs] = [await cached.take(...plans), await plain.take(...plans)];
        expect([ours.kind, ours.state.plan]).toEqual([theirs.kind, theirs.state.plan]);
        const ms = random.below(200);
        cached.clock.advance(ms);
        plain.clock.advance(ms);
      }
    }
  });
});

describe('leases', () => {
  const LEASING: QuotaConfig = { ...REDIS, lease_batch: 10 };
  const hot = (parts: { readonly [member: string]: unknown } = {}): Charge =>
    charge({ name: 'endpoint', limit: 1000, scope: 'shared', ...parts });

  /** How often the store was asked for a plan that was taken so many times. */
  async function askedFor(plan: readonly Charge[], times = 50): Promise<number> {
    const fixture = limiterWith(LEASING);
    for (let call = 0; call < times; call += 1) {
      expect((await fixture.take(plan)).kind).toBe('taken');
      for (let turn = 0; turn < 4; turn += 1) await Promise.resolve();
    }
    return asked(fixture);
  }

  test('of a hot shared rate spare most questions', async () => {
    expect(await askedFor([hot()])).toBeLessThan(15);
  });

  test.each<[string, Charge]>([
    ['money', hot({ unit: 'nano_usd' })],
    ['a window', hot({ kind: 'window' })],
    ['what is held', hot({ reserve: { ttl_seconds: 1 }, limit: 10_000, name: 'held' })],
    ['what is not shared', hot({ scope: 'tenant' })],
    ['a shadow charge', hot({ mode: 'shadow' })],
    ['a rate that is near its end', hot({ limit: 99 })],
    ['a cost above the batch', hot({ cost: 11 })],
  ])('are not taken of %s', async (_, plan) => {
    expect(await askedFor([plan], 4)).toBe(4);
  });

  test('leave the other charges of a plan to the store', async () => {
    const fixture = limiterWith(LEASING);
    for (let call = 0; call < 10; call += 1) {
      expect((await fixture.take([hot(), charge()])).kind).toBe('taken');
      for (let turn = 0; turn < 4; turn += 1) await Promise.resolve();
    }
    const refused = await fixture.take([hot(), charge()]);
    expect(refused).toMatchObject({
      kind: 'exceeded',
      state: { limits: { rps: { exceeded: true }, endpoint: { exceeded: false } } },
    });
  });

  test('let at most a batch for each replica more through, in any period', async () => {
    const random = createRandom(seedOf('leases'));
    for (let round = 0; round < caseCount(10); round += 1) {
      const { take, clock } = limiterWith(LEASING);
      const plan = [hot({ limit: 200 })];
      const admitted: number[] = [];
      for (let step = 0; step < 2000; step += 1) {
        clock.advance(random.below(6));
        if ((await take(plan)).kind === 'taken') admitted.push(clock.now().monotonicMs);
        await Promise.resolve();
      }
      const spanMs = 1000;
      let first = 0;
      for (const [last, atMs] of admitted.entries()) {
        while ((admitted[first] ?? 0) <= atMs - spanMs) first += 1;
        expect(last - first + 1).toBeLessThanOrEqual(200 + 200 + 10);
      }
    }
  });

  test('are given back at the end, and a released request’s units at once', async () => {
    const fixture = limiterWith(LEASING);
    const { take, limiter, store, clock } = fixture;
    for (let call = 0; call < 3; call += 1) {
      const result = await take([hot()]);
      for (let turn = 0; turn < 4; turn += 1) await Promise.resolve();
      if (result.kind === 'taken' && call === 2) result.take?.release();
    }
    expect(store.calls).not.toContain('release');
    await limiter.stop();
    const [state] = await store.peek(store.asked[0]?.plans[0]?.map(({ terms }) => terms) ?? [], clock.now());
    expect(state?.remaining).toBe(998);
  });
});
