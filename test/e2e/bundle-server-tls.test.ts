import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CertificateMaker, createCertificateMaker, makeDoorCertificates } from '../support/certificates.ts';
import { describeWith } from '../support/describe-with.ts';
import { newSigner, type OpenServer, openServer, release, TOKENS } from '../unit/bundle-server/server-support.ts';

describeWith(['openssl'], 'the bundle server behind TLS', () => {
  let maker: CertificateMaker;
  let server: OpenServer;
  let certificates: ReturnType<typeof makeDoorCertificates>;
  const author = newSigner('author-1');

  beforeAll(async () => {
    maker = createCertificateMaker();
    certificates = makeDoorCertificates(maker);
    server = await openServer({
      keys: { 'author-1': author.publicPem },
      config: { tls: { ...certificates.server, client_ca: certificates.ca.cert } },
    });
  });
  afterAll(async () => {
    await server?.stop();
    maker?.remove();
  });

  const ask = (method: string, path: string, token: string, withCertificate: boolean, body?: Uint8Array, jws = '') =>
    new Promise<number>((resolve, reject) => {
      const asked = request(
        {
          ...{
            host: 'localhost',
            port: server.port,
            method,
            path,
            agent: false,
            ca: readFileSync(certificates.ca.cert),
          },
          ...(withCertificate
            ? { cert: readFileSync(certificates.gateway.cert), key: readFileSync(certificates.gateway.key) }
            : {}),
          headers: { authorization: `Bearer ${token}`, ...(jws === '' ? {} : { 'x-sallyport-signature': jws }) },
        },
        (response) => {
          response.resume();
          response.on('end', () => resolve(response.statusCode ?? 0));
        },
      );
      asked.on('error', reject);
      asked.end(body);
    });

  test('serves whoever shows a certificate and a token, and nobody else', async () => {
    const { bytes, jws } = release(author, 1);
    expect(await ask('PUT', '/v1/bundles/authz/archives', TOKENS.publish, true, bytes, jws)).toBe(201);
    expect(await ask('GET', '/v1/bundles/authz/revisions', TOKENS.read, true)).toBe(200);
    expect(await ask('GET', '/v1/bundles/authz/revisions', 'x', true)).toBe(401);
    await expect(ask('GET', '/v1/bundles/authz/revisions', TOKENS.read, false)).rejects.toThrow();
  });
});
