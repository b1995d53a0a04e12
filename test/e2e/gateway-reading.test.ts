import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { readArchive } from '../../src/bundle/archive.ts';
import { describeWith } from '../support/describe-with.ts';
import { type Envoy, startEnvoy } from '../support/envoy.ts';
import { ask } from '../support/http-client.ts';
import { caseCount, createRandom, seedOf } from '../support/seed.ts';
import { type Service, startService, toServiceConfig } from '../support/service.ts';
import { createTestIssuer } from '../support/tokens.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';
import { repacked, SHIPPED } from '../unit/bundle/shipped.ts';

const PATH = '/v1/chat/completions';

/** Routes of the shipped data whose bodies the gateway reads and does not send. */
describeWith(['envoy'], 'what Envoy’s AI filter reads of a body', () => {
  let folder: string;
  let headers: Record<string, string>;
  let upstream: Upstream;
  let service: Service;
  let envoy: Envoy;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-gateway-reading-'));
    const bundleFile = join(folder, 'bundle.tar.gz');
    await writeFile(bundleFile, withMetadataRoute());
    const issuer = await createTestIssuer();
    await issuer.writeJwks(join(folder, 'jwks.json'));
    headers = {
      'content-type': 'application/json',
      authorization: `Bearer ${await issuer.mint({ tenant: 'tenant-a', tier: 'free', roles: [] })}`,
    };
    upstream = await startUpstream();
    service = await startService({
      config: await toServiceConfig({ issuer, jwksFile: join(folder, 'jwks.json'), bundleFile }),
    });
    const authz = { door: 'grpc', at: { ports: [service.port('ext_authz_grpc')] }, clearRouteCache: true } as const;
    const llmProtocol = 'OPENAI_CHAT_COMPLETIONS';
    envoy = await startEnvoy({
      upstreams: { upstream: { ports: [upstream.port] } },
      listeners: {
        metadata: { authz, llmProtocol },
        both: { authz: { ...authz, body: { maxBytes: 65_536 } }, llmProtocol },
        neither: { authz },
      },
    });
  });

  afterAll(async () => {
    await envoy?.stop();
    await Promise.all([service?.stop(), upstream?.stop()]);
    await rm(folder, { recursive: true, force: true });
  });

  beforeEach(() => upstream.reset());

  const post = async (listener: string, body: string): Promise<number> =>
    (await ask(envoy.port(listener), { method: 'POST', path: PATH, headers, body })).status;

  const chat = (parts: object): string =>
    JSON.stringify({ messages: [{ role: 'user', content: 'Name three rivers.' }], ...parts });

  test.each(['metadata', 'both'])('decides at %s, by model', async (listener) => {
    expect(await post(listener, chat({ model: 'llama-3-8b', max_tokens: 7, stream: true }))).toBe(200);
    // Of the premium tier.
    expect(await post(listener, chat({ model: 'mistral-7b' }))).toBe(403);
    expect(await post(listener, chat({}))).toBe(400);
    expect(upstream.count()).toBe(1);
    expect(upstream.seen[0]?.headers).toMatchObject({ 'x-sallyport-upstream': 'tenant-a-llama-3-8b' });
  });

  test('is all that there is, where no body is sent', async () => {
    expect(await post('neither', chat({ model: 'llama-3-8b' }))).toBe(413);
    expect(upstream.count()).toBe(0);
  });

  test('never lets a case-sensitive upstream read another model', async () => {
    const random = createRandom(seedOf('gateway readings'));
    const count = caseCount(600);
    let passed = 0;
    for (let i = 0; i < count; i++) {
      const members = Array.from({ length: 1 + random.below(6) }, () => random.pick(MEMBERS));
      const body = `{"messages":[{"role":"user","content":"x"}],${members.join()}}`;
      const seenBefore = upstream.count();
      const status = await post('metadata', body);
      expect(upstream.count() - seenBefore).toBe(status === 200 ? 1 : 0);
      if (status !== 200) continue;
      passed++;
      // What policy knew is that this tier may call this model, so that is what the upstream must read.
      expect(JSON.parse(body), body).toMatchObject({ model: 'llama-3-8b' });
    }
    console.info(
      `gateway readings: ${count} bodies through Envoy, ${passed} passed, each with the model that policy saw`,
    );
    expect(passed).toBeGreaterThan(0);
  });
});

/** The shipped bundle, its route of chats reading what the gateway tells. */
function withMetadataRoute(): Uint8Array {
  // The data of the shipped bundle has routes.
  const data: { catalog: { routes: { name: string }[] } } = JSON.parse(
    Buffer.from(readArchive(SHIPPED).get('data.json') ?? []).toString('utf8'),
  );
  for (const route of data.catalog.routes) {
    if (route.name === 'chat') Object.assign(route, { body: 'metadata', upstream_keys: 'case_sensitive' });
  }
  return repacked({ 'data.json': JSON.stringify(data) });
}

const MEMBERS = [
  '"model":"llama-3-8b"',
  '"model":"llama-3-8b"',
  '"model":"mistral-7b"',
  '"mod\\u0065l":"mistral-7b"',
  '"Model":"mistral-7b"',
  '"model":["llama-3-8b"]',
  '"__proto__":{"model":"mistral-7b"}',
  '"stream":true',
  '"max_tokens":7',
  '"max_tokens":"100000"',
  '"max_completion_tokens":9',
];
