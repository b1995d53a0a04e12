import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
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

/** An odd number of so many bits, as good as any for what is judged by its size. */
function modulus(bits: number): string {
  const hex = ((1n << BigInt(bits - 1)) | 1n).toString(16);
  return Buffer.from(hex.padStart(2 * Math.ceil(hex.length / 2), '0'), 'hex').toString('base64url');
}

/** The same number, written with one byte more. */
function withZero(number = ''): string {
  return Buffer.concat([Buffer.alloc(1), Buffer.from(number, 'base64url')]).toString('base64url');
}

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

  const secp256k1 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'jwk' });
  const ed448 = generateKeyPairSync('ed448').publicKey.export({ format: 'jwk' });
  const x25519 = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' });
  test.each([
    ['for encryption', publicJwk(rs, { kid: 's', use: 'enc' })],
    ['for another operation', { ...publicJwk(rs, { kid: 's' }), key_ops: ['encrypt'] }],
    ['of unknown type', { kty: 'AKP', alg: 'ML-DSA-65', pub: 'AAAA', kid: 's' }],
    ['of another curve', { ...x25519, kid: 's' }],
    ['of an `alg` that does not fit its type', publicJwk(rs, { kid: 's', alg: 'ES256' })],
    ['of a symmetric `alg`', publicJwk(rs, { kid: 's', alg: 'HS256' })],
    ['of a curve that does not fit its `alg`', publicJwk(es, { kid: 's', alg: 'ES384' })],
    ['of the curve secp256k1', { ...secp256k1, kid: 's' }],
    ['of the curve Ed448', { ...ed448, kid: 's' }],
    ['RSA of 2047 bits', publicJwk(rs, { kid: 's', n: modulus(2047) })],
    ['RSA of 8193 bits', publicJwk(rs, { kid: 's', n: modulus(8193) })],
    ['RSA of 16384 bits', publicJwk(rs, { kid: 's', n: modulus(16_384) })],
    ['RSA with an even exponent', publicJwk(rs, { kid: 's', e: 'Ag' })],
    ['RSA of 1024 bits', { ...rsaKey('weak', 1024).publicKey.export({ format: 'jwk' }), kid: 's' }],
    ['RSA with the exponent 1', publicJwk(rs, { kid: 's', e: 'AQ' })],
    [
      'RSA with an exponent of 2,000 bits',
      publicJwk(rs, { kid: 's', e: Buffer.alloc(250, 0xff).toString('base64url') }),
    ],
  ])('skips a key %s and keeps the others', async (_name, skipped) => {
    expect(await namesOf(jwks(skipped, publicJwk(es)))).toEqual([[es.kid, ['ES256']]]);
  });

  test.each([2048, 3072, 4096, 8192])('takes an RSA key of %i bits', async (bits) => {
    expect(await namesOf(jwks(publicJwk(rs, { n: modulus(bits) })))).toEqual([[rs.kid, ['RS256']]]);
  });

  test('takes a modulus that begins with a zero byte, as some issuers send it', async () => {
    expect(await namesOf(jwks(publicJwk(rs, { n: withZero(publicJwk(rs).n) })))).toEqual([[rs.kid, ['RS256']]]);
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
    ['with a `kid` twice, one of them skipped', jwks(publicJwk(es), { kty: 'AKP', kid: es.kid })],
    ['with a `kid` that is no text', jwks(publicJwk(es), { ...publicJwk(ed), kid: 1 } as never)],
    ['with a symmetric key', jwks(publicJwk(es), { kty: 'oct', k: 'AAAA', kid: 's' })],
    ['with a shared secret in a key of another type', jwks({ ...publicJwk(es), k: 'AAAA' })],
    ...['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'priv'].map((member) => [
      `with the private member \`${member}\``,
      jwks({ ...publicJwk(rs), [member]: 'AQAB' }),
    ]),
    ['with a private post-quantum key', jwks({ kty: 'AKP', alg: 'ML-DSA-65', priv: 'AAAA' } as JsonWebKey)],
    ['with a padded coordinate', jwks(publicJwk(es, { x: `${es.publicKey.export({ format: 'jwk' }).x}=` }))],
    ['with a modulus in the standard alphabet', jwks(publicJwk(rs, { n: 'a+b/'.repeat(86) }))],
    ['with stray bits in the exponent', jwks(publicJwk(rs, { e: 'AQB' }))],
    ['with an empty modulus', jwks(publicJwk(rs, { n: '' }))],
    ['with a short coordinate', jwks(publicJwk(es, { x: Buffer.alloc(31, 1).toString('base64url') }))],
    ['with a coordinate that has a zero byte too many', jwks(publicJwk(es, { y: withZero(publicJwk(es).y) }))],
    ['with a coordinate of another curve', jwks(publicJwk(es, { crv: 'P-384', alg: 'ES384' }))],
    ['with an Ed25519 key of 33 bytes', jwks(publicJwk(ed, { x: Buffer.alloc(33).toString('base64url') }))],
    ['with `key_ops` a text', jwks({ ...publicJwk(es), key_ops: 'verify' } as JsonWebKey)],
    ['with `key_ops` that names one twice', jwks({ ...publicJwk(es), key_ops: ['verify', 'verify'] } as JsonWebKey)],
    ['with `key_ops` that holds a number', jwks({ ...publicJwk(es), key_ops: ['verify', 1] } as JsonWebKey)],
    ['with a private key', jwks({ ...es.privateKey.export({ format: 'jwk' }), kid: 'p' })],
    ['with a private RSA key', jwks({ ...rs.privateKey.export({ format: 'jwk' }), kid: 'p' })],
    ['with a point that is not on the curve', jwks(publicJwk(es, { x: Buffer.alloc(32, 1).toString('base64url') }))],
    ['with a member missing', '{"keys":[{"kty":"EC","crv":"P-256","x":"AAAA"}]}'],
    ['with a member of the wrong type', '{"keys":[{"kty":"RSA","n":1,"e":"AQAB"}]}'],
    ['with 65 keys', jwks(...Array.from({ length: 65 }, () => ({ kty: 'AKP' })))],
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
    expect(await digest(jwks(publicJwk(ed), publicJwk(es), { kty: 'AKP' }))).toBe(one);
    const others = [
      jwks(publicJwk(es)),
      jwks(publicJwk(es), publicJwk(ed, { kid: 'other' })),
      jwks(publicJwk(es), publicJwk(testKey('Ed25519'))),
      jwks(publicJwk(es), publicJwk(ed, { alg: 'EdDSA' })),
    ];
    for (const text of others) expect(await digest(text)).not.toBe(one);
  });
});
