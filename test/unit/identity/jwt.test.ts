import { describe, expect, test } from 'vitest';
import { SIGNATURE_ALGORITHMS } from '../../../src/identity/config.ts';
import type { KeySource } from '../../../src/identity/jwks.ts';
import { importKeySet, type KeySet, parseKeySet } from '../../../src/identity/key-set.ts';
import {
  AT,
  AUDIENCE,
  fixedKeys,
  INVALID,
  ISSUER,
  jwks,
  jwtIssuer,
  jwtMethod,
  later,
  NOW_SECONDS,
  payload,
  publicJwk,
  request,
  rsaKey,
  testKey,
  token,
  verdictOf,
} from './support.ts';

const key = testKey('ES256');
const method = jwtMethod(await jwtIssuer({}, [publicJwk(key)]));
const bearer = (claims: { readonly [claim: string]: unknown } = {}) => `Bearer ${token(key, payload(claims))}`;
const principalOf = async (authorization: string, of = method) => {
  const found = await verdictOf(of, authorization);
  if (found?.kind !== 'verified') throw new Error(`not verified: ${JSON.stringify(found)}`);
  return found.principal;
};

/** A key source whose set the test exchanges. */
function changeable(first: KeySet | undefined): KeySource & { set: KeySet | undefined; refreshes: number } {
  return {
    set: first,
    refreshes: 0,
    current() {
      return this.set;
    },
    refresh() {
      this.refreshes += 1;
      return Promise.resolve();
    },
    start: () => Promise.resolve(),
    stop: () => {},
    fault: () => undefined,
  };
}

describe('valid tokens are accepted', () => {
  test.each(SIGNATURE_ALGORITHMS)('%s', async (algorithm) => {
    const own = testKey(algorithm);
    const of = jwtMethod(await jwtIssuer({ algorithms: [algorithm] }, [publicJwk(own)]));
    for (let round = 0; round < 20; round += 1) {
      const presented = `Bearer ${token(own, payload({ sub: `user-${round}` }))}`;
      expect(await verdictOf(of, presented)).toMatchObject({
        kind: 'verified',
        principal: { subject: `user-${round}` },
      });
    }
  });

  test.each([
    ['typ JWT', { typ: 'JWT' }],
    ['typ at+jwt', { typ: 'at+jwt' }],
    ['typ application/at+jwt', { typ: 'application/at+jwt' }],
    ['typ in lower case', { typ: 'jwt' }],
    ['thumbprints, which are not looked at', { x5t: 'AAAA', 'x5t#S256': 'AAAA' }],
  ])('header: %s', async (_name, members) => {
    const presented = token(key, payload(), { alg: 'ES256', kid: key.kid, ...members });
    expect(await verdictOf(method, `Bearer ${presented}`)).toMatchObject({ kind: 'verified' });
  });

  test.each(['bearer', 'BEARER', 'bEaReR'])('scheme %s', async (scheme) => {
    expect(await verdictOf(method, `${scheme} ${token(key, payload())}`)).toMatchObject({ kind: 'verified' });
  });

  test.each([
    ['aud a list that holds ours', { aud: ['other', AUDIENCE] }],
    ['no sub', { sub: undefined }],
    ['no iat', { iat: undefined }],
    ['fractions of seconds', { exp: NOW_SECONDS + 0.5, iat: NOW_SECONDS - 0.5 }],
    ['an exp beyond 2^53', { exp: 9.3e15 }],
    ['members called like inherited ones', { constructor: 'x', toString: 'y', hasOwnProperty: 'z' }],
  ])('claims: %s', async (_name, claims) => {
    expect(await verdictOf(method, bearer(claims))).toMatchObject({ kind: 'verified' });
  });

  test('an exp of 2^63 − 1, as Java writes "never"', async () => {
    const text = JSON.stringify(payload()).replace(/"exp":\d+/, '"exp":9223372036854775807');
    expect(await verdictOf(method, `Bearer ${token(key, text)}`)).toMatchObject({ kind: 'verified' });
  });

  test('no header is no credential', async () => {
    expect(await verdictOf(method, [])).toBeUndefined();
  });
});

describe('the principal', () => {
  test('holds what the token says, and the header as it was presented', async () => {
    const presented = bearer({ scope: 'a b', note: { deep: [1, true, null] } });
    expect(await principalOf(presented)).toEqual({
      kind: 'jwt',
      subject: 'user-1',
      issuer: ISSUER,
      tenant: 'tenant-a',
      tier: 'premium',
      roles: ['reader'],
      scopes: ['a', 'b'],
      claims: payload({ scope: 'a b', note: { deep: [1, true, null] } }),
      demo: false,
      credentials: [{ kind: 'jwt', issuer: ISSUER, keyId: key.kid, header: 'authorization', presented }],
    });
  });

  test('what the token does not say is absent', async () => {
    const bare = bearer({ sub: undefined, tenant: undefined, tier: undefined, roles: undefined });
    const principal = await principalOf(bare);
    expect(Object.keys(principal)).not.toEqual(expect.arrayContaining(['tenant']));
    for (const name of ['subject', 'tenant', 'tier', 'keyId']) expect(Object.hasOwn(principal, name), name).toBe(false);
    expect(principal).toMatchObject({ roles: [], scopes: [] });
  });

  test('claims are mapped by name or by JSON pointer, a dot or a slash within a name being part of it', async () => {
    const claims = { tenant: 'https://x.test/tenant', roles: '/realm~1a/ro~0les', tier: 'a.b', scopes: '/scp' };
    const of = jwtMethod(await jwtIssuer({ claims }, [publicJwk(key)]));
    const presented = bearer({
      'https://x.test/tenant': 't1',
      'realm/a': { 'ro~les': ['r1', 'r2'] },
      'a.b': 'gold',
      a: { b: 'lead' },
      scp: ['s1', 's2'],
    });
    expect(await principalOf(presented, of)).toMatchObject({
      tenant: 't1',
      roles: ['r1', 'r2'],
      tier: 'gold',
      scopes: ['s1', 's2'],
    });
  });

  test.each(['__proto__', 'constructor', 'toString', '/__proto__/x', '/constructor/name'])(
    'a mapping of %s finds own claims only',
    async (name) => {
      const claims = { tenant: name, roles: 'roles', tier: 'tier', scopes: 'scope' };
      const of = jwtMethod(await jwtIssuer({ claims }, [publicJwk(key)]));
      expect(Object.hasOwn(await principalOf(bearer(), of), 'tenant')).toBe(false);
    },
  );

  test('a pointer through something that is no object is refused', async () => {
    const claims = { tenant: '/a/b', roles: 'roles', tier: 'tier', scopes: 'scope' };
    const of = jwtMethod(await jwtIssuer({ claims }, [publicJwk(key)]));
    expect(await verdictOf(of, bearer({ a: 'text' }))).toMatchObject(INVALID);
    expect(await verdictOf(of, bearer({ a: ['b'] }))).toMatchObject(INVALID);
  });

  test('a `__proto__` claim is a claim like any other', async () => {
    const text = JSON.stringify(payload({ tenant: undefined })).replace('{', '{"__proto__":{"tenant":"tenant-b"},');
    const principal = await principalOf(`Bearer ${token(key, text)}`);
    expect(Object.hasOwn(principal, 'tenant')).toBe(false);
    expect(Object.hasOwn(principal.claims, '__proto__')).toBe(true);
    expect(Object.getPrototypeOf(principal.claims)).toBe(Object.prototype);
  });

  test('integers beyond 2^53 keep every digit', async () => {
    const text = JSON.stringify(payload()).replace('{', '{"account":12345678901234567890,"small":1234567890123456,');
    const { claims } = await principalOf(`Bearer ${token(key, text)}`);
    expect(claims).toMatchObject({ account: 12345678901234567890n, small: 1234567890123456 });
  });

  test('one text is one role, never split', async () => {
    expect(await principalOf(bearer({ roles: 'reader' }))).toMatchObject({ roles: ['reader'] });
    expect(await verdictOf(method, bearer({ roles: 'reader admin' }))).toMatchObject(INVALID);
  });

  test('shared claims cannot be changed by one request for the next', async () => {
    const presented = bearer({ nested: { list: [1] } });
    const { claims } = await principalOf(presented);
    expect(Object.isFrozen(claims)).toBe(true);
    expect(() => Object.assign(claims['nested'] as object, { list: [] })).toThrow(TypeError);
  });

  test.each([
    [true, []],
    [false, ['authorization']],
  ])('with forward %s the headers to strip are %j', async (forward, stripHeaders) => {
    const of = jwtMethod(await jwtIssuer({ forward }, [publicJwk(key)]));
    expect(await verdictOf(of, bearer())).toMatchObject({ stripHeaders });
  });
});

describe('times are judged to the millisecond, leeway included, cold and warm', () => {
  const edges = [
    { name: 'exp', claims: { exp: NOW_SECONDS + 100 }, lastGoodMs: 129_999, firstBadMs: 130_000 },
    { name: 'exp with a fraction', claims: { exp: NOW_SECONDS + 0.25 }, lastGoodMs: 30_249, firstBadMs: 30_250 },
    { name: 'nbf', claims: { nbf: NOW_SECONDS + 100 }, lastGoodMs: 70_000, firstBadMs: 69_999 },
    { name: 'iat', claims: { iat: NOW_SECONDS + 100 }, lastGoodMs: 70_000, firstBadMs: 69_999 },
  ];
  test.each(edges)('$name', async ({ claims, lastGoodMs, firstBadMs }) => {
    const good = { epochMs: AT.epochMs + lastGoodMs, monotonicMs: AT.monotonicMs };
    const bad = { epochMs: AT.epochMs + firstBadMs, monotonicMs: AT.monotonicMs };
    const cold = jwtMethod(await jwtIssuer({}, [publicJwk(key)]));
    const presented = bearer(claims);
    expect(await verdictOf(cold, presented, bad)).toMatchObject(INVALID);
    expect(await verdictOf(cold, presented, good)).toMatchObject({ kind: 'verified' });
    const warm = cold.authenticate(request(presented), good);
    expect(warm).not.toBeInstanceOf(Promise);
    expect(cold.authenticate(request(presented), bad)).toMatchObject(INVALID);
  });

  test('a broken clock refuses', async () => {
    const broken = { epochMs: Number.NaN, monotonicMs: AT.monotonicMs };
    const presented = bearer();
    expect(await verdictOf(method, presented)).toMatchObject({ kind: 'verified' });
    expect(await verdictOf(method, presented, broken)).toMatchObject(INVALID);
  });
});

describe('which key verifies', () => {
  const second = testKey('ES256', 'second');

  test('no kid: the only suitable key, else refused', async () => {
    const unnamed = `Bearer ${token(key, payload(), { alg: 'ES256' })}`;
    const rsa = { ...testKey('RS256'), ...rsaKey('ours') };
    const algorithms = ['ES256', 'RS256'] as const;
    const one = jwtMethod(await jwtIssuer({ algorithms }, [publicJwk(key), publicJwk(rsa)]));
    const two = jwtMethod(await jwtIssuer({ algorithms }, [publicJwk(key), publicJwk(second)]));
    expect(await verdictOf(one, unnamed)).toMatchObject({ kind: 'verified' });
    expect(await verdictOf(two, unnamed)).toMatchObject({
      ...INVALID,
      cause: 'the token names no key and its issuer has several',
    });
  });

  test('a kid is never replaced by another key that would verify', async () => {
    const two = jwtMethod(await jwtIssuer({}, [publicJwk(key), publicJwk(second)]));
    const mislabelled = token(key, payload(), { alg: 'ES256', kid: second.kid });
    expect(await verdictOf(two, `Bearer ${mislabelled}`)).toMatchObject({ cause: 'the signature does not verify' });
  });

  test('a key without `alg` verifies what its type and config allow', async () => {
    const rsa = testKey('RS256');
    const { alg: _alg, ...jwk } = publicJwk(rsa);
    const of = jwtMethod(await jwtIssuer({ algorithms: ['RS256', 'PS256'] }, [jwk]));
    expect(await verdictOf(of, `Bearer ${token(rsa, payload())}`)).toMatchObject({ kind: 'verified' });
    const pss = { ...rsa, algorithm: 'PS256' as const };
    expect(await verdictOf(of, `Bearer ${token(pss, payload())}`)).toMatchObject({ kind: 'verified' });
    const other = { ...rsa, algorithm: 'RS512' as const };
    expect(await verdictOf(of, `Bearer ${token(other, payload())}`)).toMatchObject({
      cause: 'the algorithm is not one of this issuer',
    });
  });

  test('an unknown kid asks for newer keys once and then uses them', async () => {
    const source = changeable(await importKeySet(parseKeySet(jwks(publicJwk(key))), ['ES256']));
    const newer = await importKeySet(parseKeySet(jwks(publicJwk(second))), ['ES256']);
    const of = jwtMethod(await jwtIssuer({}, source));
    source.refresh = () => {
      source.set = newer;
      return Promise.resolve();
    };
    expect(await verdictOf(of, `Bearer ${token(second, payload())}`)).toMatchObject({ kind: 'verified' });
  });

  test('without keys the answer is `issuer_unavailable`, also for a token that was verified before', async () => {
    const source = changeable(await importKeySet(parseKeySet(jwks(publicJwk(key))), ['ES256']));
    const of = jwtMethod(await jwtIssuer({}, source));
    const presented = bearer();
    expect(await verdictOf(of, presented)).toMatchObject({ kind: 'verified' });
    source.set = undefined;
    expect(await verdictOf(of, presented)).toEqual({
      kind: 'refused',
      code: 'issuer_unavailable',
      cause: 'the keys of the issuer are not available',
    });
  });

  test('one issuer cannot speak for another, even with a key of the same name', async () => {
    const evil = testKey('ES256', 'evil');
    const of = jwtMethod(
      await jwtIssuer({}, [publicJwk(key)]),
      await jwtIssuer({ issuer: 'https://evil.test' }, [publicJwk(evil, { kid: key.kid })]),
    );
    const forged = token(evil, payload(), { alg: 'ES256', kid: key.kid });
    expect(await verdictOf(of, `Bearer ${forged}`)).toMatchObject(INVALID);
    expect(await verdictOf(of, bearer())).toMatchObject({ kind: 'verified', principal: { issuer: ISSUER } });
  });
});

describe('a verified token is remembered', () => {
  test('and answered at once, with the header of the second request', async () => {
    const of = jwtMethod(await jwtIssuer({}, [publicJwk(key)]));
    const raw = token(key, payload());
    await verdictOf(of, `Bearer ${raw}`);
    const warm = of.authenticate(request(`bearer ${raw}`), AT);
    expect(warm).toMatchObject({
      kind: 'verified',
      principal: { credentials: [{ presented: `bearer ${raw}` }] },
    });
  });

  test('for at most 60 s, whatever it is told', async () => {
    const { createJwtMethod } = await import('../../../src/identity/jwt.ts');
    const issuer = await jwtIssuer({}, [publicJwk(key)]);
    const of = createJwtMethod({ issuers: [issuer], maxTokenBytes: 8192, cacheTtlMs: 1e9, cacheMaxEntries: 10 });
    const presented = bearer({ exp: NOW_SECONDS + 3600 });
    await verdictOf(of, presented);
    expect(of.authenticate(request(presented), later(59_999))).not.toBeInstanceOf(Promise);
    expect(of.authenticate(request(presented), later(60_000))).toBeInstanceOf(Promise);
  });

  test('a refused one is not: it is verified and refused each time', async () => {
    const of = jwtMethod(await jwtIssuer({}, [publicJwk(key)]));
    const forged = `Bearer ${token({ ...testKey('ES256', 'foreign'), kid: key.kid }, payload())}`;
    for (let round = 0; round < 3; round += 1) {
      const found = of.authenticate(request(forged), AT);
      expect(found).toBeInstanceOf(Promise);
      expect(await found).toMatchObject(INVALID);
    }
  });

  test('only until the keys change; then it is judged by the new ones', async () => {
    const source = changeable(await importKeySet(parseKeySet(jwks(publicJwk(key))), ['ES256']));
    const of = jwtMethod(await jwtIssuer({}, source));
    const presented = bearer();
    await verdictOf(of, presented);
    source.set = await importKeySet(parseKeySet(jwks(publicJwk(testKey('ES256', 'next')))), ['ES256']);
    expect(await verdictOf(of, presented)).toMatchObject({
      ...INVALID,
      cause: 'the token names a key that its issuer does not publish',
    });
  });

  test('not when the keys changed while it was being verified', async () => {
    const first = await importKeySet(parseKeySet(jwks(publicJwk(key))), ['ES256']);
    const source = changeable(first);
    const of = jwtMethod(await jwtIssuer({}, source));
    const presented = bearer();
    const pending = of.authenticate(request(presented), AT);
    source.set = await importKeySet(parseKeySet(jwks(publicJwk(testKey('ES256', 'next')))), ['ES256']);
    expect(await pending).toMatchObject({ kind: 'verified' });
    expect(await verdictOf(of, presented)).toMatchObject(INVALID);
  });

  test('an unknown key name does not touch what is remembered', async () => {
    const source = await fixedKeys(['ES256'], publicJwk(key));
    const of = jwtMethod(await jwtIssuer({}, source));
    const presented = bearer();
    await verdictOf(of, presented);
    for (let round = 0; round < 1000; round += 1) {
      await verdictOf(of, `Bearer ${token({ ...key, kid: `random-${round}` }, payload())}`);
    }
    expect(of.authenticate(request(presented), AT)).toMatchObject({ kind: 'verified' });
  });
});

test('one frozen principal stands for all requests that present a token in the same way, and for no others', async () => {
  const presented = bearer({ sub: 'again' });
  const first = await principalOf(presented);
  expect(await principalOf(presented)).toBe(first);
  expect(Object.isFrozen(first) && Object.isFrozen(first.credentials) && first.credentials.every(Object.isFrozen)).toBe(
    true,
  );
  const lower = await principalOf(presented.replace('Bearer', 'bearer'));
  expect(lower).not.toBe(first);
  expect(lower.credentials[0]?.presented).toBe(presented.replace('Bearer', 'bearer'));
  expect(await principalOf(bearer({ sub: 'another' }))).not.toEqual(first);
  expect((await principalOf(presented)).credentials[0]?.presented).toBe(presented);
});
