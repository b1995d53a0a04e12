import { describe, expect, test } from 'vitest';
import type { Peer, Principal } from '../../../src/decision/principal.ts';
import { createChain } from '../../../src/identity/authenticator.ts';
import type { CredentialMethod, Found } from '../../../src/identity/credential-method.ts';
import type { PeerFound } from '../../../src/identity/mtls-peers.ts';
import { AT, request } from './support.ts';

const PEER: Peer = { spiffeId: 'spiffe://td/web', trustDomain: 'td', dnsSans: [] };
const REFUSED = { kind: 'refused', code: 'invalid_credential', cause: 'bad' } as const;
const ANONYMOUS = { kind: 'anonymous', peer: null, stripHeaders: [] };

function principal(kind: 'jwt' | 'api_key', more: Partial<Principal> = {}): Principal {
  const credentials = [{ kind, header: kind === 'jwt' ? 'authorization' : 'x-api-key' }];
  return { kind, tenant: 'tenant-a', roles: [kind], scopes: [], claims: {}, credentials, demo: false, ...more };
}

function verified(one: Principal): Found {
  const stripHeaders = one.credentials.flatMap(({ header }) => (header === undefined ? [] : [header]));
  return { kind: 'verified', principal: one, peer: null, stripHeaders };
}

const jwt = (more: Partial<Principal> = {}): Found => verified(principal('jwt', { subject: 'alice', ...more }));
const key = (more: Partial<Principal> = {}): Found => verified(principal('api_key', { keyId: 'key-1', ...more }));

interface Asked {
  readonly peers: (Peer | null | undefined)[];
}

function method(found: Found, asked: Asked = { peers: [] }, late = false): CredentialMethod {
  return {
    authenticate: (_request, _at, peer) => {
      asked.peers.push(peer);
      return late ? Promise.resolve(found) : found;
    },
    start: () => Promise.resolve(),
    stop: () => {},
    faults: () => [],
  };
}

const clock = { now: () => AT };

function answer(peer: PeerFound, ...found: readonly Found[]) {
  const chain = createChain(
    found.map((one) => method(one)),
    clock,
    () => peer,
  );
  return chain.authenticate(request(), AT);
}

describe('a peer', () => {
  test('alone asks for itself', () => {
    for (const found of [answer(PEER), answer(PEER, undefined), answer(PEER, undefined, undefined)]) {
      expect(found).toMatchObject({
        kind: 'verified',
        principal: { kind: 'mtls', subject: 'spiffe://td/web', roles: [] },
        peer: PEER,
        stripHeaders: [],
      });
    }
  });

  test('that is known by a fingerprint only is not who asks', () => {
    const peer = { dnsSans: [], fingerprintSha256: 'ab' };
    expect(answer(peer, undefined)).toEqual({ ...ANONYMOUS, peer });
  });

  test('beside a credential is told, and the credential says who asks', () => {
    expect(answer(PEER, jwt())).toMatchObject({ kind: 'verified', principal: { kind: 'jwt' }, peer: PEER });
    expect(answer(PEER, undefined, key())).toMatchObject({ principal: { kind: 'api_key' }, peer: PEER });
  });

  test('beside a bad credential is who is refused', () => {
    expect(answer(PEER, REFUSED)).toEqual({ ...REFUSED, peer: PEER });
    expect(answer(null, REFUSED)).toEqual(REFUSED);
  });

  test('that cannot hold ends the request before any credential is looked at', () => {
    const asked: Asked = { peers: [] };
    const chain = createChain([method(jwt(), asked), method(key(), asked)], clock, () => REFUSED);
    expect(chain.authenticate(request(), AT)).toBe(REFUSED);
    expect(asked.peers).toEqual([]);
  });

  test('is told to every method', async () => {
    const asked: Asked = { peers: [] };
    await createChain([method(undefined, asked), method(undefined, asked)], clock, () => PEER).authenticate(
      request(),
      AT,
    );
    await createChain([method(undefined, asked)], clock).authenticate(request(), AT);
    expect(asked.peers).toEqual([PEER, PEER, null]);
  });
});

describe('an API key and a token', () => {
  test('of one tenant are one principal: the token’s, with what the key limits', () => {
    const credentials = [...principal('jwt').credentials, ...principal('api_key').credentials];
    expect(answer(PEER, jwt({ scopes: ['read'] }), key({ tier: 'free', models: ['m'] }))).toEqual({
      kind: 'verified',
      principal: principal('jwt', {
        subject: 'alice',
        scopes: ['read'],
        keyId: 'key-1',
        tier: 'free',
        models: ['m'],
        credentials,
      }),
      peer: PEER,
      stripHeaders: ['authorization', 'x-api-key'],
    });
  });

  test('in whatever order, at once or late', async () => {
    const wanted = answer(null, jwt(), key());
    expect(answer(null, key(), jwt())).toEqual(wanted);
    const chain = createChain([method(key(), undefined, true), method(jwt())], clock);
    expect(await chain.authenticate(request(), AT)).toEqual(wanted);
  });

  test('keep the token’s tier and roles', () => {
    expect(answer(null, jwt({ tier: 'free' }), key({ tier: 'premium' }))).toMatchObject({
      principal: { tier: 'free', roles: ['jwt'] },
    });
  });

  test.each<[string, Partial<Principal>, Partial<Principal>, readonly string[] | undefined]>([
    ['neither', {}, {}, undefined],
    ['the key', {}, { models: ['a'] }, ['a']],
    ['the token', { models: ['a'] }, {}, ['a']],
    ['both', { models: ['a', 'b'] }, { models: ['b', 'c'] }, ['b']],
    ['both, and nothing is left', { models: ['a'] }, { models: ['c'] }, []],
  ])('are good for the models that %s names', (_title, token, apiKey, models) => {
    const found = answer(null, jwt(token), key(apiKey));
    expect(found).toMatchObject({ kind: 'verified' });
    expect((found as { principal: Principal }).principal.models).toEqual(models);
  });

  test.each<[string, readonly Found[]]>([
    ['of two tenants', [jwt(), key({ tenant: 'tenant-b' })]],
    ['whose token names no tenant', [verified(without('jwt')), key()]],
    ['whose key names no tenant', [jwt(), verified(without('api_key'))]],
    ['that both name no tenant', [verified(without('jwt')), verified(without('api_key'))]],
    ['whose token was had for another key', [jwt({ keyId: 'key-2' }), key()]],
    ['whose token was had for this very key', [jwt({ keyId: 'key-1' }), key({ keyId: 'key-1' })]],
    ['beside a third credential', [jwt(), key(), key()]],
  ])('%s are refused', (_title, found) => {
    expect(answer(null, ...found)).toMatchObject({ kind: 'refused', code: 'invalid_credential' });
  });
});

function without(kind: 'jwt' | 'api_key'): Principal {
  const { tenant: _tenant, ...rest } = principal(kind);
  return rest;
}

describe('other credentials', () => {
  test.each<[string, readonly Found[]]>([
    ['two tokens', [jwt(), jwt()]],
    ['two keys', [key(), key()]],
    ['three', [jwt(), jwt(), jwt()]],
  ])('%s are refused', (_title, found) => {
    expect(answer(null, ...found)).toMatchObject({ kind: 'refused', code: 'invalid_credential' });
  });

  test('beside a bad one are refused for it', () => {
    expect(answer(null, jwt(), REFUSED, key())).toBe(REFUSED);
  });
});

describe('a token in `authorization` that no method took', () => {
  const ask = (authorizations: readonly string[], ...found: readonly Found[]) =>
    createChain(
      found.map((one) => method(one)),
      clock,
      () => PEER,
    ).authenticate(request(...authorizations), AT);

  test.each([
    ['Bearer x'],
    ['bearer x.y.z'],
    ['DPoP x'],
    ['Bearer'],
    ['Bearer\tx'],
    ['Basic YTpi, Bearer x'],
    ['Basic YTpi', 'Bearer x'],
  ])('is refused: %s', async (...values) => {
    const refused = { kind: 'refused', code: 'invalid_credential', peer: PEER };
    expect(ask(values, undefined)).toMatchObject(refused);
    expect(ask(values, undefined, undefined)).toMatchObject(refused);
    expect(ask(values, key(), undefined)).toMatchObject(refused);
    const late = createChain([method(undefined, undefined, true), method(key())], clock, () => PEER);
    expect(await late.authenticate(request(...values), AT)).toMatchObject(refused);
  });

  test('is not one that a method took, another scheme, or one where nothing reads tokens', () => {
    expect(ask(['Bearer x'], jwt(), undefined)).toMatchObject({ principal: { kind: 'jwt' } });
    expect(ask(['Basic YTpi'], undefined, key())).toMatchObject({ principal: { kind: 'api_key' } });
    expect(ask(['Bearer x'])).toMatchObject({ principal: { kind: 'mtls' } });
  });
});

describe('a method', () => {
  test('that answers at once is not waited for, and no promise is made', () => {
    const one = jwt();
    expect(createChain([method(one)], clock).authenticate(request(), AT)).toBe(one);
    expect(createChain([method(one), method(undefined)], clock).authenticate(request(), AT)).toBe(one);
  });

  test('that throws fails the request, also beside one that answers late', async () => {
    const broken: CredentialMethod = {
      ...method(undefined),
      authenticate: () => {
        throw new Error('bug');
      },
    };
    const failing: CredentialMethod = { ...method(undefined), authenticate: () => Promise.reject(new Error('late')) };
    await expect(createChain([failing, broken], clock).authenticate(request(), AT)).rejects.toThrow();
    await expect(createChain([broken, method(jwt())], clock).authenticate(request(), AT)).rejects.toThrow('bug');
  });
});
