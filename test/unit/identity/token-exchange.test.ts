import { decodeJwt, decodeProtectedHeader } from 'jose';
import { describe, expect, test } from 'vitest';
import { API_KEY, EXCHANGE_ISSUER, KEY_ID, openExchange, record, SECRET } from './exchange-support.ts';
import {
  encode,
  jwtIssuer,
  NOW_MS,
  NOW_SECONDS,
  payload,
  publicJwk,
  request,
  token as signToken,
  testKey,
} from './support.ts';

const REFUSED = { kind: 'refused', code: 'invalid_credential', challenge: 'Bearer error="invalid_token"' };
const iso = (ms: number): string => new Date(ms).toISOString();

describe('a key is exchanged', () => {
  test.each([
    ['in one text', { kind: 'whole', apiKey: API_KEY }],
    ['in two', { kind: 'pair', keyId: KEY_ID, secret: SECRET }],
  ] as const)('%s', async (_name, presented) => {
    const { exchange } = await openExchange();
    const exchanged = await exchange.exchange(presented, '192.0.2.1');
    if (exchanged.kind !== 'issued') return expect.fail(exchanged.kind);
    expect(exchanged.expiresInSeconds).toBe(300);
    expect(decodeProtectedHeader(exchanged.token)).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: expect.any(String) });
    expect(decodeJwt(exchanged.token)).toEqual({
      iss: EXCHANGE_ISSUER,
      aud: 'gateway',
      sub: KEY_ID,
      tenant: 'tenant-a',
      tier: 'premium',
      roles: ['reader', 'writer'],
      key_id: KEY_ID,
      key_mark: expect.stringMatching(/^[\w-]{22}$/),
      jti: 'token-1',
      iat: NOW_SECONDS,
      exp: NOW_SECONDS + 300,
    });
  });

  test('subject and models are the key’s', async () => {
    const { keys, token } = await openExchange();
    keys.set(KEY_ID, record({ subject: 'batch-job', models: ['llama-3-8b'] }));
    expect(decodeJwt(await token())).toMatchObject({ sub: 'batch-job', models: ['llama-3-8b'] });
  });

  test.each([
    ['a key that expires sooner', 300, 100_000, 100],
    ['a shorter lifetime', 60, 1_000_000, 60],
    ['never more than five minutes', 3600, 1_000_000_000, 300],
    ['a key that expires within a second is rounded down', 300, 1999, 1],
  ])('for as long as it may live: %s', async (_name, lifetime_seconds, keyLivesMs, wanted) => {
    const { keys, token } = await openExchange({ lifetime_seconds });
    keys.set(KEY_ID, record({ expires: iso(NOW_MS + keyLivesMs) }));
    const { iat = 0, exp = 0 } = decodeJwt(await token());
    expect(exp - iat).toBe(wanted);
  });

  test('only a key: what was had for one is none', async () => {
    const { exchange, token, counted } = await openExchange();
    expect(await exchange.exchange({ kind: 'whole', apiKey: await token() }, '192.0.2.1')).toEqual({ kind: 'refused' });
    const pair = { kind: 'pair', keyId: KEY_ID, secret: await token() } as const;
    expect(await exchange.exchange(pair, '192.0.2.1')).toEqual({ kind: 'refused' });
    expect(counted).toEqual([{ clientIp: '192.0.2.1' }, { clientIp: '192.0.2.1' }]);
  });
});

describe('a key that does not hold', () => {
  const wrong = `sp_${KEY_ID}_${Buffer.alloc(32, 8).toString('base64url')}`;
  test.each([
    ['wrong secret', record(), wrong, true],
    ['unknown id', record(), `sp_zzzzzzzzzzzz_${SECRET}`, false],
    ['revoked', record({ revoked: true }), API_KEY, true],
    ['expired', record({ expires: iso(NOW_MS) }), API_KEY, true],
    ['expiring within the second', record({ expires: iso(NOW_MS + 999) }), API_KEY, undefined],
    ['not valid yet', record({ not_before: iso(NOW_MS + 1) }), API_KEY, true],
    ['from another address', record({ addresses: ['198.51.100.0/24'] }), API_KEY, true],
    ['malformed', record(), 'sp_', false],
    ['empty', record(), '', false],
  ])('%s: refused, and counted against address and key', async (_name, known, apiKey, knowsKey) => {
    const { exchange, keys, counted, state } = await openExchange();
    keys.set(KEY_ID, known);
    expect(await exchange.exchange({ kind: 'whole', apiKey }, '::ffff:192.0.2.1')).toEqual({ kind: 'refused' });
    if (knowsKey !== undefined) {
      expect(counted).toEqual([{ clientIp: '192.0.2.1', ...(knowsKey ? { keyId: KEY_ID } : {}) }]);
      state.repeated = true;
      expect(await exchange.exchange({ kind: 'whole', apiKey }, '192.0.2.1')).toEqual({ kind: 'repeated' });
      expect(counted).toHaveLength(1);
    }
  });

  test('a good key is never in question, however many were refused', async () => {
    const { state, token } = await openExchange();
    state.repeated = true;
    expect(await token()).toBeTypeOf('string');
  });

  test('no directory, no answer', async () => {
    const { exchange, state, counted } = await openExchange();
    state.down = true;
    expect(await exchange.exchange({ kind: 'whole', apiKey: API_KEY }, undefined)).toEqual({ kind: 'unavailable' });
    expect(counted).toEqual([]);
  });
});

describe('a token that was had for a key', () => {
  const judge = async (opened: Awaited<ReturnType<typeof openExchange>>, token: string) =>
    await opened.method.authenticate(request(`Bearer ${token}`), opened.time.clock.now());

  test('is its key’s principal, and does not reach the upstream', async () => {
    const opened = await openExchange();
    opened.keys.set(KEY_ID, record({ models: ['llama-3-8b'] }));
    const token = await opened.token();
    for (let round = 0; round < 2; round += 1) {
      expect(await judge(opened, token)).toMatchObject({
        kind: 'verified',
        principal: {
          kind: 'jwt',
          issuer: EXCHANGE_ISSUER,
          subject: KEY_ID,
          tenant: 'tenant-a',
          tier: 'premium',
          roles: ['reader', 'writer'],
          keyId: KEY_ID,
          models: ['llama-3-8b'],
        },
        stripHeaders: ['authorization'],
      });
    }
  });

  test.each<[string, (opened: Awaited<ReturnType<typeof openExchange>>) => void]>([
    ['the key is gone', ({ keys }) => keys.clear()],
    ['the key is revoked', ({ keys }) => keys.set(KEY_ID, record({ revoked: true }))],
    ['the key has expired', ({ keys }) => keys.set(KEY_ID, record({ expires: iso(NOW_MS) }))],
    ['the key is good only later', ({ keys }) => keys.set(KEY_ID, record({ not_before: iso(NOW_MS + 1) }))],
    ['the key may not be used from here', ({ keys }) => keys.set(KEY_ID, record({ addresses: ['198.51.100.1'] }))],
    [
      'nobody knows from where it is used',
      ({ keys, state }) => {
        keys.set(KEY_ID, record({ addresses: ['192.0.2.1'] }));
        state.clientIp = undefined;
      },
    ],
    ['its secret is another', ({ keys }) => keys.set(KEY_ID, record({ sha256: 'ab'.repeat(32) }))],
    ['its tenant is another', ({ keys }) => keys.set(KEY_ID, record({ tenant: 'tenant-b' }))],
    ['its tier is another', ({ keys }) => keys.set(KEY_ID, record({ tier: 'free' }))],
    ['it lost a role', ({ keys }) => keys.set(KEY_ID, record({ roles: ['reader'] }))],
    ['it got another subject', ({ keys }) => keys.set(KEY_ID, record({ subject: 'other' }))],
    ['it was limited to models', ({ keys }) => keys.set(KEY_ID, record({ models: ['mistral-7b'] }))],
  ])('is refused from the moment that %s, though it is remembered', async (_name, change) => {
    const opened = await openExchange();
    const token = await opened.token();
    expect(await judge(opened, token)).toMatchObject({ kind: 'verified' });
    change(opened);
    expect(await judge(opened, token)).toMatchObject(REFUSED);
    opened.state.down = true;
    expect(await judge(opened, token)).toMatchObject({ kind: 'refused', code: 'issuer_unavailable' });
  });

  test('is refused from its last second on, without leeway', async () => {
    const opened = await openExchange();
    const token = await opened.token();
    await opened.time.advance(299_999);
    expect(await judge(opened, token)).toMatchObject({ kind: 'verified' });
    await opened.time.advance(1);
    expect(await judge(opened, token)).toMatchObject(REFUSED);
  });

  test.each<[string, object]>([
    ['without a key', { key_id: undefined }],
    ['with a number for a key', { key_id: 1 }],
    ['with an unknown key', { key_id: '__proto__' }],
    ['for another audience', { aud: 'sallyport' }],
    ['that lives longer', { exp: NOW_SECONDS + 301 }],
    ['without `iat`', { iat: undefined }],
    ['without `jti`', { jti: undefined }],
    ['with a tenant of its own', { tenant: 'tenant-b' }],
    ['with a role more', { roles: ['reader', 'writer', 'admin'] }],
    ['with models of its own', { models: ['llama-3-8b'] }],
  ])('is refused %s, even if our own key signed it', async (_name, changes) => {
    const opened = await openExchange();
    const claims = { ...decodeJwt(await opened.token()), ...changes };
    expect(await judge(opened, await opened.signer.sign(claims))).toMatchObject(REFUSED);
  });

  test('is refused with another type, and as another issuer’s', async () => {
    const other = testKey('ES256', 'other');
    const opened = await openExchange({}, [await jwtIssuer({}, [publicJwk(other)])]);
    const claims = decodeJwt(await opened.token());
    const forged = signToken(other, claims, { alg: 'ES256', typ: 'at+jwt', kid: other.kid });
    expect(await judge(opened, forged)).toMatchObject(REFUSED);
    const [, body = '', signature = ''] = (await opened.token()).split('.');
    expect(await judge(opened, `${encode({ alg: 'none', typ: 'at+jwt' })}.${body}.${signature}`)).toMatchObject(
      REFUSED,
    );
    // Another issuer's token is not asked for a key, whatever it says of one.
    const theirs = signToken(other, payload({ key_id: 'nobody' }));
    expect(await judge(opened, theirs)).toMatchObject({ kind: 'verified', principal: { tenant: 'tenant-a' } });
  });
});
