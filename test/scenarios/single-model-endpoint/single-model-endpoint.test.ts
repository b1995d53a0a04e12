import { createHash, randomBytes } from 'node:crypto';
import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { readCatalog } from '../../../src/cli/check-data/catalog.ts';
import { lintData } from '../../../src/cli/check-data/lint.ts';
import { createKeys } from '../../../src/cli/keys.ts';
import { runCaptured } from '../../support/captured-io.ts';
import { describeWith } from '../../support/describe-with.ts';
import { type Envoy, startEnvoy } from '../../support/envoy.ts';
import { type ExtAuthz, HTTP_CLIENT_HEADERS, HTTP_REQUEST_HEADERS } from '../../support/envoy-config.ts';
import { createEventFile } from '../../support/event-file.ts';
import { type Answer, ask } from '../../support/http-client.ts';
import { buildPolicyBundle, type PolicyBundle } from '../../support/policy-bundle.ts';
import { eventually } from '../../support/programs.ts';
import { type Service, startService } from '../../support/service.ts';
import { ROOT } from '../../support/tools.ts';
import { startUpstream, type Upstream } from '../../support/upstream.ts';

const CHAT = '/v1/chat/completions';
const SUM_UP = { model: 'summariser', messages: [{ role: 'user', content: 'Sum this up.' }] };
const DOORS = ['grpc', 'http'] as const;

describeWith(['envoy', 'opa'], 'one model, callers with API keys', () => {
  let folder: string;
  let keysFile: string;
  let bundle: PolicyBundle;
  let upstream: Upstream;
  let service: Service;
  let envoy: Envoy;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-single-model-'));
    const policies = join(folder, 'policies');
    cpSync(join(ROOT, 'policies'), policies, { recursive: true });
    copyFileSync(join(import.meta.dirname, 'catalog/data.json'), join(policies, 'catalog/data.json'));
    bundle = await buildPolicyBundle(policies, ['authz/decision', 'authz/limits']);
    keysFile = join(folder, 'api-keys.yaml');
    await keys('create', '--tenant', 'acme', '--tier', 'paid', '--name', 'the first');

    upstream = await startUpstream('summariser');
    service = await startService({ config: configOf() });
    const authz = (door: (typeof DOORS)[number]): ExtAuthz => ({
      door,
      at: { ports: [service.port(`ext_authz_${door}`)] },
      body: { maxBytes: 2 ** 20 },
      requestHeaders: [...HTTP_REQUEST_HEADERS, 'x-api-key'],
      clientHeaders: [...HTTP_CLIENT_HEADERS, 'retry-after-ms', 'x-should-retry', 'ratelimit*', 'x-ratelimit-*'],
    });
    envoy = await startEnvoy({
      upstreams: { upstream: { ports: [upstream.port] } },
      listeners: { grpc: { authz: authz('grpc') }, http: { authz: authz('http') } },
    });
  });

  afterAll(async () => {
    await envoy?.stop();
    await Promise.all([service?.stop(), upstream?.stop()]);
    bundle?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  beforeEach(() => upstream.reset());

  /** The scenario's own config, its ports, files and pin put in. */
  const configOf = (): unknown => {
    // The file is in this folder, and is an object of objects.
    const config = parse(readFileSync(join(import.meta.dirname, 'sallyport.yaml'), 'utf8')) as Record<
      'doors' | 'operations' | 'bundles' | 'identity' | 'decision_log',
      Record<string, object>
    >;
    const listening = { listen: '127.0.0.1:0' };
    const sha256 = createHash('sha256').update(readFileSync(bundle.file)).digest('hex');
    return {
      ...config,
      doors: Object.fromEntries(Object.entries(config.doors).map(([name, door]) => [name, { ...door, ...listening }])),
      operations: { ...config.operations, ...listening, drain_delay_ms: 0 },
      bundles: { authz: { file: bundle.file, trust: { sha256 } } },
      identity: { api_keys: { ...config.identity['api_keys'], file: keysFile } },
      decision_log: { sinks: [{ file: { path: join(folder, 'decisions.jsonl') } }] },
    };
  };

  /** Runs `sallyport keys` on the keys file; answers what it printed. */
  const keys = async (action: string, ...argv: readonly string[]): Promise<string> => {
    const command = createKeys({ nowMs: Date.now, randomBytes });
    const ran = await runCaptured((all, io) => command(all, io), [action, '--file', keysFile, ...argv]);
    if (ran.code !== 0) throw new Error(ran.stderr);
    return ran.stdout.trim();
  };

  const idOf = (key: string): string => key.split('_')[1] ?? '';

  const call = (
    door: (typeof DOORS)[number],
    headers: Readonly<Record<string, string>>,
    body: unknown = SUM_UP,
  ): Promise<Answer> =>
    ask(envoy.port(door), {
      method: 'POST',
      path: CHAT,
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });

  /** A new key that the running service has read. */
  const newKey = async (...argv: readonly string[]): Promise<string> => {
    const key = await keys('create', ...argv);
    await eventually(async () => ((await call('grpc', { 'x-api-key': key })).status === 401 ? undefined : true));
    upstream.reset();
    return key;
  };

  /** One call with each of these keys, all of them together. */
  const atOnce = async (
    shown: readonly string[],
    door: (typeof DOORS)[number] = 'grpc',
  ): Promise<{ readonly answers: readonly Answer[]; readonly seconds: number }> => {
    const startMs = performance.now();
    const answers = await Promise.all(shown.map((key) => call(door, { 'x-api-key': key })));
    return { answers, seconds: (performance.now() - startMs) / 1000 };
  };

  /** What a bucket of this size lets pass in this time, and the model saw; `before`: what was taken of it just before. */
  const expectWithin = (answers: readonly Answer[], size: number, seconds: number, before = 0): number => {
    const passed = answers.filter(({ status }) => status === 200).length;
    expect(answers.filter(({ status }) => status !== 200 && status !== 429)).toEqual([]);
    expect(passed).toBeGreaterThanOrEqual(size - before);
    expect(passed).toBeLessThanOrEqual(size + size * seconds + 1);
    expect(upstream.count()).toBe(passed);
    return passed;
  };

  const acme = (): Promise<string> => newKey('--tenant', 'acme', '--tier', 'paid');

  describe.each(DOORS)('through Envoy, %s', (door) => {
    test.each([
      ['x-api-key', (key: string) => ({ 'x-api-key': key })],
      ['a bearer token', (key: string) => ({ authorization: `Bearer ${key}` })],
    ])('a key as %s reaches the model, and the key does not', async (_how, show) => {
      const key = await acme();
      expect((await call(door, show(key))).status).toBe(200);
      expect(upstream.count()).toBe(1);
      const [seen] = upstream.seen;
      expect(seen?.headers).toMatchObject({ 'x-sallyport-tenant': 'acme', 'x-sallyport-upstream': 'summariser' });
      expect(JSON.stringify(seen?.rawHeaders)).not.toContain('sp_');
    });

    test('nobody else does, and no answer says why', async () => {
      const key = await acme();
      const other = await acme();
      const expired = await keys('create', '--tenant', 'acme', '--tier', 'paid', '--expires', '2020-01-01');
      const flipped = key.slice(0, -1) + (key.endsWith('A') ? 'B' : 'A');
      const unknown = `sp_${'0'.repeat(idOf(key).length)}_${key.split('_').slice(2).join('_')}`;
      const swapped = `sp_${idOf(key)}_${other.split('_').slice(2).join('_')}`;
      const none = await call(door, {});
      expect(none.status).toBe(401);
      expect(JSON.parse(none.body)).toMatchObject({ reason: 'unauthenticated' });
      const answers = await Promise.all(
        [
          { 'x-api-key': flipped },
          { 'x-api-key': unknown },
          { 'x-api-key': swapped },
          { 'x-api-key': expired },
          { 'x-api-key': 'sp_' },
          { 'x-api-key': key, authorization: `Bearer ${other}` },
          { authorization: `Basic ${key}` },
        ].map((headers) => call(door, headers)),
      );
      expect(new Set(answers.map(withoutId))).toEqual(new Set([withoutId(answers[0])]));
      expect(answers[0]?.status).toBe(401);
      expect(JSON.parse(answers[0]?.body ?? '')).toMatchObject({ reason: 'invalid_credentials' });
      expect(upstream.count()).toBe(0);
    });

    test('a key is good for its models and its tier, and bodies for their schema', async () => {
      const key = { 'x-api-key': await acme() };
      const trial = { 'x-api-key': await newKey('--tenant', 'globex', '--tier', 'trial') };
      const elsewhere = { 'x-api-key': await newKey('--tenant', 'acme', '--tier', 'paid', '--model', 'translator') };
      const long = { ...SUM_UP, messages: [{ role: 'user', content: 'x'.repeat(5_000) }] };
      expect((await call(door, key, { ...SUM_UP, model: 'translator' })).status).toBe(403);
      expect((await call(door, elsewhere)).status).toBe(403);
      expect((await call(door, trial, long)).status).toBe(413);
      expect((await call(door, key, { ...SUM_UP, max_tokens: 5_000 })).status).toBe(400);
      expect((await call(door, key, { model: 'summariser' })).status).toBe(400);
      expect(upstream.count()).toBe(0);
      expect((await call(door, key, long)).status).toBe(200);
      expect((await call(door, trial)).status).toBe(200);
    });

    test('a key has 10 a second, and is told when there is more', async () => {
      const [key, other] = [await acme(), await acme()];
      const { answers, seconds } = await atOnce(
        Array.from({ length: 30 }, () => key),
        door,
      );
      const passed = expectWithin(answers, 10, seconds, 1);
      console.info(`${door}: ${passed} of 30 passed in ${seconds.toFixed(2)} s`);
      for (const { status, headers, body } of answers) {
        if (status !== 429) continue;
        expect(headers).toMatchObject({
          'retry-after': '1',
          'retry-after-ms': expect.stringMatching(/^\d{1,3}$/),
          'ratelimit-policy': '"client-rps";q=10;w=1;qu="requests"',
          ratelimit: '"client-rps";r=0;t=1',
          'x-ratelimit-limit-requests': '10',
          'x-ratelimit-remaining-requests': '0',
          'x-ratelimit-reset-requests': expect.stringMatching(/^\d{1,3}ms$/),
          'content-type': 'application/problem+json',
        });
        expect(JSON.parse(body)).toMatchObject({
          type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
          reason: 'quota_exceeded',
          'violated-policies': ['client-rps'],
          error: { code: 'rate_limit_exceeded' },
        });
      }
      expect((await call(door, { 'x-api-key': other })).status).toBe(200);
    });

    test('a revoked key is refused soon, and a rotated one beside its successor is not', async () => {
      const key = await acme();
      const kept = await acme();
      const successor = await keys('rotate', idOf(kept), '--overlap', '24h');
      await keys('revoke', idOf(key));
      const startMs = performance.now();
      await eventually(async () => ((await call(door, { 'x-api-key': key })).status === 401 ? true : undefined), 5_000);
      console.info(`${door}: a revoked key was refused after ${Math.round(performance.now() - startMs)} ms`);
      expect((await call(door, { 'x-api-key': kept })).status).toBe(200);
      expect((await call(door, { 'x-api-key': successor })).status).toBe(200);
    });
  });

  test('an endpoint has 100 a second for all of its callers, and says nothing of them', async () => {
    const callers: string[] = [];
    while (callers.length < 30) callers.push(await keys('create', '--tenant', 'acme', '--tier', 'paid'));
    for (const key of callers) {
      await eventually(async () => ((await call('grpc', { 'x-api-key': key })).status === 401 ? undefined : true));
    }
    // All is there again after a second.
    await sleep(1_100);
    upstream.reset();
    const { answers, seconds } = await atOnce(callers.flatMap((key) => Array.from({ length: 10 }, () => key)));
    const passed = expectWithin(answers, 100, seconds);
    console.info(`30 keys: ${passed} of 300 passed in ${seconds.toFixed(2)} s`);
    for (const { status, headers, body } of answers) {
      expect(headers['ratelimit-policy']).toBe('"client-rps";q=10;w=1;qu="requests"');
      if (status === 429) expect(JSON.parse(body)).not.toHaveProperty('violated-policies');
    }
  });

  test('the data has no fault and no opening', () => {
    const data: unknown = JSON.parse(readFileSync(join(import.meta.dirname, 'catalog/data.json'), 'utf8'));
    const { catalog, faults } = readCatalog(data);
    expect(faults).toEqual([]);
    expect(lintData({ catalog: data }, catalog.routes).map(({ warning }) => warning)).toEqual([]);
  });

  test('no key is in the decision log, and its id is', async () => {
    const key = await acme();
    expect((await call('grpc', { 'x-api-key': key })).status).toBe(200);
    const file = join(folder, 'decisions.jsonl');
    await eventually(() => (readFileSync(file, 'utf8').includes(idOf(key)) ? true : undefined));
    expect(createEventFile(file).all().length).toBeGreaterThan(0);
    expect(readFileSync(file, 'utf8')).not.toContain(key.split('_').slice(2).join('_'));
  });
});

/** A denial without what makes each one its own. */
function withoutId(answer: Answer | undefined): string {
  const { decision_id: _id, ...rest } = JSON.parse(answer?.body ?? '{}') as Record<string, unknown>;
  return JSON.stringify({ status: answer?.status, ...rest });
}
