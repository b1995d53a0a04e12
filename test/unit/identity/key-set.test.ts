import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { SIGNATURE_ALGORITHMS } from '../../../src/identity/config.ts';
import { importKeySet, parseKeySet } from '../../../src/identity/key-set.ts';
import { jwks, publicJwk, rsaKey, testKey } from './support.ts';

const es = testKey('ES256');
const rs = testKey('RS256');
const ed = testKey('Ed25519');
const namesOf = async (text: string, pinned: Parameters<typeof importKeySet>[1] = SIGNATURE_ALGORITHMS) => {
  const set = await importKeySet(parseKeySet(text), pinned);
  return set.keys.map((key) => [key.kid, [...key.byAlgorithm.keys()]]);
};

describe('a key set', () => {
  test('gives each key the algorithms that its type, its `alg` and config allow', async () => {
    const { alg: _alg, ...anyRsa } = publicJwk(rs, { kid: 'any' });
    expect(
      await namesOf(jwks(publicJwk(es), publicJwk(rs), publicJwk(ed), anyRsa), ['RS256', 'PS512', 'ES256']),
    ).toEqual([
      [es.kid, ['ES256']],
      [rs.kid, ['RS256']],
      ['any', ['RS256', 'PS512']],
    ]);
  });

  const x25519 = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' });
  test.each([
    ['symmetric', { kty: 'oct', k: 'AAAA', kid: 's' }],
    ['for encryption', publicJwk(rs, { kid: 's', use: 'enc' })],
    ['for another operation', { ...publicJwk(rs, { kid: 's' }), key_ops: ['encrypt'] }],
    ['of unknown type', { kty: 'AKP', alg: 'ML-DSA-65', pub: 'AAAA', kid: 's' }],
    ['of another curve', { ...x25519, kid: 's' }],
    ['of an `alg` that does not fit its type', publicJwk(rs, { kid: 's', alg: 'ES256' })],
    ['of a symmetric `alg`', publicJwk(rs, { kid: 's', alg: 'HS256' })],
    ['RSA of 1024 bits', { ...rsaKey('weak', 1024).publicKey.export({ format: 'jwk' }), kid: 's' }],
    ['RSA with the exponent 1', publicJwk(rs, { kid: 's', e: 'AQ' })],
    [
      'RSA with an exponent of 2,000 bits',
      publicJwk(rs, { kid: 's', e: Buffer.alloc(250, 0xff).toString('base64url') }),
    ],
  ])('skips a key %s and keeps the others', async (_name, skipped) => {
    expect(await namesOf(jwks(skipped, publicJwk(es)))).toEqual([[es.kid, ['ES256']]]);
  });

  test.each([
    ['no JSON', 'not json'],
    ['a list', '[]'],
    ['null', 'null'],
    ['without `keys`', '{}'],
    ['with inherited `keys` only', '{"__proto__":{"keys":[]}}'],
    ['with `keys` an object', '{"keys":{}}'],
    ['with a key that is no object', '{"keys":[1]}'],
    ['with a key without `kty`', '{"keys":[{"kid":"a"}]}'],
    ['with `keys` twice', `{"keys":[],"keys":[]}`],
    ['with a `kid` twice', jwks(publicJwk(es), publicJwk(testKey('ES256')))],
    ['with a `kid` twice, one of them skipped', jwks(publicJwk(es), { kty: 'oct', k: 'AAAA', kid: es.kid })],
    ['with a `kid` that is no text', jwks(publicJwk(es), { ...publicJwk(ed), kid: 1 } as never)],
    ['with a private key', jwks({ ...es.privateKey.export({ format: 'jwk' }), kid: 'p' })],
    ['with a private RSA key', jwks({ ...rs.privateKey.export({ format: 'jwk' }), kid: 'p' })],
    ['with a point that is not on the curve', jwks(publicJwk(es, { x: Buffer.alloc(32, 1).toString('base64url') }))],
    ['with a member missing', '{"keys":[{"kty":"EC","crv":"P-256","x":"AAAA"}]}'],
    ['with a member of the wrong type', '{"keys":[{"kty":"RSA","n":1,"e":"AQAB"}]}'],
    ['with 65 keys', jwks(...Array.from({ length: 65 }, () => ({ kty: 'oct', k: 'AAAA' })))],
  ])('%s is refused whole', (_name, text) => {
    expect(() => parseKeySet(text)).toThrow(SyntaxError);
  });

  test('that is empty is an answer: no key is valid', async () => {
    expect(await namesOf('{"keys":[]}')).toEqual([]);
  });

  test('looks names up among its own only', async () => {
    const { byKid } = await importKeySet(parseKeySet(jwks(publicJwk(es, { kid: '__proto__' }))), ['ES256']);
    expect([...byKid.keys()]).toEqual(['__proto__']);
    expect(byKid.get('constructor')).toBeUndefined();
  });

  test('has a digest of its content: the order and what is skipped do not matter, every used key does', async () => {
    const digest = async (text: string) => (await importKeySet(parseKeySet(text), SIGNATURE_ALGORITHMS)).digest;
    const one = await digest(jwks(publicJwk(es), publicJwk(ed)));
    expect(await digest(jwks(publicJwk(ed), publicJwk(es)))).toBe(one);
    expect(await digest(jwks(publicJwk(ed), publicJwk(es), { kty: 'oct', k: 'AAAA' }))).toBe(one);
    const others = [
      jwks(publicJwk(es)),
      jwks(publicJwk(es), publicJwk(ed, { kid: 'other' })),
      jwks(publicJwk(es), publicJwk(testKey('Ed25519'))),
      jwks(publicJwk(es), publicJwk(ed, { alg: 'EdDSA' })),
    ];
    for (const text of others) expect(await digest(text)).not.toBe(one);
  });
});
