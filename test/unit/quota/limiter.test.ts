import { describe, expect, test } from 'vitest';
import { NEVER } from '../../../src/decision/charges.ts';
import { StoreFault } from '../../../src/quota/bucket-store.ts';
import { parseNote } from '../../../src/quota/note.ts';
import { parseReservationId } from '../../../src/quota/reservation-id.ts';
import { CONFIG, charge, limiterWith, REDIS, request, tokens } from './limiter-support.ts';

describe('a take', () => {
  test('of an empty first plan asks nobody', () => {
    const { limiter, store, clock } = limiterWith();
    expect(limiter.take(request([], [charge()]), clock.now())).toEqual({
      kind: 'taken',
      take: undefined,
      state: { plan: 0, taken: true, limits: {} },
    });
    expect(store.calls).toEqual([]);
  });

  test('is answered at once by a store in this process', () => {
    const { limiter, clock } = limiterWith();
    const result = limiter.take(request([charge({ cost: 4 })]), clock.now());
    expect(result).toMatchObject({
      kind: 'taken',
      take: { reservationId: undefined },
      state: { plan: 0, taken: true, limits: { rps: { limit: 10, remaining: 6, exceeded: false, verified: true } } },
    });
  });

  test('takes the first plan that fits and tells of that plan only', async () => {
    const { take } = limiterWith();
    const dear = charge({ name: 'dear', limit: 2, cost: 2 });
    const cheap = charge({ name: 'cheap', limit: 5 });
    await take([dear], [cheap]);
    const second = await take([dear], [cheap]);
    expect(second.state).toEqual({
      plan: 1,
      taken: true,
      limits: { cheap: expect.objectContaining({ remaining: 4 }) },
    });
  });

  test('that fits nowhere tells of each name what the first plan with it says, and when a plan fits again', async () => {
    const { take } = limiterWith();
    const dear = [charge({ name: 'all', limit: 1 }), charge({ name: 'dear', limit: 1, per_seconds: 60 })];
    const cheap = [charge({ name: 'all', limit: 1 }), charge({ name: 'cheap', limit: 2 })];
    await take(dear, cheap);
    const refused = await take(dear, cheap);
    expect(refused).toMatchObject({
      kind: 'exceeded',
      retryMs: 1000,
      state: {
        taken: false,
        limits: { all: { exceeded: true, wait_ms: 1000 }, dear: { wait_ms: 60_000 }, cheap: { exceeded: false } },
      },
    });
  });

  test('whose every plan is above an untouched limit says that no waiting helps', async () => {
    const { take } = limiterWith();
    const refused = await take([charge({ cost: 11 })], [charge({ name: 'other', cost: 20 })]);
    expect(refused).not.toHaveProperty('retryMs');
    expect(refused).toMatchObject({ kind: 'exceeded', state: { limits: { rps: { wait_ms: NEVER } } } });
  });

  test('is not refused by a shadow charge that does not fit', async () => {
    const { take, series } = limiterWith();
    const shadow = charge({ name: 'soon', limit: 1, mode: 'shadow' });
    await take([charge(), shadow]);
    expect((await take([charge(), shadow])).state).toMatchObject({
      taken: true,
      limits: { soon: { exceeded: true, shadow: true, wait_ms: 1000, verified: true }, rps: { exceeded: false } },
    });
    expect(await series('sallyport_quota_exhausted_total')).toEqual([
      'sallyport_quota_exhausted_total{limit="soon",mode="shadow"} 1',
    ]);
  });

  test.each(['__proto__', 'constructor', 'toString'])('tells of a limit that is named %s', async (name) => {
    const { take } = limiterWith();
    const { limits } = (await take([charge({ name })])).state;
    expect(Object.keys(limits)).toEqual([name]);
    for (const other of ['__proto__', 'constructor', 'toString', 'valueOf']) {
      if (other !== name) expect(limits[other]).toBeUndefined();
    }
  });

  test('without any plan is refused', async () => {
    expect(await limiterWith().take()).toMatchObject({ kind: 'exceeded', state: { taken: false } });
  });
});

describe('ids', () => {
  test('are reservation ids of the tenant where something is held, and short where not', async () => {
    const { take, store } = limiterWith();
    const held = await take([tokens()]);
    await take([charge()]);
    await take([charge()]);
    const [first = '', second = '', third = ''] = store.asked.map(({ id }) => id);
    expect(parseReservationId(first)).toBeDefined();
    expect(held).toMatchObject({ take: { reservationId: first } });
    expect(parseReservationId(second)).toBeUndefined();
    expect(second).not.toBe(third);
  });

  test('are reservation ids for every take of a store elsewhere, told only where something is held', async () => {
    const { take, store } = limiterWith(REDIS);
    expect(await take([charge()])).toMatchObject({ take: { reservationId: undefined } });
    expect(parseReservationId(store.asked[0]?.id ?? '')).toBeDefined();
  });

  test('are told only where the plan that was taken holds', async () => {
    const { take } = limiterWith();
    const full = tokens({ limit: 5, cost: 6 });
    expect(await take([full], [charge()])).toMatchObject({ take: { reservationId: undefined }, state: { plan: 1 } });
  });
});

describe('what is held', () => {
  test('is capped for each holder over all limits, by a limit that the policy does not see', async () => {
    const { take, clock } = limiterWith();
    for (let open = 0; open < 4; open += 1) expect((await take([tokens()])).kind).toBe('taken');
    const refused = await take([tokens({ name: 'other', reserve: { ttl_seconds: 10 } })]);
    expect(refused).toMatchObject({ kind: 'exceeded', retryMs: 30_000 });
    expect(Object.keys(refused.state.limits)).toEqual(['other']);
    clock.advance(30_000);
    expect((await take([tokens()])).kind).toBe('taken');
  });

  test('is capped by holder, and a policy’s own limit of that name is another one', async () => {
    const { limiter, clock, take } = limiterWith();
    for (let open = 0; open < 4; open += 1) await take([tokens()]);
    expect(limiter.take({ ...request([tokens()]), holder: 'bob' }, clock.now())).toMatchObject({ kind: 'taken' });
    expect(await take([charge({ name: 'sallyport.holds' })])).toMatchObject({ kind: 'taken' });
  });

  test('is noted with one charge for each amount of the reservation', async () => {
    const { take, store, clock } = limiterWith();
    const { take: taken } = (await take([charge(), tokens({ cost: 500 })])) as { take: { reservationId: string } };
    const found = await store.look(taken.reservationId, clock.now());
    expect(found?.amounts).toEqual([500, 1]);
    expect(parseNote(found?.note ?? '', 0)).toMatchObject({
      tenant: 'acme',
      model: 'llama',
      charges: [{ name: 'tpm', unit: 'tokens' }, { name: 'sallyport.holds' }],
    });
  });

  test('is told to whoever watches reservations, until it is released', async () => {
    const told: unknown[] = [];
    const reservations = { opened: (...parts: unknown[]) => told.push(parts), closed: (id: string) => told.push(id) };
    const { take, clock } = limiterWith(CONFIG, { reservations });
    const result = await take([tokens()]);
    const id = result.kind === 'taken' ? result.take?.reservationId : undefined;
    if (result.kind === 'taken') result.take?.release();
    expect(told).toEqual([[id, clock.now().epochMs + 30_000, ['charge', 'release']], id]);
  });

  test.each<[string, readonly unknown[]]>([
    ['sixteen charges', Array.from({ length: 16 }, (_, at) => tokens({ name: `limit ${at}` }))],
    [
      'names beyond what a store keeps',
      Array.from({ length: 15 }, (_, at) => tokens({ name: `${at}`.padEnd(90, 'x') })),
    ],
  ])('is refused as invalid with %s', (_, plan) => {
    const { limiter, clock } = limiterWith();
    expect(() => limiter.take(request(plan as never), clock.now())).toThrow(
      expect.objectContaining({ code: 'invalid_charges' }),
    );
  });
});

test.each(['full', 'cold', 'refused', 'unreachable', 'unknown_outcome'] as const)(
  'why a store did not answer is said: %s',
  async (reason) => {
    for (const config of [CONFIG, REDIS]) {
      const { take, store } = limiterWith(config);
      store.fault = new StoreFault(reason, 'no answer');
      expect(await take([charge()])).toMatchObject({ kind: 'unavailable', cause: 'no answer', reason });
    }
  },
);

describe('learning', () => {
  const learn = (
    limiter: ReturnType<typeof limiterWith>['limiter'],
    used: number,
    times = 20,
    model = 'llama',
  ): void => {
    for (let call = 0; call < times; call += 1) limiter.learned('acme', model, { name: 'tpm' }, used);
  };

  test.each<[string, { readonly [member: string]: unknown }, number]>([
    ['what such calls use', { cost: 4096 }, 319],
    ['never below the prompt', { cost: 4096, reserve: { ttl_seconds: 30, at_least: 2000 } }, 2000],
    ['never above the cost', { cost: 100 }, 100],
    // What is owed to a window is forgotten with it, and callers could bring that about in each.
    ['nothing of a window', { cost: 4096, kind: 'window' }, 4096],
    ['nothing where the policy says so', { cost: 4096, reserve: { ttl_seconds: 30, learned: false } }, 4096],
    ['only calls to the model that the plan is for', { cost: 4096, model: 'mistral' }, 4096],
  ])('cuts a reservation to %s', async (_, parts, held) => {
    const { limiter, take } = limiterWith();
    learn(limiter, 300);
    expect((await take([tokens(parts)])).state.limits['tpm']?.held).toBe(held);
  });

  test('waits for enough calls, and can be off', async () => {
    const { limiter, take } = limiterWith();
    learn(limiter, 300, 19);
    expect((await take([tokens({ cost: 400 })])).state.limits['tpm']?.held).toBe(400);
    const off = limiterWith({ ...CONFIG, learning: { enabled: false, max_entries: 10 } });
    learn(off.limiter, 300);
    expect((await off.take([tokens({ cost: 400 })])).state.limits['tpm']?.held).toBe(400);
  });
});

describe('giving back', () => {
  test('returns all but what is charged always, once', async () => {
    const { take, store } = limiterWith();
    const result = await take([charge({ cost: 4 }), charge({ name: 'attempts', charge: 'always' })]);
    if (result.kind !== 'taken') throw new Error('not taken');
    result.take?.release();
    result.take?.release();
    expect(store.calls).toEqual(['take', 'release']);
    const { limits } = (await take([charge({ cost: 0 }), charge({ name: 'attempts', cost: 0 })])).state;
    expect([limits['rps']?.remaining, limits['attempts']?.remaining]).toEqual([10, 9]);
  });

  test('asks nothing where all is charged always', async () => {
    const { take, store } = limiterWith();
    const result = await take([charge({ charge: 'always' })]);
    if (result.kind === 'taken') result.take?.release();
    expect(store.calls).toEqual(['take']);
  });

  test.each([
    ['in this process', CONFIG],
    ['elsewhere', REDIS],
  ])('never throws when a store %s fails, and counts it', async (_, config) => {
    const { take, store, series, events } = limiterWith(config);
    const result = await take([charge()]);
    store.fault = new StoreFault('unreachable', 'no connection');
    if (result.kind === 'taken') expect(() => result.take?.release()).not.toThrow();
    await Promise.resolve();
    await Promise.resolve();
    expect(await series('sallyport_quota_store_failures_total')).toEqual([
      'sallyport_quota_store_failures_total{operation="release",reason="unreachable"} 1',
    ]);
    expect(events).toMatchObject([{ kind: 'failed', operation: 'release', cause: 'no connection' }]);
  });
});

describe('counting by force', () => {
  test('charges what does not fit, and a negative number gives back', async () => {
    const { limiter, take, clock } = limiterWith();
    await limiter.adjust([{ charge: charge(), hits: 25 }], clock.now());
    expect(await take([charge()])).toMatchObject({ kind: 'exceeded', retryMs: 1600 });
    await limiter.adjust([{ charge: charge(), hits: -20 }], clock.now());
    expect((await take([charge()])).state.limits['rps']?.remaining).toBe(4);
  });

  test('leaves alone what is counted by holds', async () => {
    const { limiter, store, clock } = limiterWith();
    const open = charge({ kind: 'concurrency', reserve: { ttl_seconds: 5 } });
    await limiter.adjust(
      [
        { charge: open, hits: 1 },
        { charge: charge(), hits: 0 },
      ],
      clock.now(),
    );
    expect(store.calls).toEqual([]);
  });
});

describe('looking at a tenant', () => {
  test('tells how its own buckets stand now, each once', async () => {
    const { limiter, take, clock } = limiterWith();
    const shared = charge({ name: 'all', scope: 'shared' });
    await take([charge({ cost: 3 }), shared, tokens()]);
    await take([charge({ cost: 3 }), shared, tokens()]);
    clock.advance(100);
    const found = await limiter.peekTenant('acme');
    expect(found).toMatchObject([
      { name: 'rps', key: [{ dimension: 'tenant', value: 'acme' }], state: { remaining: 5, verified: true } },
      { name: 'tpm', state: { held: 2 } },
    ]);
    expect(await limiter.peekTenant('other')).toEqual([]);
  });
});
