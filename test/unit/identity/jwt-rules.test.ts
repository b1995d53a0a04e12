import { describe, expect, test } from 'vitest';
import { isApiKey } from '../../../src/identity/api-key-format.ts';
import { hasJwsForm } from '../../../src/identity/compact-jws.ts';
import type { IssuerSettings } from '../../../src/identity/jwt.ts';
import {
  AT,
  encode,
  INVALID,
  jwtIssuer,
  jwtMethod,
  jwtMethodWith,
  NOW_SECONDS,
  payload,
  publicJwk,
  request,
  testKey,
  token,
  verdictOf,
} from './support.ts';

const key = testKey('ES256');
const ACCEPTED = { kind: 'verified' };

async function judged(
  rules: Partial<IssuerSettings>,
  claims: { readonly [claim: string]: unknown },
  header: { readonly [member: string]: unknown } = {},
) {
  const method = jwtMethod(await jwtIssuer(rules, [publicJwk(key)]));
  const presented = token(key, payload(claims), { alg: key.algorithm, kid: key.kid, ...header });
  return verdictOf(method, `Bearer ${presented}`);
}

describe('the types that an issuer names', () => {
  const accepted: readonly (readonly [readonly string[], string])[] = [
    [['at+jwt'], 'at+jwt'],
    [['at+jwt'], 'AT+JWT'],
    [['at+jwt'], 'application/at+jwt'],
    [['application/at+jwt'], 'at+jwt'],
    [['JWT'], 'jwt'],
    [['vendor+jwt', 'JWT'], 'vendor+jwt'],
    [['x/y'], 'X/y'],
  ];
  test.each(accepted)('%j take %s', async (typ, type) => {
    expect(await judged({ typ }, {}, { typ: type })).toMatchObject(ACCEPTED);
  });

  const refused: readonly (readonly [readonly string[], unknown])[] = [
    [['at+jwt'], undefined],
    [['at+jwt'], 'JWT'],
    [['JWT'], 'at+jwt'],
    [['at+jwt'], 'at+jwt '],
    [['at+jwt'], 'xat+jwt'],
    [['at+jwt'], 'application/x/at+jwt'],
    [['at+jwt'], 'application/application/at+jwt'],
    [['at+jwt'], ''],
    [['at+jwt'], null],
    [['at+jwt'], ['at+jwt']],
    [['x/y'], 'application/x/y'],
  ];
  test.each(refused)('%j refuse %j', async (typ, type) => {
    expect(await judged({ typ }, {}, { typ: type })).toMatchObject({
      ...INVALID,
      cause: 'the token is of a type that is not accepted',
    });
  });

  test('one issuer does not choose for another', async () => {
    const other = await jwtIssuer({ issuer: 'https://other.test', typ: ['logout+jwt'] }, [publicJwk(key)]);
    const method = jwtMethod(await jwtIssuer({}, [publicJwk(key)]), other);
    const header = { alg: key.algorithm, kid: key.kid, typ: 'logout+jwt' };
    expect(await verdictOf(method, `Bearer ${token(key, payload(), header)}`)).toMatchObject(INVALID);
    const ofOther = token(key, payload({ iss: 'https://other.test' }), header);
    expect(await verdictOf(method, `Bearer ${ofOther}`)).toMatchObject(ACCEPTED);
  });
});

describe('the claims that an issuer must send', () => {
  test.each([
    [['sub'], {}],
    [['sub', 'jti'], { jti: 'a' }],
    [['/act/sub'], { act: { sub: 'service' } }],
    [['https://x.test/y'], { 'https://x.test/y': false }],
    [['n'], { n: 0 }],
  ])('%j hold with %j', async (required, claims) => {
    expect(await judged({ required_claims: required }, claims)).toMatchObject(ACCEPTED);
  });

  test.each([
    [['jti'], {}],
    [['jti'], { jti: null }],
    [['jti'], { jti: '' }],
    [['jti'], { jti: [] }],
    [['sub', 'jti'], { sub: undefined, jti: 'a' }],
    [['/act/sub'], { act: {} }],
    [['/act/sub'], { act: 'sub' }],
    [['toString'], {}],
    [['__proto__'], {}],
    [['constructor'], {}],
  ])('%j are missed in %j', async (required, claims) => {
    expect(await judged({ required_claims: required }, claims)).toMatchObject(INVALID);
  });
});

describe('the longest lifetime, to the millisecond and without leeway', () => {
  const rules = { max_lifetime_seconds: 300 };
  test.each([
    ['just as long', { iat: NOW_SECONDS, exp: NOW_SECONDS + 300 }],
    ['shorter', { iat: NOW_SECONDS - 0.001, exp: NOW_SECONDS + 299.999 }],
  ])('%s is good', async (_name, claims) => {
    expect(await judged(rules, claims)).toMatchObject(ACCEPTED);
  });

  test.each([
    ['a millisecond longer', { iat: NOW_SECONDS, exp: NOW_SECONDS + 300.001 }],
    ['a second longer', { iat: NOW_SECONDS - 1, exp: NOW_SECONDS + 300 }],
    ['without `iat`', { iat: undefined, exp: NOW_SECONDS + 60 }],
    ['"never"', { iat: NOW_SECONDS, exp: 9.3e15 }],
    ['beyond what milliseconds can count', { iat: NOW_SECONDS, exp: 1e306 }],
    ['an `iat` that is far in the past', { iat: -1e300, exp: NOW_SECONDS + 60 }],
  ])('%s is refused', async (_name, claims) => {
    expect(await judged(rules, claims)).toMatchObject({ ...INVALID, cause: 'the token is good for too long' });
  });
});

describe('a token that ends before it begins', () => {
  test.each([
    ['exp before iat', { iat: NOW_SECONDS + 10, exp: NOW_SECONDS - 10 }],
    ['exp at iat', { iat: NOW_SECONDS, exp: NOW_SECONDS }],
    ['exp before nbf', { iat: undefined, nbf: NOW_SECONDS + 10, exp: NOW_SECONDS - 10 }],
    ['both beyond what milliseconds can count', { iat: 1e306, exp: 1e306 }],
  ])('is refused also within the leeway: %s', async (_name, claims) => {
    expect(await judged({}, claims)).toMatchObject({ ...INVALID, cause: 'the token ends before it begins' });
  });
});

describe('what is another method’s to judge', () => {
  const leaves = (text: string) => isApiKey(text) || !hasJwsForm(text);
  const good = token(key, payload());

  test.each([
    ['an API key', `sp_abcdefghijkl_${'A'.repeat(43)}`],
    ['what is meant as an API key', 'sp_x'],
    ['an API key with the dots of a token', 'sp_a.b.c'],
    ['an opaque token', 'opaque'],
    ['an opaque token with a dot', 'a.b'],
    ['an encrypted token', 'a.b.c.d.e'],
  ])('is left alone: %s', async (_name, text) => {
    const issuer = await jwtIssuer({}, [publicJwk(key)]);
    expect(jwtMethodWith({ leaves }, issuer).authenticate(request(`Bearer ${text}`), AT)).toBeUndefined();
    expect(await verdictOf(jwtMethod(issuer), `Bearer ${text}`)).toMatchObject(INVALID);
  });

  test.each([
    ['a good token', `Bearer ${good}`, ACCEPTED],
    ['a forged token', `Bearer ${good.slice(0, -8)}AAAAAAAA`, INVALID],
    ['a token without signature', `Bearer ${encode({ alg: 'none' })}.${encode(payload())}.`, INVALID],
    ['two credentials behind one scheme', `Bearer opaque ${good}`, INVALID],
    ['two credentials joined by a comma', `Bearer opaque,Bearer ${good}`, INVALID],
    ['an API key joined with a token', `Bearer sp_x,Bearer ${good}`, INVALID],
    ['another scheme', 'Basic dTpw', INVALID],
    ['nothing behind the scheme', 'Bearer ', INVALID],
  ])('is not left alone: %s', async (_name, header, wanted) => {
    const method = jwtMethodWith({ leaves }, await jwtIssuer({}, [publicJwk(key)]));
    expect(await verdictOf(method, header)).toMatchObject(wanted);
  });

  test('two headers are refused, though each alone were another’s', async () => {
    const method = jwtMethodWith({ leaves }, await jwtIssuer({}, [publicJwk(key)]));
    expect(await verdictOf(method, ['Bearer opaque', 'Bearer opaque'])).toMatchObject(INVALID);
  });
});
