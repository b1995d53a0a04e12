import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { signBundle, verifyBundleSignature } from '../../../../src/bundle/signing/bundle-signature.ts';
import { signJws, verifyJws } from '../../../../src/bundle/signing/jws.ts';
import { signRolloutOrder, verifyRolloutOrder } from '../../../../src/bundle/signing/rollout-order.ts';
import { parseTrustKeys } from '../../../../src/bundle/signing/trust-keys.ts';
import { claimsOf, newSigner, orderOf, refusalOf, SIGNED_AT_S, trustOf } from '../../../support/signed-bundles.ts';

const TYPE = 'sallyport-bundle+jws';
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const key = { key: privateKey, alg: 'ES256' } as const;
const keys = parseTrustKeys(new Map([['k', publicKey.export({ type: 'spki', format: 'pem' }).toString()]]));
const HEADER = { alg: 'ES256', kid: 'k', typ: TYPE };
const b64 = (text: string): string => Buffer.from(text).toString('base64url');

/** A JWS with texts of the case's own, signed properly over them. */
function signedTexts(header: string, payload: string): string {
  const text = `${b64(header)}.${b64(payload)}`;
  const signature = sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}

describe('a JWS of Sallyport', () => {
  const good = signJws(HEADER, { a: 1 }, key);
  const [header = '', payload = '', signature = ''] = good.split('.');

  test('gives its payload', () => {
    expect(verifyJws(good, TYPE, keys)).toEqual({ a: 1 });
  });

  test.each([
    ['of another type', () => verifyJws(good, 'sallyport-rollout+jws', keys), 'type'],
    ['without a kid', () => verifyJws(signJws({ alg: 'ES256', typ: TYPE }, {}, key), TYPE, keys), 'exactly'],
    ['with a jwk', () => verifyJws(signJws({ ...HEADER, jwk: '{}' }, {}, key), TYPE, keys), 'exactly'],
    ['with a crit', () => verifyJws(signJws({ ...HEADER, crit: 'x' }, {}, key), TYPE, keys), 'exactly'],
    ['of an unknown kid', () => verifyJws(signJws({ ...HEADER, kid: 'x' }, {}, key), TYPE, keys), 'not in'],
    ['of a kid of Object', () => verifyJws(signJws({ ...HEADER, kid: '__proto__' }, {}, key), TYPE, keys), 'not in'],
    ['of no algorithm', () => verifyJws(signJws({ ...HEADER, alg: 'none' }, {}, key), TYPE, keys), 'not by ES256'],
    [
      'of another algorithm',
      () => verifyJws(signJws({ ...HEADER, alg: 'EdDSA' }, {}, key), TYPE, keys),
      'not by ES256',
    ],
    ['without a signature', () => verifyJws(`${header}.${payload}.`, TYPE, keys), 'not of ES256'],
    ['with a padded part', () => verifyJws(`${header}=.${payload}.${signature}`, TYPE, keys), 'base64url'],
    ['with a blank', () => verifyJws(`${header}. ${payload}.${signature}`, TYPE, keys), 'base64url'],
    ['with a line feed', () => verifyJws(`${good}\n`, TYPE, keys), 'not of ES256'],
    ['with stray bits', () => verifyJws(`${header}.${payload}.${strayBits(signature)}`, TYPE, keys), 'not of ES256'],
    ['of four parts', () => verifyJws(`${good}.x`, TYPE, keys), 'compact'],
    ['that is too long', () => verifyJws(signJws(HEADER, { a: 'x'.repeat(4000) }, key), TYPE, keys), 'longer'],
    [
      'with a key twice',
      () => verifyJws(signedTexts(JSON.stringify(HEADER), '{"a":1,"a":2}'), TYPE, keys),
      'strict JSON',
    ],
    [
      'with a blank in its JSON',
      () => verifyJws(signedTexts(JSON.stringify(HEADER), '{"a": 1}'), TYPE, keys),
      'strict JSON',
    ],
    [
      'with an escape',
      () => verifyJws(signedTexts(JSON.stringify(HEADER), '{"\\u0061":1}'), TYPE, keys),
      'strict JSON',
    ],
    ['with a list', () => verifyJws(signedTexts(JSON.stringify(HEADER), '[]'), TYPE, keys), 'strict JSON'],
    [
      'whose number is written otherwise',
      () => verifyJws(signedTexts(JSON.stringify(HEADER), '{"a":1.0}'), TYPE, keys),
      'strict JSON',
    ],
  ])('%s is refused', async (_fault, step, says) => {
    expect(await refusalOf(step)).toMatch(new RegExp(`^bundle_untrusted: .*${says}`));
  });
});

describe('signed claims', () => {
  const signer = newSigner('author', 'EdDSA');
  const bytes = Buffer.from('an archive');
  const expected = { keys: trustOf(newSigner('next'), signer), scope: 'prod', name: 'authz' };

  test('come back as they were signed, whichever of several keys signed', () => {
    const claims = claimsOf({ security: true });
    const sha256 = '6a1a6d43dbe92cb1dd2eec1e4dabc4b2d9ac0a1f2ee2b4ef0fd16f2e3df1bd5e';
    const found = verifyBundleSignature(bytes, signBundle(bytes, claims, signer), expected);
    expect({ ...found, sha256 }).toEqual({ ...claims, sha256, sizeBytes: 10 });
    expect(
      verifyRolloutOrder(
        signRolloutOrder(orderOf({ labels: { zone: 'a' }, abortOnTrips: 2, aborted: true }), signer),
        expected,
      ),
    ).toEqual(orderOf({ labels: { zone: 'a' }, abortOnTrips: 2, aborted: true }));
  });

  const payload = { kind: 'bundle', name: 'authz', sha256: 'ab'.repeat(32), size: 10, scope: 'prod', version: 7 };
  const whole = { ...payload, iat: SIGNED_AT_S, nbf: SIGNED_AT_S, exp: SIGNED_AT_S + 9, min_rollback_version: 0 };
  const { exp: _exp, ...eternal } = whole;

  test.each([
    ['with an unknown claim', { ...whole, extra: 1 }, 'unknown claim'],
    ['without an expiry', eternal, 'lacks the claim `exp`'],
    ['whose version is a text', { ...whole, version: '7' }, 'version'],
    ['whose version is negative', { ...whole, version: -1 }, 'version'],
    ['whose version is no whole number', { ...whole, version: 7.5 }, 'version'],
    ['that expires before it begins', { ...whole, exp: 1 }, 'expires before'],
    ['whose rollback bound is above it', { ...whole, min_rollback_version: 8 }, 'above its own'],
    ['whose digest is in capitals', { ...whole, sha256: 'AB'.repeat(32) }, 'wrong form'],
    ['whose name is a path', { ...whole, name: '../authz' }, 'wrong form'],
    ['of another size', { ...whole, size: 11 }, '11 bytes'],
    ['of another digest', whole, 'SHA-256'],
    ['with a base', { ...whole, base_sha256: 'ab'.repeat(32) }, 'base_sha256'],
    ['with a flag that is a text', { ...whole, security: 'no' }, 'boolean'],
  ])('%s are refused', async (_fault, claims, says) => {
    const step = () => verifyBundleSignature(bytes, signer.sign(TYPE, claims), expected);
    expect(await refusalOf(step)).toMatch(new RegExp(`^bundle_untrusted: .*${says}`));
  });
});

describe('trust keys', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const pem = (one: typeof publicKey) => one.export({ type: 'spki', format: 'pem' }).toString();
  const jwk = publicKey.export({ format: 'jwk' });

  test.each([
    ['an RSA key', pem(rsa.publicKey), 'neither'],
    ['another curve', pem(p384.publicKey), 'neither'],
    ['a private key', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 'private key'],
    ['a secret', 'hunter2', 'no PEM public key'],
    ['a symmetric JWK', JSON.stringify({ kty: 'oct', k: 'c2VjcmV0' }), 'members'],
    ['a private JWK', JSON.stringify(privateKey.export({ format: 'jwk' })), 'members'],
    ['a JWK of another kid', JSON.stringify({ ...jwk, kid: 'x' }), 'another kid'],
    ['a JWK of another algorithm', JSON.stringify({ ...jwk, alg: 'EdDSA' }), 'another algorithm'],
    ['a JWK for encryption', JSON.stringify({ ...jwk, use: 'enc' }), 'not for signatures'],
  ])('are not %s', async (_what, text, says) => {
    expect(await refusalOf(() => parseTrustKeys(new Map([['k', text]])))).toMatch(
      new RegExp(`^bundle_untrusted: .*${says}`),
    );
  });

  test('are PEM or JWK, and never none', async () => {
    expect(parseTrustKeys(new Map([['k', JSON.stringify({ ...jwk, kid: 'k' }, undefined, 2)]])).get('k')?.alg).toBe(
      'ES256',
    );
    expect(await refusalOf(() => parseTrustKeys(new Map()))).toContain('no key');
  });
});

/** Another last character that decodes to the same bytes: its low bits are not used. */
function strayBits(part: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return part.slice(0, -1) + alphabet.charAt(alphabet.indexOf(part.at(-1) ?? '') ^ 1);
}
