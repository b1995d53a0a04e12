import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type CertificateFiles, type CertificateMaker, createCertificateMaker } from '../../support/certificates.ts';
import { describeWith } from '../../support/describe-with.ts';
import { type Envoy, startEnvoy } from '../../support/envoy.ts';
import type { ExtAuthz } from '../../support/envoy-config.ts';
import { buildPolicyBundle, type PolicyBundle } from '../../support/policy-bundle.ts';
import { type Service, startService, toServiceConfig } from '../../support/service.ts';
import { createTestIssuer, type TestIssuer } from '../../support/tokens.ts';
import { ROOT } from '../../support/tools.ts';
import { startUpstream, type Upstream } from '../../support/upstream.ts';

const DOMAIN = 'mesh.example';
const INFER = '/v2/resnet-50/infer';
const MEGABYTE = 1_000_000;
const WHO = [
  'pre-processor',
  'service-a',
  'stranger',
  'outsider',
  'two-names',
  'dns-only',
  'sidecar',
  'ingress',
] as const;
type Who = (typeof WHO)[number];

const SANS: Readonly<Record<Who, readonly string[]>> = {
  'pre-processor': [`URI:spiffe://${DOMAIN}/pre-processor`],
  'service-a': [`URI:spiffe://${DOMAIN}/service-a`, 'DNS:service-a.mesh.example'],
  stranger: [`URI:spiffe://${DOMAIN}/stranger`],
  outsider: ['URI:spiffe://other.example/service-a'],
  'two-names': [`URI:spiffe://${DOMAIN}/service-a`, `URI:spiffe://${DOMAIN}/pre-processor`],
  'dns-only': ['DNS:service-a'],
  sidecar: [`URI:spiffe://${DOMAIN}/sidecar`, 'DNS:localhost'],
  ingress: [`URI:spiffe://${DOMAIN}/ingress`, 'DNS:localhost'],
};

describeWith(['envoy', 'opa'], 'a mesh of services with SPIFFE identities', () => {
  let folder: string;
  let maker: CertificateMaker;
  let ca: CertificateFiles;
  const certificates = new Map<Who, CertificateFiles>();
  let bundle: PolicyBundle;
  let issuer: TestIssuer;
  let upstream: Upstream;
  let service: Service;
  let sidecar: Envoy;
  let ingress: Envoy;

  const shownBy = (who: Who): CertificateFiles => {
    const files = certificates.get(who);
    if (files === undefined) throw new Error(`no certificate was made for \`${who}\``);
    return files;
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-mesh-'));
    maker = createCertificateMaker();
    ca = maker.make('mesh-ca', { isCa: true });
    for (const who of WHO) certificates.set(who, maker.make(who, { ca, sans: SANS[who] }));

    // The shipped policies over the mesh's own data.
    const policies = join(folder, 'policies');
    cpSync(join(ROOT, 'policies'), policies, { recursive: true });
    cpSync(join(import.meta.dirname, 'catalog'), join(policies, 'catalog'), { recursive: true });
    bundle = await buildPolicyBundle(policies, ['authz/decision', 'authz/limits']);

    issuer = await createTestIssuer();
    const jwksFile = join(folder, 'jwks.json');
    await issuer.writeJwks(jwksFile);
    upstream = await startUpstream();
    const config = await toServiceConfig({ issuer, jwksFile, bundleFile: bundle.file });
    service = await startService({
      config: {
        ...config,
        identity: {
          ...(config['identity'] as object),
          mtls: {
            trust_domains: [DOMAIN],
            xfcc: { trusted_peers: [`spiffe://${DOMAIN}/ingress`], by: [`spiffe://${DOMAIN}/sidecar`] },
          },
        },
      },
    });
    const authz = (includePeerCertificate: boolean): ExtAuthz => ({
      door: 'grpc',
      at: { ports: [service.port('ext_authz_grpc')] },
      includePeerCertificate,
      body: { maxBytes: 2 ** 23 },
      clearRouteCache: true,
    });
    const tls = { ...shownBy('sidecar'), clientCa: ca.cert };
    sidecar = await startEnvoy({
      upstreams: { upstream: { ports: [upstream.port] } },
      listeners: {
        mesh: { tls, authz: authz(true) },
        'principal-only': { tls, authz: authz(false) },
        append: { tls, authz: authz(true), forwardClientCert: 'APPEND_FORWARD' },
        forward: { tls, authz: authz(true), forwardClientCert: 'ALWAYS_FORWARD_ONLY' },
        plain: { authz: authz(true), forwardClientCert: 'ALWAYS_FORWARD_ONLY' },
        http: {
          tls,
          forwardClientCert: 'APPEND_FORWARD',
          authz: {
            door: 'http',
            at: { ports: [service.port('ext_authz_http')] },
            requestHeaders: ['x-*', 'content-type'],
          },
        },
      },
    });
    const behind = { ...shownBy('ingress'), ca: ca.cert };
    const ingressTls = { ...shownBy('ingress'), clientCa: ca.cert };
    ingress = await startEnvoy({
      upstreams: {
        append: { ports: [sidecar.port('append')] },
        forward: { ports: [sidecar.port('forward')] },
      },
      upstreamTls: { append: behind, forward: behind },
      listeners: {
        'to-append': { tls: ingressTls, cluster: 'append', forwardClientCert: 'APPEND_FORWARD' },
        'to-forward': { tls: ingressTls, cluster: 'forward', forwardClientCert: 'SANITIZE_SET' },
      },
    });
  });

  afterAll(async () => {
    await Promise.all([ingress?.stop(), sidecar?.stop()]);
    await Promise.all([service?.stop(), upstream?.stop()]);
    bundle?.remove();
    maker?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  beforeEach(() => upstream.reset());

  interface Call {
    readonly path?: string;
    readonly bytes?: number;
    readonly method?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly listener?: string;
    readonly by?: Envoy;
  }

  interface Answer {
    readonly status: number;
    readonly headers: IncomingHttpHeaders;
    readonly body: string;
  }

  function call(
    who: Who,
    { path = '/predict', bytes = 10, method = 'POST', headers = {}, ...to }: Call = {},
  ): Promise<Answer> {
    const files = shownBy(who);
    return new Promise((resolve, reject) => {
      const outgoing = httpsRequest(
        {
          host: '127.0.0.1',
          servername: 'localhost',
          port: (to.by ?? sidecar).port(to.listener ?? 'mesh'),
          method,
          path,
          headers: { 'content-length': String(bytes), ...headers },
          agent: false,
          ca: readFileSync(ca.cert),
          cert: readFileSync(files.cert),
          key: readFileSync(files.key),
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const { statusCode: status = 0, headers: answered } = response;
            resolve({ status, headers: answered, body: Buffer.concat(chunks).toString('utf8') });
          });
        },
      );
      outgoing.on('error', reject);
      outgoing.end(Buffer.alloc(bytes, 'x'));
    });
  }

  async function expectPassed(answer: Answer, to: string): Promise<void> {
    expect(answer, answer.body).toMatchObject({ status: 200 });
    expect(upstream.count()).toBe(1);
    expect(upstream.seen[0]?.headers).toMatchObject({ 'x-sallyport-upstream': to });
    expect(upstream.seen[0]?.headers).not.toHaveProperty('x-sallyport-tenant');
  }

  function expectDenied(answer: Answer, status: number): void {
    expect(answer.status).toBe(status);
    expect(answer.body).not.toContain(DOMAIN);
    expect(upstream.count()).toBe(0);
  }

  describe.each(['mesh', 'principal-only'])('at the sidecar, %s', (listener) => {
    test('the pre-processor calls the model server', async () => {
      await expectPassed(await call('pre-processor', { listener, path: INFER, bytes: 2 * MEGABYTE }), 'model-server');
    });

    test('service A calls `/predict` with less than 1 MB', async () => {
      await expectPassed(await call('service-a', { listener, bytes: MEGABYTE - 1 }), 'predictor');
    });

    test.each<[string, number, Who, Call]>([
      ['service A with 1 MB', 413, 'service-a', { bytes: MEGABYTE }],
      ['service A at the model server', 403, 'service-a', { path: INFER }],
      ['the pre-processor at `/predict`', 403, 'pre-processor', {}],
      ['the pre-processor at another operation', 403, 'pre-processor', { path: '/v2/resnet-50/unload' }],
      ['the pre-processor at another model', 403, 'pre-processor', { path: '/v2/gpt-9/infer' }],
      ['another method', 405, 'service-a', { method: 'DELETE', bytes: 0 }],
      ['a service that has no rules', 403, 'stranger', {}],
      ['a DNS name like the name of a service', 403, 'dns-only', {}],
      ['a SPIFFE ID of another trust domain', 401, 'outsider', {}],
    ])('%s is denied', async (_title, status, who, asked) => {
      expectDenied(await call(who, { listener, ...asked }), status);
    });
  });

  test('a certificate with two SPIFFE IDs is nobody’s, once it is shown', async () => {
    expectDenied(await call('two-names'), 401);
  });

  test('a client that shows no certificate does not get in', async () => {
    await expect(
      new Promise((resolve, reject) => {
        httpsRequest(
          { host: '127.0.0.1', port: sidecar.port('mesh'), rejectUnauthorized: false, path: '/predict', agent: false },
          resolve,
        )
          .on('error', reject)
          .end();
      }),
    ).rejects.toThrow();
    expect(upstream.count()).toBe(0);
  });

  test('a user’s token is the user’s, also where a service brings it: the service’s rules do not lend it theirs', async () => {
    const authorization = `Bearer ${await issuer.mint({ tenant: 'tenant-a', tier: 'premium' })}`;
    expectDenied(await call('service-a', { headers: { authorization } }), 403);
  });

  test('a bad token is refused beside a good certificate', async () => {
    expectDenied(await call('service-a', { headers: { authorization: 'Bearer x.y.z' } }), 401);
  });

  describe('behind the ingress', () => {
    test.each(['to-append', 'to-forward'])('%s: whoever called the ingress is who asks', async (listener) => {
      await expectPassed(await call('service-a', { by: ingress, listener }), 'predictor');
      upstream.reset();
      expectDenied(await call('pre-processor', { by: ingress, listener }), 403);
      expectDenied(await call('outsider', { by: ingress, listener }), 401);
      expectDenied(await call('two-names', { by: ingress, listener }), 401);
    });

    test.each(['to-append', 'to-forward'])(
      '%s: what a client says of itself there is not believed',
      async (listener) => {
        for (const xfcc of forgeries()) {
          const answer = await call('stranger', {
            by: ingress,
            listener,
            headers: { 'x-forwarded-client-cert': xfcc },
          });
          expect([401, 403]).toContain(answer.status);
        }
        expect(upstream.count()).toBe(0);
      },
    );
  });

  test.each(['mesh', 'append', 'forward', 'http'])('a client of `%s` cannot name another by XFCC', async (listener) => {
    for (const xfcc of forgeries()) {
      const answer = await call('stranger', { listener, headers: { 'x-forwarded-client-cert': xfcc } });
      expect([401, 403]).toContain(answer.status);
    }
    expect(upstream.count()).toBe(0);
  });

  test('nor can one without a certificate, where the header is let through', async () => {
    for (const xfcc of forgeries()) {
      const answer = await fetch(`http://127.0.0.1:${sidecar.port('plain')}/predict`, {
        method: 'POST',
        headers: { 'x-forwarded-client-cert': xfcc },
        body: 'x',
      });
      expect(answer.status).toBe(401);
    }
    expect(upstream.count()).toBe(0);
  });

  test('over Envoy’s HTTP service nobody has a certificate', async () => {
    expectDenied(await call('service-a', { listener: 'http' }), 401);
  });
});

/** What a client might send to be taken for service A. */
function forgeries(): readonly string[] {
  const uri = `URI=spiffe://${DOMAIN}/service-a`;
  return ['ingress', 'sidecar', 'service-a'].flatMap((by) => {
    const element = `By=spiffe://${DOMAIN}/${by};Hash=${'ab'.repeat(32)};Subject="CN=service-a";${uri}`;
    return [element, `${element},${element}`, `${uri},${element}`, `${element};Chain="`, `x="${element}`];
  });
}
