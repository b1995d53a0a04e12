import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { AccessRequest } from '../../src/decision/access-request.ts';
import type { JsonValue } from '../../src/decision/json.ts';
import type { Authorize } from '../../src/decision/ports.ts';
import { core } from '../support/core.ts';
import { describeWith } from '../support/describe-with.ts';
import { type Envoy, startEnvoy } from '../support/envoy.ts';
import { HTTP_UPSTREAM_HEADERS } from '../support/envoy-config.ts';
import { type Asking, ask } from '../support/http-client.ts';
import { startTestDoors, type TestDoors } from '../support/test-doors.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const JSON_BODY = { method: 'POST', headers: { 'content-type': 'application/json' } };

/** What a client may send; each goes through every door of one Envoy, which does not normalise anything. */
const REQUESTS: readonly (readonly [title: string, asking: Asking])[] = [
  ['a plain GET', {}],
  ['a POST with a body', { ...JSON_BODY, path: '/tenant-a/m/infer', body: '{"model":"m"}' }],
  ['a chunked body', { ...JSON_BODY, body: [Buffer.from('{"model"'), Buffer.from(':"m"}')] }],
  ['an empty body', { ...JSON_BODY, body: '' }],
  ['a body that is no text', { ...JSON_BODY, body: Uint8Array.from({ length: 256 }, (_, index) => index) }],
  ['a body of 60 kB', { ...JSON_BODY, body: 'x'.repeat(60_000) }],
  ['PUT', { method: 'PUT', body: 'x' }],
  ['PATCH', { method: 'PATCH', body: 'x' }],
  ['DELETE', { method: 'DELETE' }],
  ['OPTIONS', { method: 'OPTIONS', headers: { origin: 'https://a.test', 'access-control-request-method': 'POST' } }],
  ['HEAD', { method: 'HEAD' }],
  ['a query', { path: '/a?b=c&d=%20e&&f=+;g' }],
  ['an empty query', { path: '/a?' }],
  ['dot segments', { path: '/a/../../b/./c' }],
  ['encoded dots and slashes', { path: '/%2e%2e/%2F..%2f/%61' }],
  ['double slashes', { path: '//a///b//' }],
  ['a semicolon and a colon', { path: '/a;x=1:y/b' }],
  ['overlong and broken UTF-8, escaped', { path: '/%c0%af/%ff/%zz' }],
  ['a target that walks out of the prefix', { path: '/../ext-authz/../../x' }],
  ['a target that repeats the prefix', { path: '/ext-authz/ext-authz' }],
  ['a long path', { path: `/${'a'.repeat(8_000)}` }],
  ['a host with port and capitals', { headers: { host: 'Gateway.Test:8443' } }],
  ['a bearer token', { headers: { authorization: 'Bearer abc.def.ghi' } }],
  ['two credentials', { headers: { authorization: ['Bearer abc', 'Bearer def'] } }],
  ['a repeated header', { headers: { 'x-repeated': ['one', 'two', 'two'] } }],
  ['an empty header', { headers: { 'x-empty': '' } }],
  ['a header with bytes above 0x7f', { headers: { 'x-latin': 'caf\u00c3\u00a9' } }],
  ['a header with commas and quotes', { headers: { 'x-odd': 'a, "b,c" ;d\t=e' } }],
  ['forged addresses', { headers: { 'x-forwarded-for': '10.0.0.1, 192.0.2.9', 'x-real-ip': '10.0.0.1' } }],
  [
    'a forged word of Envoy about the body',
    { ...JSON_BODY, body: '{}', headers: { 'x-envoy-auth-partial-body': 'true' } },
  ],
  ['forged headers of Sallyport', { headers: { 'x-sallyport-tenant': 'tenant-b', 'x-sallyport-decision-id': '1' } }],
  ['a forged original path', { headers: { 'x-envoy-original-path': '/admin', 'x-original-url': '/admin' } }],
  ['a traceparent', { headers: { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' } }],
  ['many headers', { headers: Object.fromEntries(Array.from({ length: 80 }, (_, n) => [`x-many-${n}`, String(n)])) }],
];

/** What the HTTP service cannot tell (FACTS): absent there, never invented. */
const ABSENT_OVER_HTTP = [
  'scheme',
  'protocol',
  'declaredLength',
  'sourceAddress',
  'sourcePrincipal',
  'sourceCertificate',
];
const COMMON = ['method', 'target', 'host', 'body', 'traceparent'] as const;
const KNOWN = new Set<string>([
  ...ABSENT_OVER_HTTP,
  ...COMMON,
  ...['door', 'headers', 'contextExtensions', 'attributes', 'headersAreRaw', 'capabilities', 'requestId', 'deadlineMs'],
]);

describeWith(['envoy'], 'one request, asked about over every door of a real Envoy', () => {
  let upstream: Upstream;
  let doors: TestDoors;
  let envoy: Envoy;
  const seen: AccessRequest[] = [];

  beforeAll(async () => {
    upstream = await startUpstream();
    const { authorize } = core();
    const recording: Authorize = (request) => {
      if ('headers' in request) seen.push(request);
      return authorize(request);
    };
    doors = await startTestDoors(recording);
    const common = {
      body: { maxBytes: 65_536 },
      contextExtensions: { 'sallyport.decision': 'default', who: 'gateway' },
    };
    const overHttp = {
      requestHeaders: ['content-type', 'origin', 'access-control-request-method', 'traceparent', 'x-*'],
    };
    envoy = await startEnvoy({
      upstreams: { upstream: { ports: [upstream.port] } },
      listeners: {
        grpc: { authz: { ...common, door: 'grpc', at: { ports: [doors.grpcPort] } } },
        'grpc-raw': { authz: { ...common, door: 'grpc', at: { ports: [doors.grpcPort] }, encodeRawHeaders: true } },
        http: { authz: { ...common, ...overHttp, door: 'http', at: { ports: [doors.httpPort] } } },
      },
    });
  });

  afterAll(async () => {
    await envoy?.stop();
    await Promise.all([doors?.stop(), upstream?.stop()]);
  });

  beforeEach(() => {
    seen.length = 0;
  });

  const sendThrough = async (listener: string, asking: Asking): Promise<AccessRequest> => {
    seen.length = 0;
    const headers = { host: 'inference.test', 'x-request-id': 'from-the-client', ...asking.headers };
    const answer = await ask(envoy.port(listener), { ...asking, headers });
    expect(answer.status).toBe(200);
    const [only, ...more] = seen;
    if (only === undefined || more.length > 0) throw new Error(`${seen.length} checks for one request`);
    return only;
  };

  test.each(REQUESTS)('%s is the same request', async (_title, asking) => {
    const grpc = await sendThrough('grpc', asking);
    const raw = await sendThrough('grpc-raw', asking);
    const http = await sendThrough('http', asking);

    for (const key of COMMON) {
      expect(http[key], key).toEqual(grpc[key]);
      expect(raw[key], key).toEqual(grpc[key]);
    }
    expect(headersOf(http)).toEqual(headersOf(grpc));
    expect(headersOf(raw)).toEqual(headersOf(grpc));
    expect([grpc.headersAreRaw, raw.headersAreRaw, http.headersAreRaw]).toEqual([false, true, false]);
    for (const one of [grpc, raw, http]) {
      expect(Object.keys(one).filter((key) => !KNOWN.has(key))).toEqual([]);
      expect(one.requestId).toBe(one.headers.all('x-request-id')[0]);
      expect(one.deadlineMs).toBeGreaterThan(0);
    }
  });

  test.each(REQUESTS)('%s says over HTTP nothing of connection, extensions and metadata', async (_title, asking) => {
    const grpc = await sendThrough('grpc', asking);
    const http = await sendThrough('http', asking);
    for (const key of ABSENT_OVER_HTTP) expect(http).not.toHaveProperty(key);
    expect([...http.contextExtensions]).toEqual([]);
    expect(new Map(grpc.contextExtensions)).toEqual(
      new Map([
        ['sallyport.decision', 'default'],
        ['who', 'gateway'],
      ]),
    );
    expect(grpc.sourceAddress).toBe('127.0.0.1');
    expect(http.capabilities).toEqual({ queryChanges: false, upstreamHeaders: new Set(HTTP_UPSTREAM_HEADERS) });
    expect(grpc.capabilities).toEqual({ queryChanges: true, upstreamHeaders: 'all' });
    expect(keysOf(http.attributes())).toEqual(['request']);
    expect(keysOf(member(http.attributes(), 'request'))).toEqual(['http']);
    const told = member(member(http.attributes(), 'request'), 'http');
    const known = member(member(grpc.attributes(), 'request'), 'http');
    expect(
      keysOf(told).filter((key) => !['method', 'path', 'host', 'headers', 'body', 'rawBody'].includes(key)),
    ).toEqual([]);
    for (const key of ['method', 'path', 'host']) expect(member(told, key)).toEqual(member(known, key));
  });

  test('no door met a bug', () => expect(doors.faults).toEqual([]));
});

/** Not the client's: Envoy's own on the check, the check's own length, and the id that Envoy makes for each request. */
const NOT_COMPARED = new Set(['content-length', 'transfer-encoding', 'x-envoy-internal', 'x-request-id']);

/** Envoy joins repeated headers with a comma unless it sends them raw. */
function headersOf(request: AccessRequest): readonly (readonly [string, string])[] {
  return [...request.headers.names()]
    .filter((name) => !NOT_COMPARED.has(name))
    .map((name) => [name, request.headers.all(name).join(',')] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

function member(value: JsonValue | undefined, key: string): JsonValue | undefined {
  // Attributes are objects of objects at the places that are read here; anything else fails the assertion.
  return (value as { readonly [name: string]: JsonValue | undefined } | undefined)?.[key];
}

function keysOf(value: JsonValue | undefined): readonly string[] {
  return Object.keys(value ?? {});
}
