import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { describeWith } from '../support/describe-with.ts';
import { type Envoy, startEnvoy } from '../support/envoy.ts';
import type { ExtAuthz } from '../support/envoy-config.ts';
import { type Answer, type Asking, ask } from '../support/http-client.ts';
import { eventually } from '../support/programs.ts';
import { type Service, startService, toServiceConfig } from '../support/service.ts';
import { createTestIssuer, type TestIssuer } from '../support/tokens.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const PATH = '/tenant-a/llama-3-8b/infer';
const JSON_TYPE = { 'content-type': 'application/json' };
/** Above the free tier's 65,536 bytes and below the filter's limit; and above that. */
const OVER_TIER = 70_000;
const FILTER_LIMIT = 131_072;
/** Less than the door's own patience, so that Envoy's timer is what a stopped service meets. */
const TIMEOUT_MS = 1_000;

describeWith(['envoy'], 'the service behind a real Envoy', () => {
  let folder: string;
  let issuer: TestIssuer;
  let stranger: TestIssuer;
  let upstream: Upstream;
  let service: Service;
  let envoy: Envoy;

  const startAll = async (): Promise<void> => {
    service = await startService({
      config: await toServiceConfig({ issuer, jwksFile: join(folder, 'jwks.json'), deadlineMs: TIMEOUT_MS }),
    });
    const authz = (door: 'grpc' | 'http', failureModeAllow: boolean): { authz: ExtAuthz } => ({
      authz: {
        door,
        at: { ports: [service.port(door === 'grpc' ? 'ext_authz_grpc' : 'ext_authz_http')] },
        failureModeAllow,
        statusOnError: 403,
        timeoutMs: TIMEOUT_MS,
        body: { maxBytes: FILTER_LIMIT },
        clearRouteCache: true,
      },
    });
    envoy = await startEnvoy({
      upstreams: { upstream: { ports: [upstream.port] } },
      listeners: {
        grpc: authz('grpc', false),
        'grpc-open': authz('grpc', true),
        http: authz('http', false),
        'http-open': authz('http', true),
      },
    });
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-gateway-'));
    issuer = await createTestIssuer();
    stranger = await createTestIssuer();
    await issuer.writeJwks(join(folder, 'jwks.json'));
    upstream = await startUpstream();
    await startAll();
  });

  afterAll(async () => {
    await envoy?.stop();
    await Promise.all([service?.stop(), upstream?.stop()]);
    await rm(folder, { recursive: true, force: true });
  });

  beforeEach(() => upstream.reset());

  const bearer = async (claims: Record<string, unknown> = {}): Promise<Record<string, string>> => ({
    authorization: `Bearer ${await issuer.mint({ tenant: 'tenant-a', tier: 'premium', roles: ['analyst'], ...claims })}`,
  });

  const infer = (listener: string, headers: Asking['headers'], more: Asking = {}): Promise<Answer> =>
    ask(envoy.port(listener), {
      method: 'POST',
      path: PATH,
      body: '{"prompt":"Name three rivers."}',
      ...more,
      headers: { ...JSON_TYPE, ...headers, ...more.headers },
    });

  describe.each(['grpc', 'grpc-open', 'http', 'http-open'])('at %s', (listener) => {
    test('a granted call reaches the upstream with the headers that Sallyport owns', async () => {
      const answer = await infer(listener, await bearer());
      expect(answer.status).toBe(200);
      expect(upstream.count()).toBe(1);
      expect(upstream.seen[0]).toMatchObject({
        method: 'POST',
        path: PATH,
        bodyBytes: 31,
        headers: {
          'x-sallyport-tenant': 'tenant-a',
          'x-sallyport-role': 'analyst',
          'x-sallyport-upstream': 'tenant-a-llama-3-8b',
          'x-sallyport-decision-id': expect.stringMatching(/^\S+$/),
        },
      });
    });

    test('a client’s own copies of those headers are overwritten, each to one value', async () => {
      const forged = {
        'x-sallyport-tenant': ['tenant-b', 'tenant-c'],
        'x-sallyport-role': 'admin',
        'x-sallyport-upstream': 'tenant-b-llama-3-8b',
        'X-Sallyport-Decision-Id': 'forged',
      };
      expect((await infer(listener, { ...(await bearer()), ...forged })).status).toBe(200);
      const owned = ownedHeaders(upstream);
      expect(owned).toMatchObject({
        'x-sallyport-tenant': ['tenant-a'],
        'x-sallyport-role': ['analyst'],
        'x-sallyport-upstream': ['tenant-a-llama-3-8b'],
      });
      expect(owned['x-sallyport-decision-id']).toHaveLength(1);
      expect(owned['x-sallyport-decision-id']).not.toEqual(['forged']);
    });

    test('a client’s own copy is removed where the token says nothing of the kind', async () => {
      const token = await bearer({ roles: [] });
      expect((await infer(listener, { ...token, 'x-sallyport-role': 'admin' })).status).toBe(200);
      expect(ownedHeaders(upstream)).not.toHaveProperty('x-sallyport-role');
    });

    const denied: readonly (readonly [title: string, status: number, reason: string, make: () => Promise<Asking>])[] = [
      ['no token', 401, 'unauthenticated', async () => ({})],
      [
        'a token of another key',
        401,
        'invalid_credentials',
        async () => ({
          headers: { authorization: `Bearer ${await stranger.mint({ tenant: 'tenant-a', tier: 'premium' })}` },
        }),
      ],
      [
        'an expired token',
        401,
        'invalid_credentials',
        async () => ({ headers: await bearer({ exp: Math.floor(Date.now() / 1_000) - 3_600 }) }),
      ],
      [
        'a token for someone else',
        401,
        'invalid_credentials',
        async () => ({ headers: await bearer({ aud: 'other' }) }),
      ],
      [
        'no token, on a path that does not exist',
        401,
        'unauthenticated',
        async () => ({ path: '/no/such/thing/here' }),
      ],
      [
        'another tenant’s path',
        403,
        'forbidden',
        async () => ({ headers: await bearer(), path: '/tenant-b/llama-3-8b/infer' }),
      ],
      [
        'a model that the tier may not call',
        403,
        'forbidden',
        async () => ({ headers: await bearer({ tier: 'free' }), path: '/tenant-a/mistral-7b/infer' }),
      ],
      ['an unknown route', 404, 'not_found', async () => ({ headers: await bearer(), path: '/no/such/thing/here' })],
      ['an undeclared method', 405, 'forbidden', async () => ({ headers: await bearer(), method: 'DELETE' })],
      [
        'an ambiguous path',
        400,
        'bad_request',
        async () => ({ headers: await bearer(), path: '/tenant-b/../tenant-a/llama-3-8b/infer' }),
      ],
      [
        'a body over the tier’s bound',
        413,
        'payload_too_large',
        async () => ({
          headers: await bearer({ tier: 'free' }),
          body: JSON.stringify({ prompt: 'x'.repeat(OVER_TIER) }),
        }),
      ],
    ];

    test.each(denied)('%s is answered %i `%s` and never reaches the upstream', async (_title, status, reason, make) => {
      const { headers, ...more } = await make();
      const answer = await infer(listener, headers ?? {}, more);
      expect(answer.status).toBe(status);
      expect(answer.headers['content-type']).toBe('application/problem+json');
      const body: unknown = JSON.parse(answer.body);
      expect(body).toEqual({ status, reason, title: expect.any(String), decision_id: expect.stringMatching(/^\S+$/) });
      expect(answer.headers['www-authenticate'] !== undefined).toBe(status === 401);
      expect(upstream.count()).toBe(0);
    });

    test('a body over the filter’s limit is answered 413 by Envoy itself and never reaches the upstream', async () => {
      const answer = await infer(listener, await bearer(), { body: new Uint8Array(FILTER_LIMIT + 1) });
      expect(answer.status).toBe(413);
      expect(answer.headers['content-type']).not.toBe('application/problem+json');
      expect(upstream.count()).toBe(0);
    });
  });

  test('every answer over HTTP is the one over gRPC, or a denial', async () => {
    const tokens = [
      {},
      await bearer(),
      await bearer({ tier: 'free' }),
      await bearer({ tenant: 'tenant-b' }),
      await bearer({ tier: 'gold' }),
    ];
    const paths = [
      PATH,
      '/tenant-b/llama-3-8b/infer',
      '/tenant-a/mistral-7b/infer',
      '/tenant-a/nope/infer',
      '/v1/chat/completions',
      '/',
      '//x',
      '/a%2fb',
    ];
    const bodies: Asking[] = [
      { body: '{"model":"llama-3-8b"}' },
      { body: '' },
      { body: '[1]' },
      { body: '{"model":7}' },
      { method: 'GET' },
    ];
    let asked = 0;
    let different = 0;
    for (const headers of tokens) {
      for (const path of paths) {
        for (const body of bodies) {
          const [grpc, http] = await Promise.all(
            ['grpc', 'http'].map((listener) => infer(listener, headers, { path, ...body })),
          );
          asked += 1;
          if (http?.status === 200) expect(grpc?.status).toBe(200);
          else expect(http?.status).toBeGreaterThanOrEqual(400);
          if (grpc?.status !== http?.status) different += 1;
        }
      }
    }
    console.info(`${asked} requests through both doors, ${different} denied otherwise over HTTP`);
  });

  // Last, because they take the service away. Open listeners are left out: to let errors pass is what they are for.
  describe.each(['grpc', 'http'])('at %s', (listener) => {
    test('a service that is stopped denies, and answers again when it runs on', async () => {
      const token = await bearer();
      service.program.signal('SIGSTOP');
      try {
        const answers = await Promise.all(Array.from({ length: 8 }, () => infer(listener, token)));
        expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(403));
        expect(upstream.count()).toBe(0);
      } finally {
        service.program.signal('SIGCONT');
      }
      await eventually(async () => ((await infer(listener, token)).status === 200 ? true : undefined));
    });
  });

  test('a service that is killed denies at both doors', async () => {
    const token = await bearer();
    service.program.signal('SIGKILL');
    await service.program.ended;
    for (const listener of ['grpc', 'http']) {
      const answers = await Promise.all(Array.from({ length: 8 }, () => infer(listener, token)));
      expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(403));
    }
    expect(upstream.count()).toBe(0);
  });
});

/** What the upstream got of each header of ours, by name, all copies. */
function ownedHeaders(upstream: Upstream): Record<string, string[]> {
  const raw = upstream.seen[0]?.rawHeaders ?? [];
  const owned: Record<string, string[]> = {};
  for (let at = 0; at < raw.length; at += 2) {
    const name = (raw[at] ?? '').toLowerCase();
    if (!name.startsWith('x-sallyport-')) continue;
    owned[name] = [...(owned[name] ?? []), raw[at + 1] ?? ''];
  }
  return owned;
}
