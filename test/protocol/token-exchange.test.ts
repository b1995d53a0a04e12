import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Exchanged } from '../../src/protocols/token-exchange/from-exchange.ts';
import { createTokenExchangeDoor, type TokenExchangeDoor } from '../../src/protocols/token-exchange/server.ts';
import type { PresentedKey } from '../../src/protocols/token-exchange/to-token-request.ts';
import { type Answer, type Asking, ask } from '../support/http-client.ts';
import { startSystemTimer } from '../support/system-ports.ts';

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const GRANT = 'grant_type=client_credentials';
const WHOLE: PresentedKey = { kind: 'whole', apiKey: 'sp_key' };
const PAIR: PresentedKey = { kind: 'pair', keyId: 'the id', secret: 's:e+c' };
const basic = (text: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(text).toString('base64')}`,
});
const BASIC = basic('the%20id:s%3Ae%2Bc');
const KEYS = { keys: [{ kty: 'EC', kid: 'one' }] };

describe('the token exchange over HTTP', () => {
  const asked: { readonly presented: PresentedKey; readonly address: string | undefined }[] = [];
  const faults: unknown[] = [];
  let answer: () => Exchanged | Promise<Exchanged>;
  let door: TokenExchangeDoor;
  let port: number;

  beforeAll(async () => {
    door = createTokenExchangeDoor({
      listen: '127.0.0.1:0',
      exchange: async (presented, address) => {
        asked.push({ presented, address });
        return await answer();
      },
      keySet: () => KEYS,
      startTimer: startSystemTimer,
      onFault: (cause) => faults.push(cause),
    });
    const { address } = await door.start();
    if (address.kind !== 'tcp') throw new Error('no TCP');
    ({ port } = address);
  });
  afterAll(() => door.stop());
  afterEach(() => {
    asked.length = 0;
    faults.length = 0;
    answer = () => ({ kind: 'issued', token: 'a.b.c', expiresInSeconds: 300 });
  });
  answer = () => ({ kind: 'issued', token: 'a.b.c', expiresInSeconds: 300 });

  const post = (asking: Asking): Promise<Answer> =>
    ask(port, { method: 'POST', path: '/token', body: GRANT, ...asking, headers: { ...FORM, ...asking.headers } });

  test.each<[string, Asking, PresentedKey]>([
    ['HTTP Basic', { headers: BASIC }, PAIR],
    ['the form', { body: `${GRANT}&client_id=the+id&client_secret=s:e%2Bc` }, PAIR],
    ['x-api-key', { headers: { 'x-api-key': 'sp_key' } }, WHOLE],
    [
      'a form with a charset',
      { headers: { ...BASIC, 'content-type': 'application/x-www-form-urlencoded; charset=UTF-8' } },
      PAIR,
    ],
    ['a chunked form', { headers: BASIC, body: [Buffer.from('grant_type='), Buffer.from('client_credentials')] }, PAIR],
    ['an empty scope, and what means nothing', { headers: BASIC, body: `${GRANT}&scope=&resource=x` }, PAIR],
  ])('a key by %s', async (_name, asking, wanted) => {
    const { status, headers, body } = await post(asking);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'cache-control': 'no-store',
      pragma: 'no-cache',
    });
    expect(JSON.parse(body)).toEqual({ access_token: 'a.b.c', token_type: 'Bearer', expires_in: 300 });
    expect(asked).toEqual([{ presented: wanted, address: '127.0.0.1' }]);
  });

  const BOTH = { ...BASIC, 'x-api-key': 'sp_key' };
  test.each<[string, Asking, number, string]>([
    ['no key', {}, 401, 'invalid_client'],
    ['a bearer token', { headers: { authorization: 'Bearer sp_key' } }, 401, 'invalid_client'],
    ['a Basic without colon', { headers: basic('abc') }, 401, 'invalid_client'],
    ['a Basic that is no base64', { headers: { authorization: 'Basic ***' } }, 401, 'invalid_client'],
    ['a Basic with a bad escape', { headers: basic('a%zz:b') }, 401, 'invalid_client'],
    ['two ways: Basic and x-api-key', { headers: BOTH }, 400, 'invalid_request'],
    ['two ways: Basic and form', { headers: BASIC, body: `${GRANT}&client_id=a` }, 400, 'invalid_request'],
    [
      'two ways: x-api-key and form',
      { headers: { 'x-api-key': 'a' }, body: `${GRANT}&client_secret=a` },
      400,
      'invalid_request',
    ],
    ['two of one way', { headers: { 'x-api-key': ['a', 'b'] } }, 400, 'invalid_request'],
    ['no grant type', { headers: BASIC, body: '' }, 400, 'invalid_request'],
    ['an empty grant type', { headers: BASIC, body: 'grant_type=' }, 400, 'invalid_request'],
    ['two grant types', { headers: BASIC, body: `${GRANT}&${GRANT}` }, 400, 'invalid_request'],
    ['another grant type', { headers: BASIC, body: 'grant_type=password' }, 400, 'unsupported_grant_type'],
    [
      'a grant type in other case',
      { headers: BASIC, body: 'grant_type=Client_Credentials' },
      400,
      'unsupported_grant_type',
    ],
    ['a scope', { headers: BASIC, body: `${GRANT}&scope=admin` }, 400, 'invalid_scope'],
    ['JSON', { headers: { ...BASIC, 'content-type': 'application/json' }, body: '{}' }, 400, 'invalid_request'],
    [
      'two content types',
      { headers: { ...BASIC, 'content-type': 'application/x-www-form-urlencoded, text/plain' } },
      400,
      'invalid_request',
    ],
    ['a bad escape', { headers: BASIC, body: `${GRANT}&a=%zz` }, 400, 'invalid_request'],
    ['bytes that are no UTF-8', { headers: BASIC, body: Buffer.from([0x61, 0xff]) }, 400, 'invalid_request'],
    [
      'too many parameters',
      { headers: BASIC, body: Array.from({ length: 40 }, (_, n) => `a${n}=`).join('&') },
      400,
      'invalid_request',
    ],
    ['more than 8 KiB', { headers: BASIC, body: `${GRANT}&a=${'x'.repeat(8192)}` }, 413, 'invalid_request'],
    [
      'more than 8 KiB, chunked',
      { headers: BASIC, body: [Buffer.alloc(8192, 'x'), Buffer.alloc(8192, 'x')] },
      413,
      'invalid_request',
    ],
    ['GET', { method: 'GET', headers: BASIC }, 405, 'invalid_request'],
    ['a key in the query', { path: '/token?client_id=a&client_secret=b' }, 404, 'invalid_request'],
    ['another path', { path: '/token/', headers: BASIC }, 404, 'invalid_request'],
    ['a path that leads there', { path: '/x/../token', headers: BASIC }, 404, 'invalid_request'],
  ])('%s: no token', async (_name, asking, status, error) => {
    const answered = await post(asking);
    expect(answered.status).toBe(status);
    expect(JSON.parse(answered.body)).toEqual({ error });
    expect(answered.headers['cache-control']).toBe('no-store');
    if (status === 401) expect(answered.headers['www-authenticate']).toBe('Basic realm="token"');
    expect(asked).toEqual([]);
  });

  test.each<[Exchanged, number, string]>([
    [{ kind: 'refused' }, 401, 'invalid_client'],
    [{ kind: 'repeated' }, 429, 'invalid_client'],
    [{ kind: 'unavailable' }, 503, 'temporarily_unavailable'],
  ])('%o', async (exchanged, status, error) => {
    answer = () => exchanged;
    const answered = await post({ headers: BASIC });
    expect(answered.status).toBe(status);
    expect(JSON.parse(answered.body)).toEqual({ error });
  });

  test('a bug is no token and no detail', async () => {
    answer = () => {
      throw new Error('secret detail');
    };
    const answered = await post({ headers: BASIC });
    expect(answered.status).toBe(503);
    expect(answered.body).toBe('{"error":"temporarily_unavailable"}');
    expect(faults).toHaveLength(1);
  });

  test('one address has so many requests under way and no more', async () => {
    let release = (): void => {};
    const waiting = new Promise<Exchanged>((resolve) => {
      release = () => resolve({ kind: 'refused' });
    });
    answer = () => waiting;
    const held = Array.from({ length: 16 }, () => post({ headers: BASIC }));
    while (asked.length < 16) await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await post({ headers: BASIC })).status).toBe(503);
    // The keys are public and cost nothing.
    expect((await ask(port, { path: '/.well-known/jwks.json' })).status).toBe(200);
    release();
    expect((await Promise.all(held)).map(({ status }) => status)).toEqual(Array.from({ length: 16 }, () => 401));
    expect((await post({ headers: BASIC })).status).toBe(401);
  });

  test('the keys are published', async () => {
    const { status, headers, body } = await ask(port, { path: '/.well-known/jwks.json' });
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('application/jwk-set+json');
    expect(JSON.parse(body)).toEqual(KEYS);
    expect((await ask(port, { method: 'POST', path: '/.well-known/jwks.json' })).status).toBe(405);
  });

  test.each([
    ['no HTTP', 'hello\r\n\r\n'],
    ['two lengths', `POST /token HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab`],
    [
      'a length and chunks',
      `POST /token HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
  ])('%s: 400 and the connection ends', async (_name, text) => {
    const received = await new Promise<string>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(text));
      let data = '';
      socket.on('data', (chunk: Buffer) => {
        data += chunk.toString();
      });
      socket.on('close', () => resolve(data));
      socket.on('error', reject);
    });
    expect(received).toMatch(/^HTTP\/1\.1 400 /);
    expect(asked).toEqual([]);
  });
});
