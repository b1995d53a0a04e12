import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { checkData } from '../../../src/cli/check-data.ts';
import { exportUsage } from '../../../src/quota/ledger/ledger-export.ts';
import { runCaptured } from '../../support/captured-io.ts';
import { describeWith } from '../../support/describe-with.ts';
import { type Envoy, startBootstrap } from '../../support/envoy.ts';
import { createEventFile, type EventFile } from '../../support/event-file.ts';
import { type Answer, ask } from '../../support/http-client.ts';
import type { PolicyBundle } from '../../support/policy-bundle.ts';
import { digestOf, openScenario } from '../../support/scenario.ts';
import { type Service, startService } from '../../support/service.ts';
import { createTestIssuer, type TestIssuer } from '../../support/tokens.ts';
import { startUpstream, type Upstream } from '../../support/upstream.ts';

const SCENARIO = openScenario('degrade');
const METERING_TOKEN = 'metering-token-of-this-test';
const MODELS = ['large', 'small'] as const;

describeWith(['opa', 'envoy'], 'the large model is exhausted, and the small one serves', () => {
  let folder: string;
  let bundle: PolicyBundle;
  let issuer: TestIssuer;
  let service: Service;
  let envoy: Envoy;
  let events: EventFile;
  const upstreams = new Map<string, Upstream>();

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-degrade-'));
    issuer = await createTestIssuer({ issuer: 'https://login.example.test', audience: 'inference' });
    await issuer.writeJwks(join(folder, 'jwks.json'));
    bundle = await SCENARIO.buildBundle();
    for (const name of MODELS) upstreams.set(name, await startUpstream(name));
    const eventsFile = join(folder, 'decisions.jsonl');
    events = createEventFile(eventsFile);
    service = await startService({
      config: SCENARIO.config({
        'file: degrade.tar.gz': `file: ${bundle.file}`,
        'file: jwks.json': `file: ${join(folder, 'jwks.json')}`,
        'path: decisions.jsonl': `path: ${eventsFile}`,
        'data_dir: usage': `data_dir: ${join(folder, 'usage')}`,
      }),
      env: {
        BUNDLE_SHA256: digestOf(bundle.file),
        METERING_SHA256: createHash('sha256').update(METERING_TOKEN).digest('hex'),
      },
    });
    envoy = await startBootstrap(
      SCENARIO.bootstrap({ 9191: service.port('ext_authz_grpc'), 8001: portOf('small'), 8002: portOf('large') }),
    );
  });

  afterAll(async () => {
    await envoy?.stop();
    await service?.stop();
    for (const upstream of upstreams.values()) await upstream.stop();
    bundle?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  beforeEach(() => {
    for (const upstream of upstreams.values()) upstream.reset();
  });

  const portOf = (name: string): number => upstreams.get(name)?.port ?? 0;
  const counts = (): readonly number[] => MODELS.map((name) => upstreams.get(name)?.count() ?? -1);

  /** Asks the large model, again and again as one caller. */
  async function caller(subject: string, tier: string): Promise<() => Promise<Answer>> {
    const token = await issuer.mint({ sub: subject, tenant: 'acme', tier });
    const body = JSON.stringify({
      model: 'large',
      max_tokens: 500,
      messages: [{ role: 'user', content: 'Name three rivers.' }],
    });
    return () =>
      ask(envoy.port('inbound'), {
        method: 'POST',
        path: '/v1/chat/completions',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body,
      });
  }

  /** Of an answered call: by what it can be settled, as the gateway's metering reads it. */
  async function reservationOf({ body }: Answer): Promise<string> {
    const seen = JSON.parse(body).headers['x-sallyport-decision-id'];
    return (await events.of(seen)).reservation_id ?? '';
  }

  const report = (id: string, usage: object): Promise<Answer> =>
    ask(service.port('operations'), {
      method: 'POST',
      path: '/v1/usage',
      headers: { authorization: `Bearer ${METERING_TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ reservation_id: id, usage }),
    });

  test('large until it is used up, then small, then 429; each metered and billed as what it is', async () => {
    const chat = await caller('alice', 'business');
    const answers: Answer[] = [];
    while (answers.length < 100 && (answers.at(-1)?.status ?? 200) === 200) answers.push(await chat());
    const passed = answers.slice(0, -1);
    const refused = answers.at(-1);
    // 3,000 and 6,000 tokens an hour, by calls of 500 and a short prompt.
    console.info(`large ${counts()[0]}, small ${counts()[1]}, then ${refused?.status}`);
    expect(passed.map(({ headers }) => headers['x-upstream'])).toEqual([
      ...Array.from({ length: 5 }, () => 'large'),
      ...Array.from({ length: 11 }, () => 'small'),
    ]);
    expect(counts()).toEqual([5, 11]);
    for (const { headers } of passed) {
      const isSmall = headers['x-upstream'] === 'small';
      expect(headers['x-served-model']).toBe(isSmall ? 'small' : undefined);
      expect(headers['x-ratelimit-limit-tokens']).toBe(isSmall ? '6000' : '3000');
    }
    for (const name of MODELS) {
      for (const seen of upstreams.get(name)?.seen ?? []) {
        expect(seen.headers).toMatchObject({ 'x-sallyport-upstream': name });
      }
    }
    expect(refused?.status).toBe(429);
    expect(JSON.parse(refused?.body ?? '{}')['violated-policies']).toEqual(['model-tokens']);

    for (const answer of passed) {
      const reported = await report(await reservationOf(answer), USED);
      expect(reported, reported.body).toMatchObject({ status: 200 });
    }
    const rows = await billed(join(folder, 'usage/ledger'));
    expect(rows).toEqual([
      rowOf('large', 5, { input: 3_000_000_000n, output: 15_000_000_000n }),
      rowOf('small', 11, { input: 150_000_000n, output: 600_000_001n }),
    ]);
    // Settled lower than reserved, so that the large one has room again.
    const again = await chat();
    expect(again.headers).toMatchObject({ 'x-upstream': 'large' });
    expect(again.headers).not.toHaveProperty('x-served-model');
  });

  test('whoever may not use the small one is refused', async () => {
    const chat = await caller('bob', 'large-only');
    const answers: Answer[] = [];
    while (answers.length < 100 && (answers.at(-1)?.status ?? 200) === 200) answers.push(await chat());
    expect(counts()).toEqual([5, 0]);
    expect(answers.length).toBe(6);
    expect(answers.at(-1)).toMatchObject({
      status: 429,
      headers: { 'retry-after': expect.stringMatching(/^\d+$/), 'x-should-retry': 'false' },
    });
    expect(answers.at(-1)?.headers).not.toHaveProperty('x-served-model');
  });

  test('the README says what is done', () => {
    const readme = SCENARIO.text('README.md');
    const { models } = JSON.parse(SCENARIO.text('catalog/data.json'));
    expect(models).toMatchObject(JSON.parse(/```json\n([\s\S]*?)```/.exec(readme)?.[1] ?? 'null'));
    expect(readme).toContain(`"usage":${JSON.stringify(USED)}`);
  });

  test('check-data finds nothing in the data that means nothing', async () => {
    const { code, stdout } = await runCaptured(checkData, [bundle.file, '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ faults: [], findings: [] });
    expect(code).toBe(0);
  });
});

/** What the model's answer says that it used. */
const USED = { prompt_tokens: 9, completion_tokens: 301, total_tokens: 310 };

interface Row {
  readonly model: string;
  readonly settled: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly charges: Readonly<Record<string, number>>;
}

async function billed(ledger: string): Promise<readonly Row[]> {
  let text = '';
  for await (const piece of exportUsage({ folders: [ledger], format: 'json', by: ['model'] })) text += piece;
  // The export's own rows.
  return JSON.parse(text) as Row[];
}

/** So many calls of {@link USED}, each rounded up to whole nano-USD by itself. */
function rowOf(model: string, calls: number, price: { readonly input: bigint; readonly output: bigint }): object {
  const cost = (9n * price.input + 301n * price.output + 999_999n) / 1_000_000n;
  return {
    model,
    settled: calls,
    expired: 0,
    input_tokens: 9 * calls,
    cached_tokens: 0,
    output_tokens: 301 * calls,
    charges: { 'budget (nano_usd)': Number(cost) * calls, 'model-tokens (tokens)': 310 * calls },
  };
}
