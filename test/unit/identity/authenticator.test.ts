import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type AuthenticatorOptions, createAuthenticator, createChain } from '../../../src/identity/authenticator.ts';
import { DEFAULT_CLAIMS } from '../../../src/identity/config.ts';
import type { CredentialMethod, Found } from '../../../src/identity/credential-method.ts';
import { createOAuth } from '../../../src/identity/oauth.ts';
import {
  AT,
  INVALID,
  jwks,
  manualTime,
  payload,
  publicJwk,
  request,
  settings,
  testKey,
  token,
  turn,
} from './support.ts';

const ANONYMOUS = { kind: 'anonymous', peer: null, stripHeaders: [] };
const key = testKey('ES256');
const bearer = (signer = key) => `Bearer ${token(signer, payload())}`;

function optionsOf(config: AuthenticatorOptions['config']) {
  const time = manualTime();
  const options: AuthenticatorOptions = {
    config,
    clock: time.clock,
    startTimer: time.startTimer,
    random: () => 0.5,
    fetch: () => Promise.reject(new Error('nothing is fetched here')),
    readFile: (path) => readFile(path),
    report: () => {},
  };
  return { options, time };
}

describe('without an issuer', () => {
  test.each([[], ['Bearer x'], ['Basic x'], ['Bearer a', 'Bearer b'], ['Bearer none.none.none']])(
    'Authorization is not looked at: %s',
    async (...values) => {
      const authenticator = createAuthenticator(optionsOf({}).options);
      await authenticator.start();
      expect(authenticator.authenticate(request(...values), AT)).toEqual(ANONYMOUS);
      expect(authenticator.ready()).toEqual({ ready: true, reasons: [] });
      authenticator.stop();
    },
  );
});

describe('with introspection and no issuer of JWTs', () => {
  const config = {
    introspection: [
      {
        issuer: 'https://opaque.test',
        url: 'https://opaque.test/introspect',
        client_id: 'gateway',
        client_secret: 'secret',
        audiences: ['sallyport'],
        claims: DEFAULT_CLAIMS,
        cache_ttl_seconds: 0,
        negative_ttl_seconds: 0,
        deadline_ms: 200,
        max_in_flight: 4,
        cache_max_entries: 10,
      },
    ],
  };

  test.each([bearer().slice('Bearer '.length), 'sp_abc', 'opaque', 'a.b.c.d.e'])(
    'every token is asked about, whatever its form: %s',
    async (presented) => {
      const { options } = optionsOf(config);
      const asked: string[] = [];
      const { methods } = createOAuth({
        ...options,
        refusals: { isRepeated: () => false, count: () => {} },
        newTokenId: () => 'id',
        report: () => {},
        fetch: async (_url, { body }) => {
          asked.push(new URLSearchParams(body).get('token') ?? '');
          return {
            status: 200,
            body: (async function* () {
              yield Buffer.from('{"active":false}');
            })(),
          };
        },
      });
      const authenticator = createAuthenticator({ ...options, methods });
      expect(await authenticator.authenticate(request(`Bearer ${presented}`), AT)).toMatchObject(INVALID);
      expect(asked).toEqual([presented]);
    },
  );
});

describe('with an issuer whose keys are in a file', () => {
  let folder: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-identity-'));
    file = join(folder, 'jwks.json');
  });
  afterEach(() => rm(folder, { recursive: true }));

  const withFile = (forward = true) =>
    optionsOf({
      jwt: {
        issuers: [
          {
            ...settings({ forward }),
            jwks: { file, cooldown_seconds: 30, max_age_seconds: 3600, timeout_ms: 2000 },
          },
        ],
        max_token_bytes: 8192,
        cache_ttl_seconds: 60,
        cache_max_entries: 100,
      },
    });

  /** Reading a file takes real time: waits for what it leads to. */
  const seen = (what: () => unknown) => expect.poll(what, { timeout: 20_000 });

  test('no header is anonymous, a good token verified, a bad one refused', async () => {
    await writeFile(file, jwks(publicJwk(key)));
    const { options } = withFile();
    const authenticator = createAuthenticator(options);
    await authenticator.start();
    expect(authenticator.authenticate(request(), AT)).toEqual(ANONYMOUS);
    expect(await authenticator.authenticate(request(bearer()), AT)).toMatchObject({ kind: 'verified' });
    expect(await authenticator.authenticate(request(bearer(testKey('ES256'))), AT)).toMatchObject(INVALID);
    authenticator.stop();
  });

  test('the file is read again when it changes; what is broken or gone leaves the last good keys', async () => {
    await writeFile(file, jwks(publicJwk(key)));
    const { options, time } = withFile();
    const events: string[] = [];
    const authenticator = createAuthenticator({
      ...options,
      report: (event) => events.push(event.kind === 'loaded' ? `${event.keys} ${event.changed}` : 'failed'),
    });
    const found = async (signer: typeof key) => {
      const { kind } = await authenticator.authenticate(request(bearer(signer)), time.clock.now());
      return kind;
    };
    await authenticator.start();
    const next = testKey('ES256', 'next');
    await writeFile(file, '{"keys":');
    await time.advance(6000);
    await seen(() => events).toEqual(['1 true', 'failed']);
    expect(await found(key)).toBe('verified');
    await rm(file);
    await turn();
    await time.advance(6000);
    await seen(() => events.length).toBe(3);
    expect(await found(key)).toBe('verified');
    await writeFile(file, jwks(publicJwk(next)));
    await turn();
    await time.advance(6000);
    await seen(() => events).toEqual(['1 true', 'failed', 'failed', '1 true']);
    expect(await found(next)).toBe('verified');
    expect(await found(key)).toBe('refused');
    authenticator.stop();
    expect(time.pending()).toBe(0);
  });

  test('a file that is missing at start leaves the issuer unavailable, not the process dead', async () => {
    const { options } = withFile();
    const authenticator = createAuthenticator(options);
    await authenticator.start();
    expect(authenticator.ready()).toMatchObject({ ready: false, reasons: [expect.stringContaining('ENOENT')] });
    expect(await authenticator.authenticate(request(bearer()), AT)).toMatchObject({ code: 'issuer_unavailable' });
    authenticator.stop();
  });
});

describe('with API keys', () => {
  const api_keys = { file: 'keys.yaml', cache_max_entries: 10 };
  const keyDirectory = {
    find: () => undefined,
    start: () => Promise.resolve(),
    stop: () => {},
    fault: () => 'not loaded',
  };
  const issuers = [
    { ...settings(), jwks: { url: 'https://a.test', cooldown_seconds: 30, max_age_seconds: 3600, timeout_ms: 2000 } },
  ];
  const jwt = { issuers, max_token_bytes: 8192, cache_ttl_seconds: 60, cache_max_entries: 100 };

  test('a key is looked up and never read as a token', () => {
    const { options } = optionsOf({ api_keys, jwt });
    const found = createAuthenticator({ ...options, keyDirectory }).authenticate(request('Bearer sp_a_b'), AT);
    expect(found).toMatchObject({ kind: 'refused', code: 'invalid_credential' });
  });

  test('the directory’s fault is one of the reasons not to be ready', () => {
    const { options } = optionsOf({ api_keys });
    expect(createAuthenticator({ ...options, keyDirectory }).ready().reasons).toEqual(['API keys: not loaded']);
  });

  test('and no directory nothing starts', () => {
    expect(() => createAuthenticator(optionsOf({ api_keys }).options)).toThrow('no key directory');
  });
});

test('with mTLS the peer that the gateway names is who asks', () => {
  const { options } = optionsOf({ mtls: { trust_domains: ['td'], from_listener: false } });
  const { authenticate } = createAuthenticator(options);
  const named = (sourcePrincipal: string) => authenticate({ ...request(), sourcePrincipal }, AT);
  expect(named('spiffe://td/web')).toMatchObject({ kind: 'verified', principal: { kind: 'mtls' } });
  expect(named('spiffe://other/web')).toMatchObject({ kind: 'refused', code: 'invalid_credential' });
  const without = createAuthenticator(optionsOf({}).options).authenticate;
  expect(without({ ...request(), sourcePrincipal: 'spiffe://td/web' }, AT)).toEqual(ANONYMOUS);
});

describe('a chain of methods', () => {
  const verified = (kind: 'jwt' | 'api_key'): Found => ({
    kind: 'verified',
    principal: { kind, roles: [], scopes: [], claims: {}, credentials: [], demo: false },
    peer: null,
    stripHeaders: [],
  });
  const refused: Found = { kind: 'refused', code: 'invalid_credential', cause: 'bad' };
  const method = (found: Found, faults: readonly string[] = []): CredentialMethod => ({
    authenticate: () => found,
    start: () => Promise.resolve(),
    stop: () => {},
    faults: () => faults,
  });
  const answer = (...methods: readonly CredentialMethod[]) =>
    createChain(methods, { now: () => AT }).authenticate(request(), AT);

  test('nothing presented is anonymous', async () => {
    expect(await answer(method(undefined), method(undefined))).toEqual(ANONYMOUS);
  });

  test('one good credential is the answer, wherever it stands', async () => {
    expect(await answer(method(verified('jwt')), method(undefined))).toEqual(verified('jwt'));
    expect(await answer(method(undefined), method(verified('api_key')))).toEqual(verified('api_key'));
  });

  test('a bad credential beside a good one ends the request', async () => {
    expect(await answer(method(verified('jwt')), method(refused))).toEqual(refused);
    expect(await answer(method(refused), method(verified('jwt')))).toEqual(refused);
  });

  test('is ready when every method is', () => {
    const clock = { now: () => AT };
    expect(createChain([method(undefined), method(undefined, ['b'])], clock).ready()).toEqual({
      ready: false,
      reasons: ['b'],
    });
  });
});
