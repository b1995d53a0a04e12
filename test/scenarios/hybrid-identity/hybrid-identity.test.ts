import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { digestSecret } from '../../../src/identity/api-key-verify.ts';
import { type CertificateFiles, type CertificateMaker, createCertificateMaker } from '../../support/certificates.ts';
import { describeWith } from '../../support/describe-with.ts';
import { type Envoy, startEnvoy } from '../../support/envoy.ts';
import { type Answer, ask } from '../../support/http-client.ts';
import { type OAuthIssuer, startOAuthIssuer } from '../../support/oauth-issuer.ts';
import { eventually } from '../../support/programs.ts';
import { type Service, startService, toServiceConfig } from '../../support/service.ts';
import { startUpstream, type Upstream } from '../../support/upstream.ts';

const PATH = '/tenant-a/llama-3-8b/infer';
const BODY = '{"prompt":"hello"}';
const BATCH = {
  id: 'batch',
  secret: 'batch-secret-of-many-characters!',
  claims: { tenant: 'tenant-a', tier: 'internal', roles: ['inference'] },
};
const KEY_ID = 'customerone1';
const SECRET = Buffer.alloc(32, 9).toString('base64url');

describeWith(['envoy', 'openssl'], 'certificates and service accounts inside, API keys outside', () => {
  let folder: string;
  let maker: CertificateMaker;
  let ca: CertificateFiles;
  let caller: CertificateFiles;
  let issuer: OAuthIssuer;
  let upstream: Upstream;
  let service: Service;
  let envoy: Envoy;

  const writeKeys = (changes: object = {}): Promise<void> => {
    const sha256 = digestSecret(SECRET).toString('hex');
    const key = { id: KEY_ID, sha256, tenant: 'tenant-a', roles: ['inference'], tier: 'premium', ...changes };
    return writeFile(join(folder, 'api-keys.yaml'), stringify({ keys: [key] }));
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-hybrid-'));
    maker = createCertificateMaker();
    ca = maker.make('ca', { isCa: true });
    caller = maker.make('batch', { ca, sans: ['URI:spiffe://corp.example/batch'] });
    const server = maker.make('gateway', { ca, sans: ['DNS:localhost'] });
    issuer = await startOAuthIssuer([BATCH]);
    upstream = await startUpstream();
    await writeKeys();
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await writeFile(join(folder, 'signing.pem'), privateKey.export({ format: 'pem', type: 'pkcs8' }));
    service = await startService({
      config: {
        ...(await toServiceConfig()),
        identity: {
          mtls: { trust_domains: ['corp.example'] },
          jwt: {
            issuers: [
              {
                issuer: issuer.issuer,
                audiences: [issuer.audience],
                algorithms: ['ES256'],
                jwks: { url: issuer.jwksUrl },
                forward: false,
              },
            ],
          },
          introspection: [
            {
              issuer: issuer.issuer,
              url: issuer.introspectionUrl,
              client_id: issuer.gateway.id,
              client_secret: issuer.gateway.secret,
              audiences: [issuer.audience],
              cache_ttl_seconds: 0,
              deadline_ms: 1000,
            },
          ],
          dpop: { enabled: true },
          api_keys: { file: join(folder, 'api-keys.yaml') },
          token_exchange: {
            listen: '127.0.0.1:0',
            issuer: 'https://gateway.corp.example',
            audience: 'gateway',
            signing_key_file: join(folder, 'signing.pem'),
          },
        },
      },
    });
    const authz = {
      door: 'grpc' as const,
      at: { ports: [service.port('ext_authz_grpc')] },
      body: { maxBytes: 65_536 },
      clearRouteCache: true,
      includePeerCertificate: true,
    };
    envoy = await startEnvoy({
      upstreams: { upstream: { ports: [upstream.port] } },
      listeners: {
        inside: { authz, tls: { ...server, clientCa: ca.cert } },
        outside: { authz },
      },
    });
  });

  afterAll(async () => {
    await envoy?.stop();
    await Promise.all([service?.stop(), upstream?.stop(), issuer?.stop()]);
    maker?.remove();
    await rm(folder, { recursive: true, force: true });
  });

  beforeEach(() => upstream.reset());

  const headersOf = (token: string | undefined): Record<string, string> => ({
    'content-type': 'application/json',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  });

  const inside = (token: string | undefined, shown: CertificateFiles | undefined = caller): Promise<number> =>
    new Promise((resolve, reject) => {
      const outgoing = httpsRequest(
        {
          host: '127.0.0.1',
          port: envoy.port('inside'),
          servername: 'localhost',
          ca: readFileSync(ca.cert),
          ...(shown === undefined ? {} : { cert: readFileSync(shown.cert), key: readFileSync(shown.key) }),
          method: 'POST',
          path: PATH,
          agent: false,
          headers: headersOf(token),
        },
        (response) => {
          response.resume();
          response.on('end', () => resolve(response.statusCode ?? 0));
        },
      );
      outgoing.on('error', reject);
      outgoing.end(BODY);
    });

  const outside = (token: string | undefined, path = PATH): Promise<Answer> =>
    ask(envoy.port('outside'), { method: 'POST', path, body: BODY, headers: headersOf(token) });

  const exchange = (secret = SECRET): Promise<Answer> =>
    ask(service.port('token_exchange'), {
      method: 'POST',
      path: '/token',
      body: 'grant_type=client_credentials',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${Buffer.from(`${KEY_ID}:${secret}`).toString('base64')}`,
      },
    });

  const tokenOf = ({ status, body }: Answer): string => {
    expect(status).toBe(200);
    const { access_token: token }: { access_token?: unknown } = JSON.parse(body);
    return String(token);
  };

  test.each(['jwt', 'opaque'] as const)('inside, a service account with its token (%s) passes', async (format) => {
    expect(await inside(await issuer.token(BATCH, format))).toBe(200);
    expect(upstream.seen[0]?.headers).toMatchObject({ 'x-sallyport-tenant': 'tenant-a' });
    expect(upstream.seen[0]?.headers['authorization']).toBeUndefined();
  });

  test('inside, nothing passes without a certificate, a token, or with one that does not hold', async () => {
    const good = await issuer.token(BATCH, 'jwt');
    const revoked = await issuer.token(BATCH, 'opaque');
    await issuer.revoke(BATCH, revoked);
    await expect(inside(good, { ...caller, ...maker.make('stranger') })).rejects.toThrow();
    expect(await inside(undefined)).toBe(403);
    expect(await inside(revoked)).toBe(401);
    expect(await inside(`${good.slice(0, -4)}AAAA`)).toBe(401);
    expect(upstream.count()).toBe(0);
  });

  test('outside, a key is exchanged for a token, and the token passes for its tenant only', async () => {
    const token = tokenOf(await exchange());
    expect((await outside(token)).status).toBe(200);
    expect(upstream.seen[0]?.headers).toMatchObject({ 'x-sallyport-tenant': 'tenant-a' });
    expect(upstream.seen[0]?.headers['authorization']).toBeUndefined();
    expect((await outside(token, PATH.replace('tenant-a', 'tenant-b'))).status).toBe(403);
    expect((await outside(undefined)).status).toBe(401);
    expect((await exchange(token)).status).toBe(401);
    expect((await exchange(Buffer.alloc(32, 8).toString('base64url'))).status).toBe(401);
    expect(upstream.count()).toBe(1);
  });

  test('outside, a token dies with its key, and lives again with no other', async () => {
    const token = tokenOf(await exchange());
    expect((await outside(token)).status).toBe(200);
    await writeKeys({ revoked: true });
    const revokedAt = performance.now();
    await eventually(async () => ((await outside(token)).status === 401 ? true : undefined));
    expect(performance.now() - revokedAt).toBeLessThan(1000);
    expect((await exchange()).status).toBe(401);
  });
});
