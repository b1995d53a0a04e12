import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { checkIdentityConfig, type IdentityConfig, identityConfigSchema } from '../../../src/identity/config.ts';
import { jwks, publicJwk, rsaKey, testKey } from './support.ts';

const validate = new Ajv2020({ allErrors: true, useDefaults: true, strict: true }).compile({
  type: 'object',
  properties: { identity: identityConfigSchema },
});

const minimal = (changes: { readonly [key: string]: unknown } = {}) => ({
  issuer: 'https://issuer.test',
  audiences: ['sallyport'],
  jwks: { url: 'https://issuer.test/keys' },
  algorithms: ['ES256'],
  ...changes,
});

/** Validates and fills in defaults; throws what ajv says. */
function parse(config: unknown): IdentityConfig {
  const whole: { identity?: unknown } = config === undefined ? {} : { identity: structuredClone(config) };
  if (!validate(whole)) throw new Error(JSON.stringify(validate.errors));
  // The schema has just said so.
  return whole.identity as IdentityConfig;
}

describe('the schema of `identity`', () => {
  test('fills in every default', () => {
    expect(parse({ jwt: { issuers: [minimal()] } })).toEqual({
      jwt: {
        issuers: [
          {
            ...minimal(),
            jwks: { url: 'https://issuer.test/keys', cooldown_seconds: 30, max_age_seconds: 21_600, timeout_ms: 2000 },
            leeway_seconds: 30,
            claims: { tenant: 'tenant', roles: 'roles', tier: 'tier', scopes: 'scope' },
            forward: true,
          },
        ],
        max_token_bytes: 8192,
        cache_ttl_seconds: 60,
        cache_max_entries: 10_000,
      },
    });
    expect(parse({})).toEqual({});
    expect(parse(undefined)).toEqual({});
  });

  test.each([
    ['no audience', minimal({ audiences: [] })],
    ['audience missing', minimal({ audiences: undefined })],
    ['audience empty', minimal({ audiences: [''] })],
    ['no algorithm', minimal({ algorithms: [] })],
    ['alg none', minimal({ algorithms: ['none'] })],
    ['alg HS256', minimal({ algorithms: ['RS256', 'HS256'] })],
    ['alg in lower case', minimal({ algorithms: ['es256'] })],
    ['issuer empty', minimal({ issuer: '' })],
    ['leeway of 121 s', minimal({ leeway_seconds: 121 })],
    ['leeway negative', minimal({ leeway_seconds: -1 })],
    ['unknown key', minimal({ audience: 'x' })],
    ['unknown key in jwks', minimal({ jwks: { url: 'https://issuer.test/keys', insecure: true } })],
    ['cool-down of 0', minimal({ jwks: { url: 'https://issuer.test/keys', cooldown_seconds: 0 } })],
    ['unknown claim mapping', minimal({ claims: { group: 'x' } })],
  ])('refuses an issuer: %s', (_name, issuer) => {
    expect(() => parse({ jwt: { issuers: [issuer] } })).toThrow();
  });

  test.each([
    ['no issuers', { jwt: { issuers: [] } }],
    ['a cache of 61 s', { jwt: { issuers: [minimal()], cache_ttl_seconds: 61 } }],
    ['an unknown key', { jwks: {} }],
  ])('refuses %s', (_name, config) => {
    expect(() => parse(config)).toThrow();
  });
});

describe('what the schema cannot say', () => {
  const key = testKey('ES256');
  const files = new Map<string, string>([
    ['good.json', jwks(publicJwk(key))],
    ['garbage.json', 'not json'],
    ['twice.json', jwks(publicJwk(key), publicJwk(key))],
    ['private.json', jwks(key.privateKey.export({ format: 'jwk' }))],
    ['weak.json', jwks({ ...rsaKey('weak', 1024).publicKey.export({ format: 'jwk' }), kid: 'weak' })],
    ['symmetric.json', jwks({ kty: 'oct', k: 'AAAA' })],
    ['empty.json', jwks()],
    ['large.json', ' '.repeat(300_000)],
  ]);
  const readFile = (path: string) => {
    const text = files.get(path);
    if (text === undefined) throw new Error(`ENOENT: no such file \`${path}\``);
    return Buffer.from(text);
  };
  const check = (...issuers: readonly object[]) => checkIdentityConfig(parse({ jwt: { issuers } }), readFile);
  const withJwks = (keys: object) => minimal({ jwks: keys });

  test.each([
    ['https', { url: 'https://issuer.test/keys' }],
    ['http on 127.0.0.1', { url: 'http://127.0.0.1:8080/keys' }],
    ['http on localhost', { url: 'http://localhost/keys' }],
    ['http on [::1]', { url: 'http://[::1]:80/keys' }],
    ['a good file', { file: 'good.json' }],
  ])('no fault: %s', (_name, keys) => {
    expect(check(withJwks(keys))).toEqual([]);
  });

  test.each([
    ['http off loopback', { url: 'http://issuer.test/keys' }, 'url', /must use https/],
    ['http on a name that begins like loopback', { url: 'http://127.0.0.1.evil.test/' }, 'url', /must use https/],
    ['http on 128.0.0.1', { url: 'http://128.0.0.1/' }, 'url', /must use https/],
    ['another scheme', { url: 'file:///etc/keys' }, 'url', /must use https/],
    ['no url', { url: 'issuer.test/keys' }, 'url', /is no url/],
    ['a url with a password', { url: 'https://a:b@issuer.test/' }, 'url', /credentials/],
    ['a missing file', { file: 'missing.json' }, 'file', /cannot read `missing.json`/],
    ['garbage', { file: 'garbage.json' }, 'file', /no usable JWK set/],
    ['a name twice', { file: 'twice.json' }, 'file', /appears twice/],
    ['a private key', { file: 'private.json' }, 'file', /private key/],
    ['a weak key only', { file: 'weak.json' }, 'file', /no key for ES256/],
    ['a symmetric key only', { file: 'symmetric.json' }, 'file', /no key for ES256|shared secret/],
    ['no keys', { file: 'empty.json' }, 'file', /no key for ES256/],
    ['a large file', { file: 'large.json' }, 'file', /larger than/],
    [
      'an age under the refresh',
      { url: 'https://a.test/', refresh_seconds: 60, max_age_seconds: 60 },
      'max_age_seconds',
      /longer/,
    ],
  ])('fault: %s', (_name, keys, at, message) => {
    expect(check(withJwks(keys))).toEqual([
      { path: `identity.jwt.issuers[0].jwks.${at}`, message: expect.stringMatching(message) },
    ]);
  });

  test.each([
    ['both', { file: 'good.json', url: 'https://issuer.test/' }],
    ['neither', {}],
  ])('fault: %s of file and url', (_name, keys) => {
    expect(check(withJwks(keys))).toEqual([
      { path: 'identity.jwt.issuers[0].jwks', message: 'name either `file` or `url`' },
    ]);
  });

  test('fault: a file whose keys fit none of the algorithms', () => {
    expect(check(minimal({ jwks: { file: 'good.json' }, algorithms: ['RS256', 'EdDSA'] }))).toEqual([
      { path: 'identity.jwt.issuers[0].jwks.file', message: '`good.json` holds no key for RS256, EdDSA' },
    ]);
  });

  test('all faults at once: a doubled issuer, the reserved one, a bad pointer', () => {
    const faults = check(
      minimal(),
      minimal({ jwks: { file: 'missing.json' } }),
      minimal({ issuer: 'urn:sallyport:demo', claims: { tenant: '/a~b' } }),
    );
    expect(faults.map(({ path }) => path)).toEqual([
      'identity.jwt.issuers[1].issuer',
      'identity.jwt.issuers[1].jwks.file',
      'identity.jwt.issuers[2].issuer',
      'identity.jwt.issuers[2].claims.tenant',
    ]);
  });
});
