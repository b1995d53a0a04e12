import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildCatalogBundle } from '../support/catalog-bundle.ts';
import { describeWith } from '../support/describe-with.ts';
import { ask as askDoor } from '../support/http-client.ts';
import { bearer, wholeJsonBody } from '../support/infer-request.ts';
import type { PolicyBundle } from '../support/policy-bundle.ts';
import { createRateLimitClient } from '../support/rate-limit-client.ts';
import { descriptorOf, encodeRateLimitRequest } from '../support/rate-limit-proto.ts';
import { caseCount, createRandom, type Random, seedOf } from '../support/seed.ts';
import { type Service, startService, toServiceConfig } from '../support/service.ts';
import { createTestIssuer, type TestIssuer } from '../support/tokens.ts';
import { startValkey, type ValkeyServer } from '../support/valkey.ts';
import { ask } from '../unit/operations/ask.ts';

/**
 * SECURITY rows 23, 28 and 29 on a running service with a Redis, a ledger and a rate limit door: what nobody may do has
 * no effect, and what nobody may read is written nowhere.
 */
const CHAT = '/v1/chat/completions';
const CHAT_BODY = JSON.stringify({ model: 'llama-3-8b', max_tokens: 100, messages: [{ role: 'user', content: 'hi' }] });
const USAGE = { prompt_tokens: 3, completion_tokens: 5 };
const LIMIT = 3;
const LIMITS = `domain: edge
descriptors:
  - key: remote_address
    rate_limit: { unit: year, requests_per_unit: ${LIMIT} }
`;

describeWith(['opa', 'valkey'], 'a service that counts', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-untrusted-'));
  const eventsFile = join(folder, 'events.jsonl');
  let random: Random;
  let canary: () => string;
  const canaries: string[] = [];
  let valkey: ValkeyServer;
  let bundle: PolicyBundle;
  let issuer: TestIssuer;
  let service: Service;
  let tokens: Readonly<Record<'usage' | 'quota' | 'metrics', string>>;

  beforeAll(async () => {
    random = createRandom(seedOf('operations, untrusted'));
    canary = () => {
      const made = Array.from({ length: 32 }, () => LETTERS[random.below(LETTERS.length)]).join('');
      canaries.push(made);
      return made;
    };
    const password = canary();
    tokens = { usage: canary(), quota: canary(), metrics: canary() };
    valkey = await startValkey('--requirepass', password);
    bundle = await buildCatalogBundle((catalog) => {
      for (const route of catalog.routes) if (route['name'] === 'chat') route['limits'] = ['tokens-per-minute'];
    });
    issuer = await createTestIssuer();
    await issuer.writeJwks(join(folder, 'jwks.json'));
    writeFileSync(join(folder, 'edge.yaml'), LIMITS);
    const config = await toServiceConfig({
      issuer,
      jwksFile: join(folder, 'jwks.json'),
      bundleFile: bundle.file,
      eventsFile,
    });
    const rights = Object.entries(tokens).map(([right, token]) => ({ sha256: sha256(token), rights: [right] }));
    service = await startService({
      config: {
        ...config,
        log: { level: 'debug' },
        // The parts are those that `toServiceConfig` makes.
        doors: {
          ...(config['doors'] as object),
          ratelimit: { listen: '127.0.0.1:0', limits_files: [join(folder, 'edge.yaml')] },
        },
        operations: { listen: '127.0.0.1:0', drain_delay_ms: 0, tokens: rights },
        quota: {
          data_dir: join(folder, 'data'),
          deadline_ms: 1_000,
          store: {
            kind: 'redis',
            url: `redis://default:${password}@127.0.0.1:${valkey.port}/0`,
            cold_start_seconds: 0,
          },
        },
      },
    });
  });
  afterAll(async () => {
    await service?.stop();
    await valkey?.remove();
    bundle?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const operations = (path: string, method: string, headers: Readonly<Record<string, string>>, body?: string) =>
    ask(service.port('operations'), { path, method, headers, ...(body === undefined ? {} : { body }) });

  const report = (
    id: string,
    usage: unknown,
    token: string = tokens.usage,
    more: Readonly<Record<string, string>> = {},
  ) =>
    operations(
      '/v1/usage',
      'POST',
      { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...more },
      JSON.stringify({ reservation_id: id, usage }),
    );

  async function reserve(): Promise<string> {
    const token = await issuer.mint({ tenant: 'tenant-a', tier: 'premium', roles: ['inference'] });
    const headers = { ...wholeJsonBody(CHAT_BODY), ...bearer(token) };
    const path = `/ext-authz${CHAT}`;
    const { headers: told } = await askDoor(service.port('ext_authz_http'), {
      method: 'POST',
      path,
      headers,
      body: CHAT_BODY,
    });
    return String(told['x-sallyport-reservation-id'] ?? '');
  }

  test('settles, renews and tells nothing for whoever has not the right to it', async () => {
    const id = await reserve();
    expect(id).not.toBe('');
    const foreign: Readonly<Record<string, Readonly<Record<string, string>>>> = {
      'another host': { host: 'evil.test' },
      'a page': { origin: 'https://evil.test' },
    };
    const statuses = new Map<number, number>();
    const seen = ({ status }: { readonly status: number }): void =>
      void statuses.set(status, (statuses.get(status) ?? 0) + 1);
    const renewal = JSON.stringify({ reservation_id: id, ttl_seconds: 60 });
    const json = { 'content-type': 'application/json' };
    for (let at = 0; at < Math.max(1, caseCount(25)); at += 1) {
      for (const token of [canary(), tokens.quota, tokens.metrics, '', `${tokens.usage}x`]) {
        seen(await report(id, USAGE, token));
        seen(await operations('/v1/usage/renew', 'POST', { ...json, authorization: `Bearer ${token}` }, renewal));
      }
      for (const token of [canary(), tokens.usage, tokens.metrics, '']) {
        seen(await operations('/v1/quota?tenant=tenant-a', 'GET', { authorization: `Bearer ${token}` }));
      }
      for (const more of Object.values(foreign)) {
        seen(await report(id, USAGE, tokens.usage, more));
        seen(
          await operations('/v1/quota?tenant=tenant-a', 'GET', { authorization: `Bearer ${tokens.quota}`, ...more }),
        );
        seen(await operations('/metrics', 'GET', { authorization: `Bearer ${tokens.metrics}`, ...more }));
      }
    }
    const refused = [...statuses].map(([status, count]) => `${status}: ${count}`).join(', ');
    console.info(`operations without the right to it: ${refused}`);
    expect([...statuses.keys()].every((status) => status === 401 || status === 403)).toBe(true);
    // Nothing of it settled the reservation: this is the first that does.
    const settled = await report(id, USAGE);
    expect(settled).toMatchObject({ status: 200, body: expect.stringContaining('"settled"') });
    expect(await report(id, USAGE)).toMatchObject({ status: 200, body: expect.stringContaining('"already"') });
  });

  test('gives no hits back and takes no limits from callers of the rate limit door that show nothing', async () => {
    const client = createRateLimitClient(`127.0.0.1:${service.port('ratelimit')}`);
    const entries = descriptorOf('remote_address', '192.0.2.1');
    const count = Math.max(20, caseCount(500));
    try {
      const answers: string[] = [];
      for (let at = 0; at < count; at += 1) {
        const trick = at % 2 === 0;
        const bytes = encodeRateLimitRequest({
          domain: 'edge',
          descriptors: [
            trick
              ? { ...entries, hitsAddend: { value: 1 }, isNegativeHits: true }
              : { ...entries, limit: { requestsPerUnit: 1_000_000, unit: 1 } },
          ],
        });
        answers.push((await client.ask(bytes)).overallCode ?? 'none');
      }
      expect(new Set(answers)).toEqual(new Set(['OVER_LIMIT']));
      const plain = encodeRateLimitRequest({ domain: 'edge', descriptors: [entries] });
      const passed: string[] = [];
      for (let at = 0; at < LIMIT * 3; at += 1) passed.push((await client.ask(plain)).overallCode ?? 'none');
      console.info(`untrusted callers of the rate limit door: ${count} tricks, 0 obeyed, ${LIMIT} of ${LIMIT} passed`);
      expect(passed.filter((code) => code === 'OK')).toHaveLength(LIMIT);
    } finally {
      client.close();
    }
  });

  test('writes down nothing of usage that it does not know, of wrong ids and tokens, or of the store’s url', async () => {
    const count = Math.max(20, caseCount(300));
    for (let at = 0; at < count; at += 1) {
      const id = await reserve();
      const usage = random.pick<() => unknown>([
        () => ({ ...USAGE, note: canary() }),
        () => ({ prompt_tokens: canary(), completion_tokens: 1 }),
        () => ({ [canary()]: 5 }),
        () => ({ ...USAGE, prompt_tokens_details: { [canary()]: canary(), cached_tokens: 1 } }),
        () => canary(),
        () => [canary()],
      ])();
      await report(random.chance(0.3) ? canary() : id, usage);
      await report(id, USAGE, canary());
      await operations(`/v1/quota?tenant=${canary()}`, 'GET', { authorization: `Bearer ${tokens.quota}` });
      await operations(`/${canary()}?key=${canary()}`, 'GET', { authorization: `Bearer ${canary()}` });
      if (at === Math.floor(count / 2)) {
        await valkey.kill();
        await report(id, USAGE);
        await reserve();
        await valkey.restart();
      }
    }
    const metrics = await service.metrics();
    await service.stop();
    const places: Readonly<Record<string, string>> = {
      events: readFileSync(eventsFile, 'utf8'),
      'operational log': service.program.output(),
      metrics,
      ...filesIn(join(folder, 'data')),
    };
    const found = Object.entries(places).flatMap(([place, text]) => leaksIn(place, text, canaries));
    const bytes = Object.values(places).reduce((sum, text) => sum + text.length, 0);
    console.info(
      `no secrets of operations: ${canaries.length} canaries, ${bytes} bytes of ${Object.keys(places).length} places, ${found.length} found`,
    );
    expect(Object.keys(places).some((place) => place.includes('ledger'))).toBe(true);
    expect(places['operational log']).toContain('quota store');
    expect(found).toEqual([]);
  });
});

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function filesIn(folder: string): Readonly<Record<string, string>> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map(({ parentPath, name }) => [join(parentPath, name), readFileSync(join(parentPath, name), 'latin1')]),
  );
}

/** Plain and in base64, in part too. */
function leaksIn(place: string, text: string, canaries: readonly string[]): readonly string[] {
  const lower = text.toLowerCase();
  return canaries.flatMap((canary) => {
    const encoded = Buffer.from(canary).toString('base64').slice(0, 20).toLowerCase();
    const parts = [canary.slice(0, 12), canary.slice(10, 22), canary.slice(20)].map((part) => part.toLowerCase());
    const part = [...parts, encoded].find((one) => lower.includes(one));
    if (part === undefined) return [];
    const at = lower.indexOf(part);
    return [`${place}: ${text.slice(Math.max(0, at - 100), at + 100)}`];
  });
}
