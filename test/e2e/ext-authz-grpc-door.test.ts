import { request } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AccessRequest } from '../../src/decision/access-request.ts';
import type { Authorize } from '../../src/decision/ports.ts';
import { createExtAuthzGrpcDoor, type ExtAuthzGrpcDoor } from '../../src/protocols/ext-authz-grpc/server.ts';
import { core, generation } from '../support/core.ts';
import { type Envoy, startEnvoy } from '../support/envoy.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

// The door's answers as a real Envoy reads them, over a core that answers what the test sets. Every case runs with
// `failure_mode_allow`, where an answer that Envoy cannot read, or an error, would reach the upstream.

let verdict: unknown;
let asked: AccessRequest[] = [];
const authorize: Authorize = (access) => {
  if (!('unreadable' in access)) asked.push(access);
  const entrypoints = { 'authz/decision': () => verdict, 'authz/limits': [] };
  return core({ currentGeneration: () => generation(entrypoints) }).authorize(access);
};

let upstream: Upstream;
let door: ExtAuthzGrpcDoor;
let envoy: Envoy;

beforeAll(async () => {
  upstream = await startUpstream();
  door = createExtAuthzGrpcDoor({
    authorize,
    config: { listen: '127.0.0.1:0', trusted_loopback: true, max_in_flight: 100, max_message_bytes: 100_000 },
    startTimer: (delayMs, late) => {
      const timer = setTimeout(late, delayMs);
      return () => clearTimeout(timer);
    },
    logger: { info: () => undefined, warn: () => undefined, limited: () => undefined },
    graceMs: 500,
  });
  const { address } = await door.start();
  if (address.kind !== 'tcp') throw new Error('not on TCP');
  const at = { ports: [address.port] };
  const body = { maxBytes: 1_000_000, packAsBytes: true };
  envoy = await startEnvoy({
    listeners: {
      open: { authz: { door: 'grpc', at, failureModeAllow: true, body } },
      raw: { authz: { door: 'grpc', at, failureModeAllow: true, body, encodeRawHeaders: true } },
    },
    upstreams: { upstream: { ports: [upstream.port] } },
  });
});
afterAll(async () => {
  await envoy.stop();
  await door.stop();
  await upstream.stop();
});
beforeEach(() => {
  upstream.reset();
  asked = [];
});

interface Answer {
  readonly status: number;
  readonly headers: { readonly [name: string]: unknown };
  readonly body: string;
}

function send(
  path: string,
  headers: { readonly [name: string]: string | string[] } = {},
  body = '',
  listener = 'open',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port: envoy.port(listener), method: 'POST', path, headers },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

describe('a real Envoy', () => {
  it('lets an Allow through with its changes', async () => {
    verdict = {
      allow: true,
      headers: { 'x-one': '1', 'x-many': ['a', 'b'] },
      remove_headers: ['x-gone'],
      response_headers: { 'cache-control': 'no-store', 'set-cookie': ['a=1', 'b=2'] },
      query_set: { q: 'x&y z' },
      query_remove: ['old'],
    };
    const headers = { 'x-one': 'client', 'x-many': 'client', 'x-gone': 'client', 'x-sallyport-role': 'admin' };
    const answer = await send('/tenant-a/llama-3-8b/infer?old=1&keep=2', headers);
    expect(answer.status).toBe(200);
    const [seen] = upstream.seen;
    expect(seen?.headers).toMatchObject({
      'x-one': '1',
      'x-sallyport-tenant': 'tenant-a',
      'x-sallyport-role': 'analyst',
    });
    expect(String(seen?.headers['x-many']).replaceAll(' ', '')).toBe('a,b');
    expect(seen?.headers).not.toHaveProperty('x-gone');
    expect(seen?.path).toBe('/tenant-a/llama-3-8b/infer?keep=2&q=x%26y%20z');
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', 'set-cookie': ['a=1', 'b=2'] });
  });

  it('hands on every value of a header under `encode_raw_headers`', async () => {
    verdict = { allow: true };
    expect((await send('/', { 'x-a': ['1', '2'] }, '{}', 'raw')).status).toBe(200);
    const [access] = asked;
    expect(access?.headersAreRaw).toBe(true);
    expect(access?.headers.all('x-a')).toEqual(['1', '2']);
    expect(Buffer.from(access?.body.bytes ?? []).toString()).toBe('{}');
    expect(access?.body.complete).toBe(true);
  });

  it('shows a denial with one content type and its challenge', async () => {
    verdict = { allow: false, status: 401 };
    const answer = await send('/');
    expect(answer.status).toBe(401);
    expect(answer.headers).toMatchObject({ 'content-type': 'application/problem+json', 'www-authenticate': 'Bearer' });
    expect(JSON.parse(answer.body)).toMatchObject({
      status: 401,
      reason: 'unauthenticated',
      decision_id: 'decision-1',
    });
    expect(upstream.count()).toBe(0);
  });

  it('shows the body and type of a verdict', async () => {
    verdict = { allow: false, status: 429, headers: { 'retry-after': '7', 'content-type': 'text/html' }, body: '<p>' };
    const answer = await send('/');
    expect(answer).toMatchObject({
      status: 429,
      body: '<p>',
      headers: { 'retry-after': '7', 'content-type': 'text/html' },
    });
    expect(upstream.count()).toBe(0);
  });

  it('passes nothing on for any status that a verdict can name', async () => {
    for (let status = -1; status <= 1000; status++) {
      verdict = { allow: false, status };
      const answer = await send('/');
      expect(answer.status, `status ${status}`).toBeGreaterThanOrEqual(400);
    }
    expect(upstream.count()).toBe(0);
  });

  it('passes nothing on whose check is longer than the door reads', async () => {
    verdict = { allow: true };
    expect((await send('/', {}, 'x'.repeat(900_000))).status).toBe(413);
    expect((await send('/', {}, 'x'.repeat(50_000))).status).toBe(200);
    expect(upstream.count()).toBe(1);
  });

  it('passes nothing on when a header is no UTF-8 under `encode_raw_headers`', async () => {
    verdict = { allow: true };
    expect((await send('/', { 'x-a': 'caf\u00e9' }, '', 'raw')).status).toBe(400);
    expect(upstream.count()).toBe(0);
  });

  it('passes nothing on when metadata is nested too deep to be read', async () => {
    let objects: unknown = {};
    let lists: unknown = {};
    for (let level = 0; level < 60; level++) {
      objects = { a: objects };
      lists = { a: [lists] };
      for (const metadata of [objects, lists]) {
        verdict = { allow: false, metadata };
        // Deeper than a verdict may nest it is a fault of the policy, and a denial all the same.
        expect([403, 503], `${level} levels`).toContain((await send('/')).status);
      }
    }
    verdict = { allow: true, metadata: objects };
    expect((await send('/')).status).toBe(503);
    expect(upstream.count()).toBe(0);
  });
});
