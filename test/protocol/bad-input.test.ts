import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import type { DecisionEvent } from '../../src/decision-log/event.ts';
import { describeWith } from '../support/describe-with.ts';
import { createEventFile, type EventFile } from '../support/event-file.ts';
import { decodeCheckResponse, encodeCheckRequest } from '../support/ext-authz-proto.ts';
import { type CheckClient, createCheckClient, frame, rawCheck } from '../support/grpc-client.ts';
import { bearer, INFER_PATH, inferRequest, wholeJsonBody } from '../support/infer-request.ts';
import { buildPolicyBundle, type PolicyBundle } from '../support/policy-bundle.ts';
import { startProgram } from '../support/programs.ts';
import { type Service, startService, toServiceConfig } from '../support/service.ts';
import { createTestIssuer } from '../support/tokens.ts';
import { ROOT } from '../support/tools.ts';
import { pinOf, repacked, SHIPPED } from '../unit/bundle/shipped.ts';
import { exchange } from '../unit/protocols/ext-authz-http/door.ts';

/** What can be wrong with a request, a verdict or a bundle, against the service as a process of its own. */
interface Running {
  readonly service: Service;
  readonly client: CheckClient;
  readonly events: EventFile;
  readonly token: string;
  /** Checks that were asked so far: each must have its event. */
  asked: number;
  stop(): Promise<void>;
}

async function startRunning(bundle?: PolicyBundle, decisions?: Readonly<Record<string, unknown>>): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bad-input-'));
  const issuer = await createTestIssuer();
  const jwksFile = join(folder, 'jwks.json');
  await issuer.writeJwks(jwksFile);
  const eventsFile = join(folder, 'events.jsonl');
  const parts = { ...(bundle && { bundleFile: bundle.file }), ...(decisions && { decisions }) };
  const config = await toServiceConfig({ issuer, jwksFile, eventsFile, deadlineMs: 20_000, ...parts });
  const service = await startService({ config });
  const client = createCheckClient(`127.0.0.1:${service.port('ext_authz_grpc')}`);
  return {
    service,
    client,
    events: createEventFile(eventsFile),
    token: await issuer.mint({ tenant: 'tenant-a', tier: 'premium', roles: ['inference'] }),
    asked: 0,
    stop: async () => {
      client.close();
      await service.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What the client is told, and by which event it can be found. */
interface Denied {
  readonly status: number;
  readonly reason: unknown;
  readonly decisionId: string;
}

type Told = Denied | 'allowed';

function fromGrpc(bytes: Uint8Array | undefined): Told {
  const { status, deniedResponse } = decodeCheckResponse(bytes ?? new Uint8Array());
  if ((status?.code ?? 0) === 0) return 'allowed';
  return toDenied(deniedResponse?.status?.code ?? 0, deniedResponse?.body ?? '');
}

function toDenied(status: number, body: string): Denied {
  const { reason, decision_id }: { readonly reason?: unknown; readonly decision_id?: unknown } = JSON.parse(body);
  return { status, reason, decisionId: String(decision_id) };
}

async function overGrpc(running: Running, message: Buffer): Promise<Told> {
  running.asked += 1;
  return fromGrpc(await running.client.check(message));
}

async function overHttp(running: Running, bytes: string | Buffer): Promise<Told> {
  running.asked += 1;
  const [answer] = await exchange(running.service.port('ext_authz_http'), bytes);
  if (answer === undefined) throw new Error('the door did not answer');
  return answer.status === 200 ? 'allowed' : toDenied(answer.status, answer.body.toString('utf8'));
}

function eventOf({ events }: Running, told: Told): Promise<DecisionEvent> {
  if (told === 'allowed') throw new Error('it was allowed');
  return events.of(told.decisionId);
}

/** Everything that was asked has its event, nothing is left over, and the process never faltered. */
async function everythingIsCounted(running: Running): Promise<void> {
  const { service, events, asked } = running;
  await events.atLeast(asked);
  const dropped = /^sallyport_decision_log_dropped_total (\d+)$/m.exec(await service.metrics())?.[1];
  if (process.env['DBG'])
    console.log(
      events
        .all()
        .map((e) => `${e.sequence} ${e.door} ${e.code} ${e.error?.message}`)
        .join('\n'),
    );
  expect(events.all().length + Number(dropped)).toBe(asked);
  // The first event of all is the activation.
  expect(events.all().map(({ sequence }) => sequence)).toEqual(Array.from({ length: asked }, (_, index) => index + 2));
  expect(service.program.output()).not.toMatch(/nobody caught|a check failed|Error: /);
}

const MIB = 2 ** 20;
const attributes = (http: object, more: object = {}): Buffer =>
  encodeCheckRequest({ attributes: { request: { http }, ...more } });
const rawHeaders = (...pairs: readonly (readonly [string, string])[]) => ({
  headerMap: { headers: pairs.map(([key, value]) => ({ key, rawValue: Buffer.from(value) })) },
});
const HTTP = { method: 'POST', path: INFER_PATH, host: 'gateway.test', scheme: 'https' };
const CHAT = '/v1/chat/completions';

/** The message with the first `placeholder` in it replaced by bytes of the same length. */
function patched(message: Buffer, placeholder: string, bytes: readonly number[]): Buffer {
  const copy = Buffer.from(message);
  Buffer.from(bytes).copy(copy, copy.indexOf(placeholder));
  return copy;
}

interface GrpcCase {
  readonly what: string;
  readonly message: (token: string) => Buffer;
  readonly code: string;
  readonly status: number;
  readonly reason: string;
  /** Part of the cause that the event names. */
  readonly cause?: string;
}

const malformed = { code: 'malformed_request', status: 400, reason: 'bad_request' };
const unknownRoute = { code: 'unknown_route', status: 404, reason: 'not_found' };
const invalidCredential = { code: 'invalid_credential', status: 401, reason: 'invalid_credentials' };
const nesting = (open: string, depth: number): string => open.repeat(depth);

const OVER_GRPC: readonly GrpcCase[] = [
  { what: 'bytes that are no protobuf', message: () => Buffer.alloc(1_000, 0xff), ...malformed },
  { what: 'a truncated message', message: (token) => inferRequest({ token }).subarray(0, -7), ...malformed },
  { what: 'a megabyte of zeros', message: () => Buffer.alloc(MIB), ...malformed },
  {
    what: 'no bytes at all',
    message: () => Buffer.alloc(0),
    ...malformed,
    cause: '`CheckRequest.attributes` is missing',
  },
  {
    what: 'empty attributes',
    message: () => encodeCheckRequest({ attributes: {} }),
    ...malformed,
    cause: 'http` is missing',
  },
  {
    what: 'no http block',
    message: () => encodeCheckRequest({ attributes: { request: {} } }),
    ...malformed,
    cause: 'http` is missing',
  },
  { what: 'an empty http block', message: () => attributes({}), ...malformed, cause: 'target is empty' },
  {
    what: 'a path that is no UTF-8',
    message: (token) => patched(inferRequest({ token, path: '/tenant-a/@@/infer' }), '@@', [0xc0, 0xaf]),
    ...malformed,
    cause: 'UTF-8',
  },
  {
    what: 'a header that is no UTF-8',
    message: (token) => patched(inferRequest({ token, headers: { 'x-a': '@@@' } }), '@@@', [0xed, 0xa0, 0x80]),
    ...malformed,
    cause: 'UTF-8',
  },
  {
    what: 'a path of 1 MB',
    message: (token) => inferRequest({ token, path: `/${'a'.repeat(MIB)}` }),
    ...malformed,
    cause: 'longer than 64 KiB',
  },
  {
    what: 'a query of 1 MB',
    message: (token) => inferRequest({ token, path: `${INFER_PATH}?q=${'a'.repeat(MIB)}` }),
    ...malformed,
    cause: 'longer than 64 KiB',
  },
  {
    what: 'two Host headers',
    message: (token) =>
      attributes({
        ...HTTP,
        ...rawHeaders(['host', 'gateway.test'], ['host', 'gateway.test'], ['authorization', `Bearer ${token}`]),
      }),
    ...malformed,
    cause: '`host` was sent more than once',
  },
  {
    what: 'a Host other than the authority',
    message: (token) => inferRequest({ token, headers: { host: 'other.test' } }),
    ...malformed,
    cause: 'another host',
  },
  {
    what: 'two Authorization headers',
    message: (token) =>
      attributes({
        ...HTTP,
        ...rawHeaders(['authorization', `Bearer ${token}`], ['authorization', `Bearer ${token}`]),
      }),
    ...invalidCredential,
  },
  {
    what: 'two Authorization headers as Envoy joins them',
    message: (token) => inferRequest({ headers: { authorization: `Bearer ${token},Bearer ${token}` } }),
    ...invalidCredential,
  },
  {
    what: 'two content-lengths',
    message: (token) =>
      attributes({
        ...HTTP,
        ...rawHeaders(['content-length', '2'], ['content-length', '2'], ['authorization', `Bearer ${token}`]),
      }),
    ...malformed,
    cause: 'content-length',
  },
  {
    what: 'two content-lengths as Envoy joins them',
    message: (token) => inferRequest({ token, headers: { 'content-length': '18,18' } }),
    ...malformed,
    cause: 'content-length',
  },
  {
    what: 'a content-length that is no number',
    message: (token) => inferRequest({ token, headers: { 'content-length': '0x12' } }),
    ...malformed,
    cause: 'content-length',
  },
  {
    what: 'two kinds of headers',
    message: () => attributes({ ...HTTP, headers: { a: 'b' }, ...rawHeaders(['a', 'b']) }),
    ...malformed,
    cause: 'both',
  },
  {
    what: 'an unknown route',
    message: (token) => inferRequest({ token, path: '/nothing/here' }),
    ...unknownRoute,
    cause: 'no route',
  },
  {
    what: 'an unknown route, asked by nobody',
    message: () => inferRequest({ path: '/nothing/here' }),
    code: 'unknown_route',
    status: 401,
    reason: 'unauthenticated',
  },
  {
    what: 'a method that is not declared',
    message: (token) => inferRequest({ token, method: 'BREW' }),
    code: 'method_not_declared',
    status: 405,
    reason: 'forbidden',
  },
  {
    what: '1 MB of opening brackets',
    message: (token) => inferRequest({ token, path: CHAT, body: nesting('[', MIB) }),
    ...malformed,
    cause: 'JSON body',
  },
  {
    what: '1 MB of opening objects',
    message: (token) => inferRequest({ token, path: CHAT, body: nesting('{"a":', MIB / 5) }),
    ...malformed,
    cause: 'JSON body',
  },
  {
    what: '1 MB of nesting that is closed again',
    message: (token) =>
      inferRequest({
        token,
        path: CHAT,
        body: `{"model":"llama-3-8b","a":${nesting('[', MIB / 2)}${nesting(']', MIB / 2)}}`,
      }),
    ...malformed,
    cause: 'JSON body',
  },
  {
    what: 'a body that is no JSON',
    message: (token) => inferRequest({ token, path: CHAT, body: '{"model":' }),
    ...malformed,
    cause: 'JSON body',
  },
  {
    what: 'a model of the wrong type',
    message: (token) => inferRequest({ token, path: CHAT, body: '{"model":["llama-3-8b"]}' }),
    ...malformed,
    cause: '`model`',
  },
  {
    what: 'a decision that nobody configured',
    message: (token) => inferRequest({ token, extensions: { 'sallyport.decision': '__proto__' } }),
    code: 'unknown_decision',
    status: 503,
    reason: 'unavailable',
    cause: '__proto__',
  },
  {
    what: 'a message over the limit',
    message: () => Buffer.alloc(9 * MIB),
    code: 'payload_too_large',
    status: 413,
    reason: 'payload_too_large',
    cause: 'max_message_bytes',
  },
];

const headersOf = (lines: readonly string[]): string => lines.map((line) => `${line}\r\n`).join('');
const plain = (target: string, lines: readonly string[] = [], body = ''): string =>
  `POST ${target} HTTP/1.1\r\nhost: gateway.test\r\n${headersOf(lines)}\r\n${body}`;

interface HttpCase {
  readonly what: string;
  readonly bytes: (token: string) => string | Buffer;
  readonly code: string;
  readonly status: number;
  readonly reason: string;
  readonly cause?: string;
}

const TARGET = `/ext-authz${INFER_PATH}`;
const jsonOf = (token: string, body: string): readonly string[] => [
  `authorization: Bearer ${token}`,
  ...Object.entries(wholeJsonBody(body)).map(([name, value]) => `${name}: ${value}`),
];
const chat = (token: string, body: string): string => plain(`/ext-authz${CHAT}`, jsonOf(token, body), body);
const withToken = (token: string, ...lines: readonly string[]): string =>
  plain(TARGET, [`authorization: Bearer ${token}`, ...lines]);

const OVER_HTTP: readonly HttpCase[] = [
  { what: 'bytes that are no HTTP', bytes: () => Buffer.alloc(1_000, 0xff), ...malformed, cause: 'not HTTP' },
  { what: 'the preface of HTTP/2', bytes: () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', ...malformed, cause: 'not HTTP' },
  {
    what: 'a protocol of another version',
    bytes: () => `POST ${TARGET} HTTP/9.9\r\nhost: a\r\n\r\n`,
    ...malformed,
    cause: 'not HTTP',
  },
  {
    what: 'a method that HTTP does not know',
    bytes: () => `FROB ${TARGET} HTTP/1.1\r\nhost: a\r\n\r\n`,
    ...malformed,
    cause: 'not HTTP',
  },
  { what: 'no Host', bytes: () => `POST ${TARGET} HTTP/1.1\r\n\r\n`, ...malformed, cause: '0 `host`' },
  { what: 'two Hosts', bytes: (token) => withToken(token, 'host: gateway.test'), ...malformed, cause: '2 `host`' },
  {
    what: 'two Authorizations',
    bytes: (token) => withToken(token, `authorization: Bearer ${token}`),
    ...invalidCredential,
  },
  {
    what: 'two content-lengths',
    bytes: (token) => withToken(token, 'content-length: 0', 'content-length: 0'),
    ...malformed,
    cause: 'not HTTP',
  },
  {
    what: 'a content-length and chunks',
    bytes: (token) => withToken(token, 'content-length: 0', 'transfer-encoding: chunked'),
    ...malformed,
    cause: 'not HTTP',
  },
  {
    what: 'a chunk that is none',
    bytes: (token) => `${withToken(token, 'transfer-encoding: chunked')}zz\r\n`,
    ...malformed,
  },
  {
    what: 'a header that is no UTF-8',
    bytes: (token) => withToken(token, 'x-a: \xc0\xaf'),
    ...malformed,
    cause: 'not UTF-8',
  },
  { what: 'a header with a NUL', bytes: (token) => withToken(token, 'x-a: \0'), ...malformed, cause: 'not HTTP' },
  { what: 'a folded header', bytes: (token) => withToken(token, 'x-a: a', ' b'), ...malformed, cause: 'not HTTP' },
  { what: 'a path that is no UTF-8', bytes: () => plain('/ext-authz/tenant-a/\xc0\xaf/infer'), ...malformed },
  { what: 'a path of 1 MB', bytes: () => plain(`/ext-authz/${'a'.repeat(MIB)}`), ...malformed, cause: 'not HTTP' },
  { what: 'headers of 1 MB', bytes: () => plain(TARGET, [`x-a: ${'a'.repeat(MIB)}`]), ...malformed, cause: 'not HTTP' },
  {
    what: '1,000 long headers',
    bytes: () =>
      plain(
        TARGET,
        Array.from({ length: 1_000 }, (_, index) => `x-${index}: ${'a'.repeat(200)}`),
      ),
    ...malformed,
    cause: 'not HTTP',
  },
  { what: 'a target outside the prefix', bytes: () => plain('/health/live'), ...malformed, cause: 'outside' },
  {
    what: 'a target that only looks like the prefix',
    bytes: () => plain('/ext-authzx/a'),
    ...malformed,
    cause: 'outside',
  },
  {
    what: 'a target that walks out of the prefix',
    bytes: (token) => plain('/ext-authz/../tenant-a/llama-3-8b/infer', [`authorization: Bearer ${token}`]),
    code: 'ambiguous_path',
    status: 400,
    reason: 'bad_request',
  },
  { what: 'a whole URL as target', bytes: () => plain(`http://gateway.test${TARGET}`), ...malformed, cause: 'outside' },
  { what: 'a star as target', bytes: () => 'OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n', ...malformed, cause: 'outside' },
  {
    what: 'CONNECT',
    bytes: () => 'CONNECT gateway.test:443 HTTP/1.1\r\nhost: a\r\n\r\n',
    ...malformed,
    cause: 'CONNECT',
  },
  {
    what: 'an upgrade',
    bytes: (token) => withToken(token, 'connection: upgrade', 'upgrade: websocket'),
    code: 'upgrade_not_declared',
    status: 403,
    reason: 'forbidden',
  },
  {
    what: 'an expectation that nobody knows',
    bytes: (token) => withToken(token, 'expect: the-moon'),
    ...malformed,
    cause: 'expectation',
  },
  {
    what: 'a deadline that is no number',
    bytes: (token) => withToken(token, 'x-envoy-expected-rq-timeout-ms: soon'),
    ...malformed,
    cause: 'x-envoy-expected-rq-timeout-ms',
  },
  {
    what: 'an unknown route',
    bytes: (token) => plain('/ext-authz/nothing/here', [`authorization: Bearer ${token}`]),
    ...unknownRoute,
    cause: 'no route',
  },
  {
    what: 'a body over the limit',
    bytes: (token) => withToken(token, `content-length: ${MIB + 1}`),
    code: 'payload_too_large',
    status: 413,
    reason: 'payload_too_large',
    cause: 'max_body_bytes',
  },
  {
    what: '1 MB of opening brackets',
    bytes: (token) => chat(token, nesting('[', MIB)),
    ...malformed,
    cause: 'JSON body',
  },
  {
    what: '1 MB of opening objects',
    bytes: (token) => chat(token, nesting('{"a":', Math.floor(MIB / 5))),
    ...malformed,
    cause: 'JSON body',
  },
  { what: 'a body that is no JSON', bytes: (token) => chat(token, '{"model":'), ...malformed, cause: 'JSON body' },
];

describe('a bad request', () => {
  let running: Running;
  beforeAll(async () => {
    running = await startRunning();
  });
  afterAll(() => running?.stop());

  describe('at the gRPC door is denied with its code, and the event names the cause', () => {
    test.each(OVER_GRPC)('$what', async ({ message, code, status, reason, cause }) => {
      const told = await overGrpc(running, message(running.token));
      expect(told).toMatchObject({ status, reason });
      const event = await eventOf(running, told);
      expect(event).toMatchObject({ door: 'ext_authz_grpc', decision: 'deny', code, error: { code } });
      expect(event.error?.message).toContain(cause ?? '');
    });

    test.each([
      ['no message', [], {}],
      ['two messages', [frame(inferRequest()), frame(inferRequest())], {}],
      ['half a frame', [frame(inferRequest()).subarray(0, 20)], {}],
      ['a compression that it does not know', [frame(inferRequest(), 1)], { 'grpc-encoding': 'br' }],
      ['a broken compression', [frame(inferRequest(), 1)], { 'grpc-encoding': 'gzip' }],
      ['a deadline that is none', [frame(inferRequest())], { 'grpc-timeout': 'soon' }],
    ] as const)('%s in its framing', async (_what, frames, headers) => {
      running.asked += 1;
      const answers = await rawCheck(running.service.port('ext_authz_grpc'), frames, headers);
      const told = answers.map(fromGrpc);
      expect(told).toMatchObject([{ status: 400, reason: 'bad_request' }]);
      const event = await eventOf(running, told[0] ?? 'allowed');
      expect(event).toMatchObject({ code: 'malformed_request', error: { message: expect.any(String) } });
    });

    test('a message that does not come whole before its deadline', async () => {
      running.asked += 1;
      const half = frame(inferRequest()).subarray(0, 20);
      const [answer] = await rawCheck(
        running.service.port('ext_authz_grpc'),
        [half],
        { 'grpc-timeout': '100m' },
        'open',
      );
      const told = fromGrpc(answer);
      expect(told).toMatchObject({ status: 503, reason: 'unavailable' });
      const event = await eventOf(running, told);
      expect(event).toMatchObject({ code: 'deadline', error: { message: expect.stringContaining('not whole') } });
    });
  });

  describe('at the HTTP door is denied with its code, and the event names the cause', () => {
    test.each(OVER_HTTP)('$what', async ({ bytes, code, status, reason, cause }) => {
      const told = await overHttp(running, bytes(running.token));
      expect(told).toMatchObject({ status, reason });
      const event = await eventOf(running, told);
      expect(event).toMatchObject({ door: 'ext_authz_http', decision: 'deny', code, error: { code } });
      expect(event.error?.message).toContain(cause ?? '');
    });

    test('a body that never comes whole', async () => {
      running.asked += 1;
      const socket = connect(running.service.port('ext_authz_http'), '127.0.0.1');
      socket.write(withToken(running.token, 'content-length: 1000', 'x-envoy-auth-partial-body: false'));
      socket.write('{"prompt":');
      setTimeout(() => socket.destroy(), 50);
      const [event] = (await running.events.atLeast(running.asked)).slice(-1);
      expect(event).toMatchObject({ door: 'ext_authz_http', code: 'malformed_request' });
      expect(event?.error?.message).toMatch(/INVALID_EOF|the caller ended the check within its body/);
    });
  });

  describe('a thousand headers', () => {
    const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`x-many-${index}`, String(index)]));

    test.each([
      ['of a granted call change nothing', true],
      ['of nobody change nothing', false],
    ])('%s, at either door', async (_what, granted) => {
      const { token } = running;
      const wanted = granted ? 'allowed' : expect.objectContaining({ status: 401, reason: 'unauthenticated' });
      const headers = { ...many, ...(granted ? bearer(token) : {}) };
      expect(await overGrpc(running, inferRequest({ headers }))).toEqual(wanted);
      const lines = Object.entries({ ...headers, ...wholeJsonBody('') }).map(([name, value]) => `${name}: ${value}`);
      expect(await overHttp(running, plain(TARGET, lines))).toEqual(wanted);
    });
  });

  test('after all of it a granted call is allowed, and everything is counted', async () => {
    expect(await overGrpc(running, inferRequest({ token: running.token }))).toBe('allowed');
    await everythingIsCounted(running);
    console.info(`bad input: ${running.asked} checks, ${running.asked} events, 0 dropped, the process still serves`);
  });
});

describeWith(['opa'], 'a verdict that is none', () => {
  const FIXTURE = join(import.meta.dirname, 'fixtures/verdicts');
  const SALLYPORT = { decision: 'verdicts/decision', limits: 'verdicts/limits', result: 'sallyport' };
  let bundle: PolicyBundle;
  let running: Running;

  beforeAll(async () => {
    bundle = await buildPolicyBundle(FIXTURE, ['verdicts/decision', 'verdicts/limits']);
    running = await startRunning(bundle, { default: SALLYPORT, envoy: { ...SALLYPORT, result: 'opa-envoy' } });
  });
  afterAll(async () => {
    await running?.stop();
    bundle?.remove();
  });

  const INVALID = 'invalid_verdict';
  const NOT_ALLOWS = ['null', '0', '1', '"allow"', '"true"', '[]', '[true]', '[{"allow":true}]', '{}'];
  const cases: readonly (readonly [shape: 'sallyport' | 'opa-envoy', verdict: string, code: string])[] = [
    ['sallyport', 'nothing', 'undefined_verdict'],
    ['opa-envoy', 'nothing', 'undefined_verdict'],
    ...NOT_ALLOWS.flatMap((verdict) => [
      ['sallyport', verdict, INVALID] as const,
      ['opa-envoy', verdict, INVALID] as const,
    ]),
    ['sallyport', 'true', INVALID],
    ...['"true"', '1', 'null', '[]', '{}', '"yes"'].flatMap((allow) => [
      ['sallyport', `{"allow":${allow}}`, INVALID] as const,
      ['opa-envoy', `{"allowed":${allow}}`, INVALID] as const,
    ]),
    ['opa-envoy', '{"allow":true}', INVALID],
    ['sallyport', '{"allowed":true}', INVALID],
    ['sallyport', '{"Allow":true}', INVALID],
    ['sallyport', '{"allow":true,"unheard_of":1}', INVALID],
    ['sallyport', '{"allow":true,"__proto__":{"allow":true}}', INVALID],
    ['sallyport', '{"__proto__":{"allow":true}}', INVALID],
    ['opa-envoy', '{"__proto__":{"allowed":true}}', INVALID],
    ['sallyport', '{"allow":true,"reasons":"text"}', INVALID],
    ['sallyport', '{"allow":true,"status":"200"}', INVALID],
    ['sallyport', '{"allow":true,"headers":"text"}', INVALID],
    ['sallyport', '{"allow":true,"headers":{"x-a":1}}', INVALID],
    ['sallyport', '{"allow":true,"headers":{"x-a":"a\\r\\nb: c"}}', INVALID],
    ['sallyport', '{"allow":true,"headers":{":path":"/admin"}}', INVALID],
    ['sallyport', '{"allow":true,"headers":{"host":"other"}}', INVALID],
    ['sallyport', '{"allow":true,"headers":{"x-sallyport-tenant":"tenant-b"}}', INVALID],
    ['sallyport', '{"allow":true,"remove_headers":"x"}', INVALID],
    ['sallyport', '{"allow":true,"query_set":[]}', INVALID],
    ['sallyport', '{"allow":true,"metadata":[]}', INVALID],
    ['sallyport', '{"allow":true,"body":1}', INVALID],
    ['sallyport', '{"allow":true,"upstream":"a b"}', INVALID],
    ['sallyport', '{"allow":true,"obligations":{}}', INVALID],
    ['sallyport', '{"allow":true,"obligations":[{"log":true}]}', 'unperformed_obligation'],
    ['opa-envoy', '{"allowed":true,"headers":1}', INVALID],
    ['opa-envoy', '{"allowed":false,"http_status":"403"}', INVALID],
  ];

  /** Asks over the door or doors that can ask for the shape, and answers the events. */
  async function ask(shape: string, headers: Readonly<Record<string, string>>): Promise<readonly DecisionEvent[]> {
    const { token } = running;
    const extensions = { 'sallyport.decision': shape === 'sallyport' ? 'default' : 'envoy' };
    const told = await overGrpc(running, inferRequest({ token, headers, extensions }));
    expect(told).toMatchObject({ status: 503, reason: 'unavailable' });
    if (shape !== 'sallyport') return [await eventOf(running, told)];
    const lines = Object.entries({ ...bearer(token), ...wholeJsonBody(''), ...headers });
    const bytes = plain(
      TARGET,
      lines.map(([name, value]) => `${name}: ${value}`),
    );
    const toldOverHttp = await overHttp(running, bytes);
    // 503 would be an error to Envoy over HTTP, which may pass.
    expect(toldOverHttp).toMatchObject({ status: 403, reason: 'unavailable' });
    return [await eventOf(running, told), await eventOf(running, toldOverHttp)];
  }

  test.each(cases)('of the shape %s: %s is denied as %s', async (shape, verdict, code) => {
    for (const event of await ask(shape, { 'x-verdict': verdict })) {
      expect(event).toMatchObject({ decision: 'deny', code, error: { code, message: expect.stringMatching(/\S/) } });
    }
  });

  test.each([
    ...['null', 'true', '"text"', '{}', '{"plans":[]}', '{"plans":{}}', '[1]', '[{}]', '[{"name":"a"}]'],
    '[{"name":"a","key":["tenant"],"unit":"requests","kind":"rate","limit":0,"per_seconds":1,"cost":1,"scope":"tenant"}]',
    '[{"name":"a","key":["tenant"],"unit":"requests","kind":"rate","limit":1,"per_seconds":1,"cost":-1,"scope":"tenant"}]',
    '[{"name":"a","key":["nobody"],"unit":"requests","kind":"rate","limit":1,"per_seconds":1,"cost":1,"scope":"tenant"}]',
  ])('limits of %s are denied although the verdict allows', async (limits) => {
    for (const event of await ask('sallyport', { 'x-verdict': '{"allow":true}', 'x-limits': limits })) {
      expect(event).toMatchObject({ code: 'invalid_charges', error: { message: expect.stringMatching(/\S/) } });
    }
  });

  test('limits in which a builtin fails are denied although the verdict allows', async () => {
    for (const event of await ask('sallyport', { 'x-verdict': '{"allow":true}', 'x-limits': 'no JSON' })) {
      expect(event).toMatchObject({
        code: 'policy_error',
        error: { message: expect.stringContaining('json.unmarshal') },
      });
    }
  });

  test('after all of it a verdict that allows is an Allow, and everything is counted', async () => {
    const headers = { 'x-verdict': '{"allow":true}' };
    expect(await overGrpc(running, inferRequest({ token: running.token, headers }))).toBe('allowed');
    await everythingIsCounted(running);
    // Faults of a policy are worth a line in the operational log too, as often as its limit allows.
    for (const code of [INVALID, 'undefined_verdict', 'invalid_charges', 'unperformed_obligation']) {
      expect(running.service.program.output()).toMatch(new RegExp(`"code":"${code}".*"message":"denied by a fault"`));
    }
    console.info(`bad verdicts: ${running.asked} checks, ${running.asked} events, 0 dropped`);
  });
});

describe('a service whose bundle is no good does not start', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bad-bundle-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const shipped = Buffer.from(SHIPPED);
  const flipped = Buffer.from(SHIPPED);
  flipped[flipped.length >> 1] = (flipped[flipped.length >> 1] ?? 0) ^ 1;

  test.each<[string, { bytes?: Uint8Array; pinned?: Uint8Array; decision?: string }, string, string]>([
    ['missing', {}, 'bundle_missing', 'cannot read'],
    ['truncated', { bytes: shipped.subarray(0, -1_000) }, 'bundle_truncated', 'cut off'],
    ['empty', { bytes: new Uint8Array() }, 'bundle_', 'bundle `authz`'],
    ['not the one that is pinned', { bytes: flipped, pinned: shipped }, 'bundle_untrusted', 'trust.sha256'],
    ['no archive', { bytes: Buffer.alloc(10_000, 'x') }, 'bundle_invalid', 'bundle `authz`'],
    ['not compiled', { bytes: repacked({ 'policy.wasm': undefined }) }, 'bundle_not_compiled', 'policy.wasm'],
    ['with a module that is none', { bytes: repacked({ 'policy.wasm': 'wasm' }) }, 'bundle_invalid', 'policy.wasm'],
    ['with data that is none', { bytes: repacked({ 'data.json': '{"catalog":' }) }, 'bundle_invalid', 'data.json'],
    [
      'with routes that are none',
      { bytes: repacked({ 'data.json': '{"catalog":{"routes":7}}' }) },
      'bundle_rejected',
      'catalog',
    ],
    [
      'without an entrypoint',
      { bytes: shipped, decision: 'authz/nothing' },
      'bundle_lacks_entrypoint',
      '`authz/nothing`',
    ],
  ])('%s: exit 4, the cause on the last line and in the operational log', async (name, parts, code, cause) => {
    const { bytes, pinned = bytes ?? shipped, decision = 'authz/decision' } = parts;
    const file = join(folder, `${name.replaceAll(' ', '-')}.tar.gz`);
    if (bytes !== undefined) writeFileSync(file, bytes);
    const config = join(folder, 'sallyport.yaml');
    // What identity watches must not keep the process from ending.
    const issuer = await createTestIssuer();
    const jwksFile = join(folder, 'jwks.json');
    await issuer.writeJwks(jwksFile);
    const keysFile = join(folder, 'api-keys.yaml');
    writeFileSync(keysFile, 'keys: []\n');
    const service = await toServiceConfig({
      issuer,
      jwksFile,
      decisions: { default: { decision, result: 'sallyport' } },
    });
    writeFileSync(
      config,
      stringify({
        ...service,
        identity: { ...(service['identity'] as object), api_keys: { file: keysFile } },
        bundles: { authz: { file, trust: pinOf(pinned) } },
      }),
    );
    const program = startProgram(process.execPath, [join(ROOT, 'src/main.ts'), 'serve', '--config', config], {
      env: { NODE_ENV: undefined },
    });
    expect(await program.ended).toBe(4);
    const lines = program.output().trimEnd().split('\n');
    expect(lines.at(-1)).toMatch(/^sallyport serve: bundle `authz`/);
    expect(lines.at(-1)).toContain(cause);
    const logged = lines.find((line) => line.includes('"bundle refused"')) ?? '';
    expect(JSON.parse(logged)).toMatchObject({ level: 'warn', bundle: 'authz', code: expect.stringContaining(code) });
    expect(program.output()).not.toContain('"listening"');
  });

  test('the shipped one, unchanged, is good', () => {
    expect(readFileSync(join(ROOT, 'bundles/authz.tar.gz')).equals(shipped)).toBe(true);
  });
});
