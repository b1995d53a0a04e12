import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AccessRequest } from '../../src/decision/access-request.ts';
import { DEFAULT_CLAIMS, type IntrospectionConfig } from '../../src/identity/config.ts';
import type { CredentialMethod } from '../../src/identity/credential-method.ts';
import { createDpop } from '../../src/identity/dpop.ts';
import { createIntrospectionMethod } from '../../src/identity/introspection.ts';
import { createKeySource } from '../../src/identity/jwks.ts';
import { createJwksLoad } from '../../src/identity/jwks-load.ts';
import { createJwtMethod } from '../../src/identity/jwt.ts';
import { importKeySet, parseKeySet } from '../../src/identity/key-set.ts';
import { type OAuthIssuer, startOAuthIssuer } from '../support/oauth-issuer.ts';
import { startSystemTimer, systemClock } from '../support/system-ports.ts';
import { athOf, bareJwk, dpopRequest, TARGET } from '../unit/identity/dpop-support.ts';
import { request, testKey } from '../unit/identity/support.ts';

const BATCH = {
  id: 'batch',
  secret: 'batch-secret-of-many-characters!',
  claims: { tenant: 'tenant-a', tier: 'internal', roles: ['inference'] },
};

describe('service accounts of a real issuer (client credentials)', () => {
  let issuer: OAuthIssuer;
  let jwt: CredentialMethod;
  let opaque: CredentialMethod;

  /** The issuer's endpoint, asked with this secret; nothing is remembered. */
  const introspectionBy = (secret: string): IntrospectionConfig => ({
    issuer: issuer.issuer,
    url: issuer.introspectionUrl,
    client_id: issuer.gateway.id,
    client_secret: secret,
    audiences: [issuer.audience],
    claims: DEFAULT_CLAIMS,
    cache_ttl_seconds: 0,
    negative_ttl_seconds: 0,
    deadline_ms: 2000,
    max_in_flight: 8,
    cache_max_entries: 100,
  });

  beforeAll(async () => {
    issuer = await startOAuthIssuer([BATCH]);
    const confirm = createDpop({ enabled: true, max_age_seconds: 60, max_entries: 1000 });
    const keys = createKeySource({
      load: createJwksLoad(
        { url: issuer.jwksUrl, cooldown_seconds: 30, max_age_seconds: 600, timeout_ms: 2000 },
        { fetch, readFile: () => Promise.reject(new Error('no file')) },
      ),
      parse: (text) => importKeySet(parseKeySet(text), ['ES256']),
      timing: { cooldownMs: 30_000, refreshMs: 300_000, maxAgeMs: 600_000, timeoutMs: 2000 },
      clock: systemClock,
      startTimer: startSystemTimer,
      random: Math.random,
      report: () => {},
    });
    const settings = {
      issuer: issuer.issuer,
      audiences: [issuer.audience],
      algorithms: ['ES256'] as const,
      leeway_seconds: 5,
      claims: DEFAULT_CLAIMS,
      forward: false,
    };
    jwt = createJwtMethod({
      issuers: [{ settings, keys, demo: false }],
      maxTokenBytes: 8192,
      cacheTtlMs: 60_000,
      cacheMaxEntries: 100,
      confirm,
    });
    opaque = createIntrospectionMethod({
      servers: [introspectionBy(issuer.gateway.secret)],
      maxTokenBytes: 8192,
      fetch,
      clock: systemClock,
      startTimer: startSystemTimer,
      confirm,
    });
    await jwt.start();
  });
  afterAll(async () => {
    jwt?.stop();
    await issuer?.stop();
  });

  const key = testKey('ES256', 'client');
  const proofOf = (claims: object): Promise<string> =>
    new SignJWT({ jti: randomUUID(), htm: 'POST', ...claims })
      .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk: bareJwk(key) })
      .setIssuedAt()
      .sign(key.privateKey);
  const methodOf = (format: 'jwt' | 'opaque'): CredentialMethod => (format === 'jwt' ? jwt : opaque);
  const judge = async (format: 'jwt' | 'opaque', asked: AccessRequest) =>
    await methodOf(format).authenticate(asked, systemClock.now());

  const KNOWN = {
    kind: 'verified',
    principal: { kind: 'jwt', tenant: 'tenant-a', tier: 'internal', roles: ['inference'], scopes: ['infer'] },
  };

  test.each(['jwt', 'opaque'] as const)('a token (%s) is its service account', async (format) => {
    const token = await issuer.token(BATCH, format);
    expect(await judge(format, request(`Bearer ${token}`))).toMatchObject(KNOWN);
    expect(await judge(format, request(`Bearer ${token.slice(0, -4)}AAAA`))).toMatchObject({ kind: 'refused' });
  });

  test('an opaque token is refused from the moment that its issuer revokes it', async () => {
    const token = await issuer.token(BATCH, 'opaque');
    expect(await judge('opaque', request(`Bearer ${token}`))).toMatchObject(KNOWN);
    await issuer.revoke(BATCH, token);
    expect(await judge('opaque', request(`Bearer ${token}`))).toMatchObject({
      kind: 'refused',
      code: 'invalid_credential',
    });
  });

  test.each(['jwt', 'opaque'] as const)(
    'a token (%s) bound by DPoP needs a proof for every request',
    async (format) => {
      const token = await issuer.token(BATCH, format, await proofOf({ htu: issuer.tokenUrl }));
      const proof = await proofOf({ htu: TARGET, ath: athOf(token) });
      expect(await judge(format, dpopRequest(token, [proof]))).toMatchObject(KNOWN);
      const refused = { kind: 'refused', code: 'invalid_credential' };
      expect(await judge(format, dpopRequest(token, [proof]))).toMatchObject(refused);
      expect(await judge(format, request(`Bearer ${token}`))).toMatchObject(refused);
    },
  );

  test('an endpoint that does not know us makes no token good, and none bad', async () => {
    const token = await issuer.token(BATCH, 'opaque');
    const stranger = createIntrospectionMethod({
      servers: [introspectionBy('wrong')],
      maxTokenBytes: 8192,
      fetch,
      clock: systemClock,
      startTimer: startSystemTimer,
    });
    const found = await stranger.authenticate(request(`Bearer ${token}`), systemClock.now());
    expect(found).toMatchObject({ kind: 'refused', code: 'issuer_unavailable' });
  });
});
