import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkData } from '../../../src/cli/check-data.ts';
import { runCaptured } from '../../support/captured-io.ts';
import { describeWith } from '../../support/describe-with.ts';
import { eventually } from '../../support/programs.ts';
import { openScenario } from '../../support/scenario.ts';
import { createRandom, seedOf } from '../../support/seed.ts';
import { costOf, REPLICAS, type StartedReplicas, startReplicas, toUsage } from './started-replicas.ts';

/** Each test has a tenant of its own. */
const TENANTS = ['first', 'lower', 'higher', 'lost', 'swapped', 'elsewhere', 'nobody', 'exported-a', 'exported-b'];
const MONTH = 10_000_000;
const BUDGET = 20_000_000_000;

describeWith(['opa', 'valkey'], 'a budget of tokens and money, counted by two replicas', () => {
  let replicas: StartedReplicas;

  beforeAll(async () => {
    await awayFromMidnight();
    replicas = await startReplicas(TENANTS);
  });

  afterAll(() => replicas?.stop());

  test('what a call may use is held when it is let pass, and what it did not use is free when it is settled', async () => {
    const id = await replicas.reserve('a', 'lower', 1000);
    const before = await replicas.standing('a', 'lower');
    const held = before['tokens-per-month']?.held ?? 0;
    // The estimate of the prompt is beside the thousand.
    expect(held).toBeGreaterThan(1000);
    expect(held).toBeLessThan(1050);
    expect(before['tokens-per-minute']).toEqual({ remaining: 90_000 - held, held });
    expect(before['tokens-per-month']).toEqual({ remaining: MONTH - held, held });
    const heldMoney = Number(costOf('large', { input: held - 1000, cached: 0, output: 1000 }));
    expect(before['budget']).toEqual({ remaining: BUDGET - heldMoney, held: heldMoney });

    const used = { input: 9, cached: 3, output: 200 };
    const settled = await replicas.settle('a', id, used);
    expect(settled.status, settled.body).toBe(200);
    expect(JSON.parse(settled.body)).toMatchObject({ outcome: 'settled', ledger: true });
    const after = await replicas.standing('a', 'lower');
    expect(after['tokens-per-month']).toEqual({ remaining: MONTH - 212, held: 0 });
    expect(after['budget']).toEqual({ remaining: BUDGET - Number(costOf('large', used)), held: 0 });
    expect(after['tokens-per-minute']?.held).toBe(0);
    expect(after['tokens-per-minute']?.remaining).toBeGreaterThanOrEqual(90_000 - 212);
  });

  test('what was used beyond that is owed, and has to drain before the next call passes', async () => {
    const id = await replicas.reserve('a', 'higher', 500);
    const startMs = performance.now();
    expect((await replicas.settle('a', id, { input: 10, cached: 0, output: 999_990 })).status).toBe(200);
    expect((await replicas.standing('a', 'higher'))['tokens-per-month']).toEqual({
      remaining: MONTH - 1_000_000,
      held: 0,
    });
    const refused = await replicas.take('a', 'higher', 500);
    const elapsedMs = performance.now() - startMs;
    expect(refused.status).toBe(429);
    expect(JSON.parse(refused.body)['violated-policies']).toEqual(['tokens-per-minute']);
    // 1,000,000 used of 90,000, at 1,500 a second, until the estimate fits.
    const waitMs = Number(refused.headers['retry-after-ms']);
    expect(waitMs).toBeLessThanOrEqual(607_100);
    expect(waitMs).toBeGreaterThanOrEqual(606_900 - elapsedMs);
    expect(refused.headers['x-should-retry']).toBe('false');
    // Another model has tokens of its own.
    expect((await replicas.take('a', 'higher', 500, 'small')).status).toBe(200);
  });

  test('a call of which nobody tells the end is charged what was held, until somebody does', async () => {
    const id = await replicas.reserve('b', 'lost', 2000);
    const held = (await replicas.standing('b', 'lost'))['tokens-per-month']?.held ?? 0;
    // The end of the hold is brought near, where it would be two minutes.
    const renewed = await replicas.operate('b', '/v1/usage/renew', { reservation_id: id, ttl_seconds: 1 });
    expect(renewed.status, renewed.body).toBe(200);
    await eventually(async () =>
      (await replicas.standing('b', 'lost'))['tokens-per-month']?.held === 0 ? true : undefined,
    );
    expect((await replicas.standing('b', 'lost'))['tokens-per-month']).toEqual({ remaining: MONTH - held, held: 0 });
    const late = await replicas.operate('b', '/v1/usage/renew', { reservation_id: id, ttl_seconds: 60 });
    expect(late).toMatchObject({ status: 409 });
    // Within `settle_horizon_seconds` what was used still counts instead.
    expect((await replicas.settle('b', id, { input: 9, cached: 0, output: 91 })).status).toBe(200);
    expect((await replicas.standing('b', 'lost'))['tokens-per-month']).toEqual({ remaining: MONTH - 100, held: 0 });
  });

  test('any replica settles, once', async () => {
    const id = await replicas.reserve('a', 'elsewhere', 300);
    const used = { input: 20, cached: 0, output: 280 };
    expect(JSON.parse((await replicas.settle('b', id, used)).body)).toMatchObject({ outcome: 'settled' });
    expect(JSON.parse((await replicas.settle('b', id, used)).body)).toMatchObject({ outcome: 'already' });
    expect(JSON.parse((await replicas.settle('a', id, used)).body)).toMatchObject({ outcome: 'already' });
    const other = await replicas.settle('a', id, { ...used, output: 279 });
    expect(other.status).toBe(409);
    expect(JSON.parse(other.body)).toMatchObject({ reason: 'conflict' });
    expect((await replicas.standing('a', 'elsewhere'))['tokens-per-month']).toEqual({
      remaining: MONTH - 300,
      held: 0,
    });
  });

  test('what never was cannot be settled, nor what no API says, nor without the right', async () => {
    const id = await replicas.reserve('a', 'nobody', 300);
    const unknown = id.replace(/-[0-9a-f]{20}-/, `-${'0'.repeat(20)}-`);
    expect(await replicas.settle('a', unknown, { input: 1, cached: 0, output: 1 })).toMatchObject({ status: 404 });
    expect(await replicas.settle('a', 'nonsense', { input: 1, cached: 0, output: 1 })).toMatchObject({ status: 400 });
    const absurd = await replicas.operate('a', '/v1/usage', { reservation_id: id, usage: { prompt_tokens: -1 } });
    expect(absurd.status).toBe(422);
    const report = { reservation_id: id, usage: toUsage({ input: 1, cached: 0, output: 1 }) };
    expect(await replicas.operate('a', '/v1/usage', report, 'another-token')).toMatchObject({ status: 401 });
    expect((await replicas.standing('a', 'nobody'))['tokens-per-month']?.held).toBeGreaterThan(300);
  });

  test('a call is settled by the prices under which it was let pass, over a restart with another bundle', async () => {
    const id = await replicas.reserve('b', 'swapped', 300);
    await replicas.restart('b', 'tenfold');
    const used = { input: 100, cached: 0, output: 200 };
    const settled = await eventually(async () => {
      const answer = await replicas.settle('b', id, used);
      return answer.status === 503 ? undefined : answer;
    });
    expect(settled.status, settled.body).toBe(200);
    const cost = Number(costOf('large', used));
    expect(JSON.parse(settled.body).charges).toContainEqual(
      expect.objectContaining({ name: 'budget', unit: 'nano_usd', cost }),
    );
    const next = await replicas.reserve('b', 'swapped', 300);
    expect(JSON.parse((await replicas.settle('b', next, used)).body).charges).toContainEqual(
      expect.objectContaining({ name: 'budget', cost: cost * 10 }),
    );
    expect((await replicas.standing('b', 'swapped'))['budget']).toEqual({ remaining: BUDGET - 11 * cost, held: 0 });
    await replicas.restart('b', 'own');
  });

  test('check-data finds nothing in the data that means nothing', async () => {
    const own = await openScenario('token-budget').buildBundle();
    const { code, stdout } = await runCaptured(checkData, [own.file, '--json']);
    own.remove();
    expect(JSON.parse(stdout)).toMatchObject({ faults: [], findings: [] });
    expect(code).toBe(0);
  });

  test('the export agrees with what was used, to the token and the nano-dollar', async () => {
    const random = createRandom(seedOf('token budget'));
    const expected = new Map<string, { calls: number; input: bigint; output: bigint; tokens: bigint; money: bigint }>();
    const days = new Set<string>();
    for (let call = 0; call < 60; call += 1) {
      const tenant = random.pick(['exported-a', 'exported-b'] as const);
      const model = random.pick(['large', 'small'] as const);
      const id = await eventually(async () => {
        const answer = await replicas.take(random.pick(REPLICAS), tenant, 200, model);
        return answer.status === 200 ? String(answer.headers['x-sallyport-reservation-id']) : undefined;
      });
      days.add(new Date(Number.parseInt(id.slice(0, 12), 16)).toISOString().slice(0, 10));
      const used = { input: 1 + random.below(900), cached: random.below(90), output: random.below(600) };
      // Some reports come twice, to both replicas at once.
      const to = random.chance(0.25) ? REPLICAS : [random.pick(REPLICAS)];
      for (const { status, body } of await Promise.all(to.map((replica) => replicas.settle(replica, id, used)))) {
        expect(status, body).toBe(200);
      }
      const key = `${tenant} ${model}`;
      const row = expected.get(key) ?? { calls: 0, input: 0n, output: 0n, tokens: 0n, money: 0n };
      expected.set(key, {
        calls: row.calls + 1,
        input: row.input + BigInt(used.input),
        output: row.output + BigInt(used.output),
        tokens: row.tokens + BigInt(used.input + used.cached + used.output),
        money: row.money + costOf(model, used),
      });
    }
    const rows = (await replicas.exported()).filter(({ tenant }) => tenant.startsWith('exported-'));
    console.info(JSON.stringify(rows));
    expect(new Set(rows.map(({ day }) => day))).toEqual(days);
    // Of a test that ran over midnight each key has two rows; `awayFromMidnight` keeps that from happening.
    const found = rows.map((row) => [
      `${row.tenant} ${row.model}`,
      {
        calls: row.settled,
        input: BigInt(row.input_tokens),
        output: BigInt(row.output_tokens),
        tokens: BigInt(row.charges['tokens-per-month (tokens)'] ?? -1),
        money: BigInt(row.charges['budget (nano_usd)'] ?? -1),
      },
    ]);
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected));
    for (const row of rows)
      expect(row.charges['tokens-per-minute (tokens)']).toBe(row.charges['tokens-per-month (tokens)']);
    // And so do the counts by which the next call is judged.
    for (const tenant of ['exported-a', 'exported-b'] as const) {
      const of = rows.filter((row) => row.tenant === tenant);
      const money = of.reduce((sum, row) => sum + (row.charges['budget (nano_usd)'] ?? 0), 0);
      await replicas.reserve('a', tenant, 1).then((id) => replicas.settle('a', id, { input: 0, cached: 0, output: 0 }));
      expect((await replicas.standing('a', tenant))['budget']).toEqual({ remaining: BUDGET - money, held: 0 });
    }
  });
});

/** The servers count by the real clock: a test that began just before midnight would see a new day's budget. */
async function awayFromMidnight(): Promise<void> {
  const leftMs = 86_400_000 - (Date.now() % 86_400_000);
  if (leftMs < 90_000) await sleep(leftMs + 1000);
}
