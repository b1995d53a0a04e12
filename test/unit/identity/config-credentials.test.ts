import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { checkIdentityConfig, type IdentityConfig, identityConfigSchema } from '../../../src/identity/config.ts';
import { issueKey, keysFileText } from './api-key-support.ts';

const validate = new Ajv2020({ allErrors: true, useDefaults: true, strict: true }).compile({
  type: 'object',
  properties: { identity: identityConfigSchema },
});

function parse(config: object): IdentityConfig {
  const whole: { readonly identity: unknown } = { identity: structuredClone(config) };
  if (!validate(whole)) throw new Error(JSON.stringify(validate.errors));
  // The schema has just said so.
  return whole.identity as IdentityConfig;
}

const files = new Map([
  ['keys.yaml', keysFileText([issueKey().entry])],
  ['broken.yaml', 'keys:\n  - id: x\n    sha256: y\n    tenant: t\n    roles: []\n    tier: free\n'],
  ['signing.pem', 'x'],
]);

const check = (config: object) =>
  checkIdentityConfig(parse(config), (path) => {
    const text = files.get(path);
    if (text === undefined) throw new Error('ENOENT');
    return Buffer.from(text);
  });

const server = {
  issuer: 'https://as.test',
  url: 'https://as.test/introspect',
  client_id: 'sallyport',
  client_secret: 'x',
  audiences: ['sallyport'],
};
const exchange = {
  listen: '127.0.0.1:8383',
  issuer: 'https://sallyport.test',
  audience: 'sallyport',
  signing_key_file: 'signing.pem',
};
const issuer = {
  issuer: 'https://issuer.test',
  audiences: ['sallyport'],
  jwks: { url: 'https://issuer.test/keys' },
  algorithms: ['ES256'],
};
const keys = { file: 'keys.yaml' };
const redis = (url: string) => ({ api_keys: { redis: { url } } });
const peers = (...trusted: readonly string[]) => ({
  mtls: { trust_domains: ['prod.test'], xfcc: { trusted_peers: trusted } },
});

test('every default is filled in, and nothing appears that was not named', () => {
  expect(parse({})).toEqual({});
  expect(
    parse({
      api_keys: { redis: { url: 'redis://127.0.0.1' } },
      mtls: { trust_domains: ['prod.test'] },
      dpop: {},
      introspection: [server],
      token_exchange: exchange,
    }),
  ).toEqual({
    api_keys: {
      redis: { url: 'redis://127.0.0.1', deadline_ms: 50, prefix: 'sallyport:key:' },
      cache_max_entries: 10_000,
    },
    mtls: { trust_domains: ['prod.test'], from_listener: false },
    dpop: { enabled: false, max_age_seconds: 60, max_entries: 100_000 },
    introspection: [
      {
        ...server,
        claims: { tenant: 'tenant', roles: 'roles', tier: 'tier', scopes: 'scope' },
        cache_ttl_seconds: 10,
        negative_ttl_seconds: 5,
        deadline_ms: 200,
        max_in_flight: 64,
        cache_max_entries: 10_000,
      },
    ],
    token_exchange: { ...exchange, previous_key_files: [], lifetime_seconds: 300 },
  });
});

describe('the schema refuses', () => {
  test.each([
    ['an unknown key of api_keys', { api_keys: { ...keys, path: 'x' } }],
    ['an empty prefix', { api_keys: { redis: { url: 'rediss://r', prefix: '' } } }],
    ['no trust domain', { mtls: { trust_domains: [] } }],
    ['mtls without trust domains', { mtls: { from_listener: true } }],
    ['a trust domain in capitals', { mtls: { trust_domains: ['Prod.test'] } }],
    ['a trust domain with its scheme', { mtls: { trust_domains: ['spiffe://prod.test'] } }],
    ['a trust domain with a port', { mtls: { trust_domains: ['prod.test:1'] } }],
    ['xfcc from nobody', peers()],
    ['an empty list of `by`', { mtls: { trust_domains: ['a'], xfcc: { trusted_peers: ['spiffe://a/b'], by: [] } } }],
    ['proofs of an hour', { dpop: { enabled: true, max_age_seconds: 3600 } }],
    ['no introspection server', { introspection: [] }],
    ['an introspection server without audience', { introspection: [{ ...server, audiences: [] }] }],
    ['answers believed for more than a minute', { introspection: [{ ...server, cache_ttl_seconds: 61 }] }],
    ['tokens of six minutes', { token_exchange: { ...exchange, lifetime_seconds: 360 } }],
    ['an exchange without a port', { token_exchange: { ...exchange, listen: 'localhost' } }],
    ['a `typ` with a space', { jwt: { issuers: [{ ...issuer, typ: ['at jwt'] }] } }],
    ['no `typ` in the list', { jwt: { issuers: [{ ...issuer, typ: [] }] } }],
    ['a lifetime of 0', { jwt: { issuers: [{ ...issuer, max_lifetime_seconds: 0 }] } }],
    ['sender constraint as a yes', { jwt: { issuers: [{ ...issuer, sender_constrained: true }] } }],
  ])('%s', (_name, config) => {
    expect(() => parse(config)).toThrow();
  });
});

describe('no fault', () => {
  test.each([
    ['a keys file', { api_keys: keys }],
    ['rediss with a password', redis('rediss://user:secret@redis.test:6380/1')],
    ['redis on loopback', redis('redis://127.0.0.1:6379')],
    ['redis on ::1', redis('redis://[::1]:6379')],
    ['trusted peers of a trusted domain', peers('spiffe://prod.test/gateway', 'spiffe://prod.test/ns/a/sa/b')],
    ['a public url', { dpop: { enabled: true, public_url: 'https://api.test' } }],
    ['introspection on loopback', { introspection: [{ ...server, url: 'http://127.0.0.1:1/x' }] }],
    ['an exchange', { api_keys: keys, token_exchange: exchange }],
    [
      'a sender constraint by mTLS',
      {
        mtls: { trust_domains: ['a'] },
        jwt: {
          issuers: [{ ...issuer, sender_constrained: 'required', typ: ['at+jwt'], required_claims: ['sub', '/a~0b'] }],
        },
      },
    ],
    [
      'a sender constraint by DPoP',
      {
        dpop: { enabled: true },
        jwt: { issuers: [{ ...issuer, sender_constrained: 'required' }] },
      },
    ],
  ])('%s', (_name, config) => {
    expect(check(config)).toEqual([]);
  });
});

describe('a fault, with its key', () => {
  test.each<readonly [string, object, string, RegExp]>([
    ['neither file nor redis', { api_keys: {} }, 'api_keys', /either `file` or `redis`/],
    ['file and redis', { api_keys: { ...keys, redis: { url: 'rediss://r' } } }, 'api_keys', /either `file` or `redis`/],
    [
      'a keys file that is not there',
      { api_keys: { file: 'no.yaml' } },
      'api_keys.file',
      /`sallyport keys create --file no.yaml` makes it/,
    ],
    [
      'redis in the clear',
      redis('redis://:hunter2@redis.test'),
      'api_keys.redis.url',
      /must be `rediss:` off loopback/,
    ],
    [
      'a host that begins like loopback',
      redis('redis://127.0.0.1.evil.test'),
      'api_keys.redis.url',
      /must be `rediss:`/,
    ],
    ['another scheme', redis('https://redis.test'), 'api_keys.redis.url', /`https:` is no scheme of Redis/],
    ['no url', redis('redis.test'), 'api_keys.redis.url', /is no url/],
    ['a peer that is no SPIFFE ID', peers('https://prod.test/x'), 'mtls.xfcc.trusted_peers[0]', /is no SPIFFE ID/],
    ['a peer without a path', peers('spiffe://prod.test'), 'mtls.xfcc.trusted_peers[0]', /is no SPIFFE ID/],
    ['a peer with a dot segment', peers('spiffe://prod.test/a/../b'), 'mtls.xfcc.trusted_peers[0]', /is no SPIFFE ID/],
    [
      'a peer of another domain',
      peers('spiffe://dev.test/a'),
      'mtls.xfcc.trusted_peers[0]',
      /none of `identity.mtls.trust_domains`/,
    ],
    [
      'the certificate of the listener beside xfcc',
      { mtls: { trust_domains: ['a'], from_listener: true, xfcc: { trusted_peers: ['spiffe://a/b'] } } },
      'mtls.from_listener',
      /excludes `xfcc`/,
    ],
    [
      '`by` that is no URI',
      { mtls: { trust_domains: ['a'], xfcc: { trusted_peers: ['spiffe://a/b'], by: ['gateway'] } } },
      'mtls.xfcc.by[0]',
      /is no URI/,
    ],
    [
      'a public url with a path',
      { dpop: { public_url: 'https://api.test/v1' } },
      'dpop.public_url',
      /scheme and host alone/,
    ],
    ['a public url without a scheme', { dpop: { public_url: 'api.test' } }, 'dpop.public_url', /scheme and host alone/],
    [
      'introspection in the clear',
      { introspection: [{ ...server, url: 'http://as.test' }] },
      'introspection[0].url',
      /must use https/,
    ],
    ['an introspection server twice', { introspection: [server, server] }, 'introspection[1].issuer', /twice/],
    [
      'the name of the demo issuer',
      { introspection: [{ ...server, issuer: 'urn:sallyport:demo' }] },
      'introspection[0].issuer',
      /reserved/,
    ],
    ['an exchange without keys', { token_exchange: exchange }, 'token_exchange', /set `identity.api_keys`/],
    [
      'an exchange that is another issuer',
      { api_keys: keys, introspection: [server], token_exchange: { ...exchange, issuer: server.issuer } },
      'token_exchange.issuer',
      /another name/,
    ],
    [
      'a signing key that is not there',
      { api_keys: keys, token_exchange: { ...exchange, signing_key_file: 'no' } },
      'token_exchange.signing_key_file',
      /cannot read `no`/,
    ],
    [
      'a previous key that signs',
      { api_keys: keys, token_exchange: { ...exchange, previous_key_files: ['signing.pem'] } },
      'token_exchange.previous_key_files[0]',
      /signs still/,
    ],
    [
      'a sender constraint that nothing proves',
      { dpop: {}, jwt: { issuers: [{ ...issuer, sender_constrained: 'required' }] } },
      'jwt.issuers[0].sender_constrained',
      /nothing can prove it/,
    ],
    [
      'a required claim that is no pointer',
      { jwt: { issuers: [{ ...issuer, required_claims: ['/a~b'] }] } },
      'jwt.issuers[0].required_claims[0]',
      /no JSON pointer/,
    ],
  ])('%s', (_name, config, path, message) => {
    const faults = check(config);
    expect(faults).toEqual([{ path: `identity.${path}`, message: expect.stringMatching(message) }]);
    expect(JSON.stringify(faults)).not.toContain('hunter2');
  });

  test('of a keys file: every one, with its line', () => {
    expect(check({ api_keys: { file: 'broken.yaml' } })).toEqual([
      { path: 'identity.api_keys.file', message: expect.stringMatching(/^`broken.yaml`: line 2: keys\[0\].id: /) },
      { path: 'identity.api_keys.file', message: expect.stringMatching(/^`broken.yaml`: line 3: keys\[0\].sha256: /) },
    ]);
  });
});
