import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseStrictJson } from '../../../src/identity/strict-json.ts';
import type { OperationAnswer } from '../../../src/operations/problem.ts';
import { createOperations, type Operations } from '../../../src/operations/server.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import { ask } from './ask.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

let operations: Operations;
let clock: ManualClock;
let port = 0;
let asked: unknown[];
let metricsRead = 0;
let answer: OperationAnswer;

beforeEach(async () => {
  asked = [];
  metricsRead = 0;
  answer = { status: 200, body: { outcome: 'settled' } };
  clock = createManualClock();
  const noting = async (...what: unknown[]): Promise<OperationAnswer> => {
    asked.push(what);
    return answer;
  };
  operations = createOperations({
    config: {
      listen: '127.0.0.1:0',
      drain_delay_ms: 0,
      tokens: [
        { sha256: sha256('meter'), rights: ['usage'] },
        { sha256: sha256('viewer'), rights: ['quota'] },
        { sha256: sha256('reader'), rights: ['metrics'] },
      ],
    },
    health: { live: () => true, ready: () => ({ ready: true, reasons: [] }), bundlesReady: () => true },
    metricsText: async () => {
      metricsRead += 1;
      return 'm 1\n';
    },
    metricsContentType: 'text/plain',
    usage: {
      settle: (id, usage) => noting('settle', id, usage),
      renew: (id, ttlSeconds) => noting('renew', id, ttlSeconds),
      quotaOf: (tenant) => noting('quota', tenant),
      parseJson: parseStrictJson,
    },
    startTimer: clock.startTimer,
  });
  const { address } = await operations.start();
  port = address.kind === 'tcp' ? address.port : 0;
});
afterEach(() => operations.stop());

const METER = { authorization: 'Bearer meter', 'content-type': 'application/json' };
const post = (path: string, body: string, headers: Readonly<Record<string, string>> = METER) =>
  ask(port, { method: 'POST', path, headers, body });

describe('POST /v1/usage', () => {
  test('passes the usage on and answers what it came to', async () => {
    const { status, body, headers } = await post('/v1/usage', '{"reservation_id":"r","usage":{"prompt_tokens":1}}');
    expect([status, JSON.parse(body), headers['cache-control']]).toEqual([200, { outcome: 'settled' }, 'no-store']);
    expect(asked).toEqual([['settle', 'r', { prompt_tokens: 1 }]]);
  });

  test('answers a refusal as problem details that name the field', async () => {
    answer = {
      status: 422,
      reason: 'bad_usage',
      detail: '`usage.prompt_tokens` is negative',
      field: 'usage.prompt_tokens',
    };
    const { status, body, headers } = await post('/v1/usage', '{"reservation_id":"r","usage":{}}');
    expect([status, headers['content-type']]).toEqual([422, 'application/problem+json; charset=utf-8']);
    expect(JSON.parse(body)).toEqual({ ...answer, title: 'Unprocessable Entity' });
  });

  test('says of a 503 when to come again', async () => {
    answer = { status: 503, reason: 'store_unavailable', detail: 'x' };
    expect((await post('/v1/usage', '{"reservation_id":"r","usage":{}}')).headers['retry-after']).toBe('1');
  });

  const big = `{"reservation_id":"r","usage":"${'x'.repeat(64 * 1024)}"}`;
  test.each<[string, string, number, string | undefined]>([
    ['no JSON', '{', 400, undefined],
    ['nothing', '', 400, undefined],
    ['a list', '[]', 400, undefined],
    ['no id', '{"usage":{}}', 400, 'reservation_id'],
    ['an id that is a number', '{"reservation_id":5,"usage":{}}', 400, 'reservation_id'],
    ['no usage', '{"reservation_id":"r"}', 400, 'usage'],
    ['an unknown member', '{"reservation_id":"r","usage":{},"tenant":"b"}', 400, undefined],
    ['the id twice', '{"reservation_id":"r","reservation_id":"s","usage":{}}', 400, undefined],
    ['a field of the usage twice', '{"reservation_id":"r","usage":{"a":1,"a":2}}', 400, undefined],
    ['a member from a prototype', '{"__proto__":{"reservation_id":"r"},"usage":{}}', 400, 'reservation_id'],
    ['a byte order mark', '\ufeff{"reservation_id":"r","usage":{}}', 400, undefined],
    ['two documents', '{"reservation_id":"r","usage":{}}{}', 400, undefined],
    ['more than 64 KiB', big, 413, undefined],
  ])('with %s is refused', async (_name, body, status, field) => {
    const refused = await post('/v1/usage', body);
    expect(refused.status).toBe(status);
    expect(JSON.parse(refused.body)).toMatchObject({ status, reason: 'bad_request' });
    expect(JSON.parse(refused.body).field).toBe(field);
    expect(asked).toEqual([]);
  });

  test('with bytes that are no UTF-8 is refused', async () => {
    const body = Buffer.from('{"reservation_id":"\xff","usage":{}}', 'latin1');
    expect((await ask(port, { method: 'POST', path: '/v1/usage', headers: METER, body })).status).toBe(400);
    expect(asked).toEqual([]);
  });

  test.each<[string, Readonly<Record<string, string>>]>([
    ['no type', {}],
    ['a form', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['plain text', { 'content-type': 'text/plain' }],
    ['another charset', { 'content-type': 'application/json; charset=latin1' }],
    ['a coding', { 'content-type': 'application/json', 'content-encoding': 'gzip' }],
  ])('with %s is refused', async (_name, headers) => {
    const refused = await post('/v1/usage', '{"reservation_id":"r","usage":{}}', {
      authorization: 'Bearer meter',
      ...headers,
    });
    expect([refused.status, asked]).toEqual([415, []]);
  });

  test('is refused beyond 64 KiB of chunks as well, without waiting for the rest', async () => {
    const body = Array.from({ length: 5 }, () => Buffer.alloc(16 * 1024, ' '));
    const refused = await ask(port, { method: 'POST', path: '/v1/usage', headers: METER, body });
    expect([refused.status, asked]).toEqual([413, []]);
  });

  test('whose body does not end is refused after 5 s', async () => {
    const socket = connect(port, '127.0.0.1');
    const head = `POST /v1/usage HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer meter\r\n`;
    socket.write(`${head}content-type: application/json\r\ncontent-length: 50\r\n\r\n{"reservation_id"`);
    await expect.poll(() => clock.pendingTimers()).toBe(1);
    let received = '';
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString();
    });
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    clock.advance(5_000);
    await closed;
    expect(received).toMatch(/^HTTP\/1\.1 408 [\s\S]*connection: close/i);
    expect(asked).toEqual([]);
  });
});

test('POST /v1/usage/renew passes the time on, and wants a number', async () => {
  expect((await post('/v1/usage/renew', '{"reservation_id":"r","ttl_seconds":60}')).status).toBe(200);
  expect(asked).toEqual([['renew', 'r', 60]]);
  const refused = await post('/v1/usage/renew', '{"reservation_id":"r","ttl_seconds":"60"}');
  expect([refused.status, JSON.parse(refused.body).field]).toEqual([400, 'ttl_seconds']);
});

test.each<[string, number]>([
  ['?tenant=tenant-a', 200],
  ['?tenant=a%2Fb%20c', 200],
  ['', 400],
  ['?tenant=', 400],
  ['?tenant=a&tenant=b', 400],
  ['?tenant[]=a', 400],
  [`?tenant=${'a'.repeat(129)}`, 400],
])('GET /v1/quota%s is %d', async (query, status) => {
  const answered = await ask(port, { path: `/v1/quota${query}`, headers: { authorization: 'Bearer viewer' } });
  expect(answered.status).toBe(status);
  expect(asked).toHaveLength(status === 200 ? 1 : 0);
  if (status === 400) expect(JSON.parse(answered.body).field).toBe('tenant');
});

/** SECURITY row 29. */
describe('without the right to it nothing has an effect:', () => {
  const BODY = '{"reservation_id":"r","usage":{},"ttl_seconds":1}';
  const ROUTES = [
    ['POST', '/v1/usage', 'meter', BODY],
    ['POST', '/v1/usage/renew', 'meter', BODY],
    ['GET', '/v1/quota?tenant=a', 'viewer', undefined],
    ['HEAD', '/v1/quota?tenant=a', 'viewer', undefined],
    ['GET', '/metrics', 'reader', undefined],
    ['PUT', '/v1/usage', 'meter', undefined],
    ['DELETE', '/v1/quota', 'viewer', undefined],
    ['GET', '/v1/other', 'reader', undefined],
  ] as const;
  const WAYS: readonly (readonly [string, (token: string) => Readonly<Record<string, string | readonly string[]>>])[] =
    [
      ['no token', () => ({})],
      ['an unknown token', () => ({ authorization: 'Bearer unknown' })],
      ['the wrong right', (token) => ({ authorization: `Bearer ${token === 'meter' ? 'viewer' : 'meter'}` })],
      ['another scheme', (token) => ({ authorization: `Basic ${token}` })],
      ['two tokens', (token) => ({ authorization: [`Bearer ${token}`, `Bearer ${token}`] })],
      ['a foreign host', (token) => ({ authorization: `Bearer ${token}`, host: 'attacker.example' })],
      ['a foreign origin', (token) => ({ authorization: `Bearer ${token}`, origin: 'http://attacker.example' })],
      ['a page without origin', (token) => ({ authorization: `Bearer ${token}`, origin: 'null' })],
    ];
  const cases = ROUTES.flatMap(([method, path, token, body]) =>
    WAYS.map(([way, headers]) => [method, path, way, headers(token), body] as const),
  );

  test.each(cases)('%s %s with %s', async (method, path, way, headers, body) => {
    const sent = { 'content-type': 'application/json', ...headers };
    const { status } = await ask(port, { method, path, headers: sent, ...(body === undefined ? {} : { body }) });
    const isOpen = path === '/metrics' || path === '/v1/other';
    // What is open to loopback is open to it with any token, but for web pages.
    if (isOpen && !/foreign|page/.test(way)) expect([200, 404]).toContain(status);
    else {
      expect([401, 403]).toContain(status);
      expect(metricsRead).toBe(0);
    }
    expect(asked).toEqual([]);
  });

  test('a body is not even read', async () => {
    const socket = connect(port, '127.0.0.1');
    socket.write('POST /v1/usage HTTP/1.1\r\nhost: localhost\r\ncontent-length: 60000\r\n\r\n{');
    const received = await new Promise<string>((resolve) => {
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      socket.once('close', () => resolve(text));
    });
    expect(received).toMatch(/^HTTP\/1\.1 401 [\s\S]*connection: close/i);
    expect(clock.pendingTimers()).toBe(0);
  });
});

test('without the ports there are no such routes', async () => {
  const bare = createOperations({
    config: { listen: '127.0.0.1:0', drain_delay_ms: 0 },
    health: { live: () => true, ready: () => ({ ready: true, reasons: [] }), bundlesReady: () => true },
    metricsText: async () => '',
    metricsContentType: 'text/plain',
    startTimer: createManualClock().startTimer,
  });
  const { address } = await bare.start();
  const barePort = address.kind === 'tcp' ? address.port : 0;
  try {
    expect((await ask(barePort, { path: '/v1/quota?tenant=a' })).status).toBe(404);
    expect((await ask(barePort, { method: 'POST', path: '/v1/usage', body: '{}' })).status).toBe(413);
  } finally {
    await bare.stop();
  }
});
