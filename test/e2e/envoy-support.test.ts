import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../support/describe-with.ts';
import { type Envoy, startEnvoy } from '../support/envoy.ts';
import { ask } from '../support/http-client.ts';
import { type Stub, startGrpcStub, startHttpStub } from '../support/stub-authorizer.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

/** CheckResponse{status{code: 7}, denied_response{status{code: 403}}} and CheckResponse{status{code: 0}, ok_response{}}. */
const DENY = Buffer.from('0a02080712050a03089303', 'hex');
const ALLOW = Buffer.from('0a001a00', 'hex');

describeWith(['envoy'], 'the real Envoy that other tests rely on', () => {
  let upstream: Upstream;
  let grpc: Stub;
  let http: Stub;
  let envoy: Envoy;

  beforeAll(async () => {
    upstream = await startUpstream();
    grpc = await startGrpcStub((request) => (request.includes('/denied') ? DENY : ALLOW));
    http = await startHttpStub((target) => (target.includes('/denied') ? 403 : 200));
    envoy = await startEnvoy({
      upstreams: { upstream: { ports: [upstream.port] } },
      listeners: {
        grpc: { authz: { door: 'grpc', at: { ports: [grpc.port] }, body: { maxBytes: 1_024 } } },
        http: { authz: { door: 'http', at: { ports: [http.port] }, body: { maxBytes: 1_024 } } },
        open: {},
      },
    });
  });

  afterAll(async () => {
    await envoy?.stop();
    await Promise.all([grpc?.stop(), http?.stop(), upstream?.stop()]);
  });

  test.each(['grpc', 'http', 'open'])(
    'lets an allowed request through %s, and the upstream counts it',
    async (listener) => {
      upstream.reset();
      const answer = await ask(envoy.port(listener), { method: 'POST', path: '/a/../b?x=1', body: 'hello' });
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.body)).toMatchObject({ method: 'POST', path: '/a/../b?x=1', bodyBytes: 5 });
      expect(upstream.count()).toBe(1);
    },
  );

  test.each(['grpc', 'http'])('stops a denied request at %s, and the upstream never sees it', async (listener) => {
    upstream.reset();
    expect((await ask(envoy.port(listener), { path: '/denied' })).status).toBe(403);
    expect(upstream.count()).toBe(0);
  });

  test.each(['grpc', 'http'])('answers 413 itself to a body over the filter’s limit at %s', async (listener) => {
    upstream.reset();
    const answer = await ask(envoy.port(listener), { method: 'POST', path: '/', body: new Uint8Array(2_000) });
    expect(answer.status).toBe(413);
    expect(upstream.count()).toBe(0);
  });

  test('reads counters from the admin interface', async () => {
    expect(await envoy.stat('http.grpc.ext_authz.denied')).toBeGreaterThan(0);
    expect(await envoy.stat('http.grpc.ext_authz.no_such_counter')).toBe(0);
  });
});
