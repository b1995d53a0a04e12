import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { checkData } from '../../../src/cli/check-data.ts';
import { runCaptured } from '../../support/captured-io.ts';
import { describeWith } from '../../support/describe-with.ts';
import type { Answer } from '../../support/http-client.ts';
import { eventually } from '../../support/programs.ts';
import { ISSUER, SCENARIO, type StartedGateway, startGateway } from './started-gateway.ts';

/** Long enough for the gateway to start, and for answers before it is over. */
const GRACE_MS = 8_000;

describeWith(['opa', 'envoy', 'openssl'], 'the multi-model gateway with tiers of the README', () => {
  let gateway: StartedGateway;
  let graceUntilMs: number;

  beforeAll(async () => {
    graceUntilMs = Date.now() + GRACE_MS;
    gateway = await startGateway((catalog) => {
      // The catalog's own list, and beside it one that ends while the tests run and one that has ended.
      const overrides = catalog['overrides'] as Record<string, unknown[]>;
      const of = (subject: string, untilMs: number): object => ({
        for: { tenant: 'tenant-a', subject, issuer: ISSUER },
        until: new Date(untilMs).toISOString(),
        size: 40,
      });
      overrides['client-rps']?.push(of('grace', graceUntilMs), of('ended', Date.now() - 1000));
    });
  });

  afterAll(() => gateway?.stop());

  beforeEach(() => {
    gateway.small.reset();
    gateway.large.reset();
  });

  describe('each caller has a bucket for each method, as large as his tier says', () => {
    test.each([
      ['free', 10],
      ['premium', 50],
    ])('%s: %i a second', async (tier, size) => {
      const { infer } = await gateway.user({ subject: `bucket-${tier}`, tier });
      const startMs = performance.now();
      const of = (method: 'GET' | 'POST'): Promise<Answer[]> =>
        Promise.all(Array.from({ length: size * 2 }, () => infer(method)));
      const [posts, gets] = await Promise.all([of('POST'), of('GET')]);
      const seconds = (performance.now() - startMs) / 1000;
      const passed = { POST: passedOf(posts), GET: passedOf(gets) };
      console.info(
        `${tier}: POST ${passed.POST}, GET ${passed.GET} of ${size * 2} each in ${seconds.toFixed(2)} s passed`,
      );
      for (const method of ['POST', 'GET'] as const) {
        expect(passed[method]).toBeGreaterThanOrEqual(size);
        expect(passed[method]).toBeLessThanOrEqual(size + size * seconds + 1);
        expect(gateway.small.seen.filter((seen) => seen.method === method)).toHaveLength(passed[method]);
      }
      for (const answer of [...posts, ...gets]) {
        if (answer.status === 200) continue;
        expectRefused(answer, 'client-rps', size);
        // OpenAI's member is for OpenAI's paths.
        expect(JSON.parse(answer.body)).not.toHaveProperty('error');
      }
    });

    test('and two callers of a tenant do not share one', async () => {
      const [first, second] = [await gateway.user({ subject: 'first' }), await gateway.user({ subject: 'second' })];
      await Promise.all(Array.from({ length: 40 }, () => first.infer()));
      expect((await second.infer()).headers['ratelimit']).toBe('"client-rps";r=9;t=1');
    });
  });

  test('an answer says what is left to the caller, in every style', async () => {
    const { chat } = await gateway.user({ subject: 'reader', tier: 'premium', tenant: 'tenant-b' });
    const { status, headers } = await chat({ model: 'large', max_tokens: 100 });
    expect(status).toBe(200);
    expect(headers['x-upstream']).toBe('large');
    // Of the limit that tenants share he is told his own part, or nothing.
    expect(headers['ratelimit-policy']).toMatch(
      /^"client-rps";q=50;w=1;qu="requests", (?:"chat-rpm";q=25;w=60;qu="requests", )?"tokens-per-minute";q=90000;w=60;qu="tokens"$/,
    );
    expect(headers).toMatchObject({
      'x-ratelimit-limit-requests': expect.stringMatching(/^(?:50|25)$/),
      'x-ratelimit-remaining-requests': expect.stringMatching(/^\d+$/),
      'x-ratelimit-reset-requests': expect.stringMatching(/^[\d.]+m?s$/),
      'x-ratelimit-limit-tokens': '90000',
      'x-ratelimit-remaining-tokens': expect.stringMatching(/^89\d{3}$/),
    });
    expect(headers).not.toHaveProperty('retry-after');
    // What is held can be settled by the gateway's metering, and by nobody who calls.
    expect(JSON.stringify([headers, gateway.large.seen])).not.toMatch(/[0-9a-f]{12}-[0-9a-f]{20}-/);
  });

  test('tokens are counted for each model by itself, and a refusal looks like the one in the README', async () => {
    const { chat } = await gateway.user({ subject: 'talker', tier: 'free', tenant: 'tenant-b' });
    const { passed, refused } = await untilRefused(() => chat({ max_tokens: 1_000 }));
    // 3,000 a minute; each call holds 1,000 and its prompt, and what is held does not refill before it is settled.
    expect(passed).toHaveLength(2);
    expect(gateway.small.count()).toBe(2);
    const { decision_id: id, ...problem } = JSON.parse(refused.body);
    expect({ ...problem, decision_id: '…' }).toEqual(exampleOf(SCENARIO.text('README.md')));
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expectRefused(refused, 'tokens-per-minute');
    expect(refused.headers['content-type']).toBe('application/problem+json');
    expect(refused.headers['x-ratelimit-limit-tokens']).toBe('3000');
    const waitMs = Number(refused.headers['retry-after-ms']);
    expect(waitMs).toBeLessThanOrEqual(180_000);
    expect(refused.headers['retry-after']).toBe(String(Math.max(1, Math.ceil(waitMs / 1000))));
    // The other model is not for his tier; and whose tier it is for has tokens of their own for it.
    expect((await chat({ model: 'large' })).status).toBe(403);
    const premium = await gateway.user({ subject: 'talker', tier: 'premium', tenant: 'tenant-b' });
    const answer = await premium.chat({ model: 'large', max_tokens: 1_000 });
    expect(answer.headers['x-ratelimit-remaining-tokens']).toMatch(/^8[89]\d{3}$/);
    expect(gateway.large.count()).toBe(1);
  });

  test('who asks for more than he ever has is not told to wait', async () => {
    const { chat } = await gateway.user({ subject: 'boundless', tier: 'premium', tenant: 'tenant-b' });
    // The caps of model and tier cut it to 4,096 of 90,000; two hundred answers of that are too many.
    expect((await chat({ model: 'large', max_tokens: 200_000 })).status).toBe(200);
    const { status, headers } = await chat({ model: 'large', max_tokens: 4_096, n: 200 });
    expect(status).toBe(429);
    expect(headers).not.toHaveProperty('retry-after');
    expect(headers['x-should-retry']).toBe('false');
  });

  test('a service of the mesh is Internal, and passes with limits of its own', async () => {
    const startMs = performance.now();
    const { passed, refused } = await untilRefused(() => gateway.infer('pre-processor'));
    const seconds = (performance.now() - startMs) / 1000;
    console.info(`pre-processor: ${passed.length} passed before the first refusal, in ${seconds.toFixed(2)} s`);
    expect(passed.length).toBeGreaterThanOrEqual(30);
    expect(passed.length).toBeLessThanOrEqual(30 + seconds / 2 + 1);
    expect(gateway.small.count()).toBe(passed.length);
    expectRefused(refused, 'service-rpm', 30);
    expect(passed[0]?.headers['ratelimit-policy']).toBe(
      '"client-rps";q=100;w=1;qu="requests", "service-rpm";q=30;w=60;qu="requests"',
    );
    // Another service has no such limit, and has lost nothing of what it has.
    const { status, headers } = await gateway.infer('indexer');
    expect(status).toBe(200);
    expect(headers['ratelimit-policy']).toBe('"client-rps";q=100;w=1;qu="requests"');
    expect(headers['ratelimit']).toBe('"client-rps";r=99;t=1');
  });

  test('a greedy tenant cannot take the share of another', async () => {
    const greedy = await Promise.all(
      Array.from({ length: 10 }, (_, at) => gateway.user({ subject: `greedy-${at}`, tier: 'premium' })),
    );
    const modest = await gateway.user({ subject: 'modest', tier: 'premium', tenant: 'tenant-b' });
    const startMs = performance.now();
    let passed = 0;
    const refused: Answer[] = [];
    while (refused.length < 60) {
      const answers = await Promise.all([...greedy, ...greedy].map(({ chat }) => chat()));
      passed += passedOf(answers);
      refused.push(...answers.filter(({ status }) => status !== 200));
    }
    const seconds = (performance.now() - startMs) / 1000;
    console.info(`greedy: ${passed} passed, ${refused.length} refused in ${seconds.toFixed(2)} s`);
    // A quarter is its own and one half is common, of which the other may have some; both refill.
    expect(passed).toBeGreaterThanOrEqual(25);
    expect(passed).toBeLessThanOrEqual(75 + (seconds * 75) / 60 + 2);
    expect(gateway.small.count()).toBe(passed);
    for (const { status, headers, body } of refused) {
      expect(status).toBe(429);
      // What is common says something of others: it is not told.
      expect(String(headers['ratelimit-policy'])).not.toContain('"chat-rpm";q=50');
      expect(body).not.toContain('tenant-b');
    }
    // The other's quarter is there as if nobody had asked; the tests before used less than ten of it.
    const own = await Promise.all(Array.from({ length: 15 }, () => modest.chat()));
    expect(passedOf(own)).toBe(15);
    expect(gateway.small.seen.filter(({ headers }) => headers['x-sallyport-tenant'] === 'tenant-b')).toHaveLength(15);
  });

  describe('an override holds until it ends', () => {
    const limitOf = async (subject: string, tenant = 'tenant-a'): Promise<unknown> => {
      const { infer } = await gateway.user({ subject, tenant });
      return (await infer()).headers['x-ratelimit-limit-requests'];
    };

    test('for those whom it names', async () => {
      expect(await limitOf('launch')).toBe('40');
      expect(await limitOf('ended')).toBe('10');
      expect(await limitOf('somebody')).toBe('10');
      expect(await limitOf('launch', 'tenant-b')).toBe('10');
    });

    test('and not a moment longer', async () => {
      const seen = new Set<string>();
      await eventually(async () => {
        const sentMs = Date.now();
        const limit = await limitOf('grace');
        // One that was asked before the end and answered after it may be told either.
        if (Date.now() < graceUntilMs) seen.add(`before: ${String(limit)}`);
        else if (sentMs > graceUntilMs) seen.add(`after: ${String(limit)}`);
        return Date.now() > graceUntilMs + 500 ? true : undefined;
      }, 60_000);
      // On a machine so slow that it ended before the first answer there is no such sight.
      seen.delete('before: 40');
      expect(seen).toEqual(new Set(['after: 10']));
    });
  });

  test('check-data finds nothing in the data that means nothing', async () => {
    const own = await SCENARIO.buildBundle();
    const { code, stdout, stderr } = await runCaptured(checkData, [own.file, '--json']);
    own.remove();
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({ faults: [], findings: [] });
    expect(code).toBe(0);
  });

  test('the README says what the data says', () => {
    const { limits } = JSON.parse(SCENARIO.text('catalog/data.json'));
    const words = (limit: string, tier: string): string => limits[limit].size.by_tier[tier].toLocaleString('en');
    for (const tier of ['Free', 'Premium', 'Internal']) {
      const row = SCENARIO.text('README.md').match(new RegExp(`^\\| ${tier}[^|]*\\| ([\\d,]+) \\| ([\\d,]+) \\|`, 'm'));
      const name = tier.toLowerCase();
      expect([row?.[1], row?.[2]]).toEqual([words('client-rps', name), words('tokens-per-minute', name)]);
    }
  });
});

/** Asks one after the other until the first refusal. */
async function untilRefused(call: () => Promise<Answer>): Promise<{ passed: readonly Answer[]; refused: Answer }> {
  const passed: Answer[] = [];
  for (;;) {
    const answer = await call();
    if (answer.status !== 200) return { passed, refused: answer };
    passed.push(answer);
    if (passed.length === 5_000) throw new Error('nothing was refused');
  }
}

function passedOf(answers: readonly Answer[]): number {
  return answers.filter(({ status }) => status === 200).length;
}

function expectRefused({ status, headers, body }: Answer, limit: string, size?: number): void {
  expect(status).toBe(429);
  expect(JSON.parse(body)['violated-policies']).toEqual([limit]);
  expect(headers['ratelimit']).toContain(`"${limit}";r=`);
  expect(headers['ratelimit-policy']).toContain(`"${limit}";q=`);
  expect(Number(headers['retry-after'])).toBeGreaterThanOrEqual(1);
  expect(Number(headers['retry-after-ms'])).toBeGreaterThan(0);
  if (size === undefined) return;
  expect(headers['x-ratelimit-limit-requests']).toBe(String(size));
  expect(headers['x-ratelimit-remaining-requests']).toBe('0');
}

function exampleOf(readme: string): unknown {
  return JSON.parse(/```json\n([\s\S]*?)```/.exec(readme)?.[1] ?? 'null');
}
