import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CatalogData } from '../../support/catalog-bundle.ts';
import { type CertificateFiles, createCertificateMaker } from '../../support/certificates.ts';
import { startBootstrap } from '../../support/envoy.ts';
import { type Answer, ask } from '../../support/http-client.ts';
import { digestOf, openScenario } from '../../support/scenario.ts';
import { startService } from '../../support/service.ts';
import { createTestIssuer } from '../../support/tokens.ts';
import { startUpstream, type Upstream } from '../../support/upstream.ts';

export const SCENARIO = openScenario('multi-model-gateway');
export const ISSUER = 'https://login.example.test';

/** The README's gateway as it runs: a real Envoy, Sallyport, and an upstream for each model. */
export interface StartedGateway {
  readonly small: Upstream;
  readonly large: Upstream;
  /** Calls of one user, with one token. */
  readonly user: (user: User) => Promise<Calls>;
  /** `POST /tenant-a/small/infer` of a service of the mesh, on a connection that is kept. */
  readonly infer: (service: ServiceName) => Promise<Answer>;
  readonly stop: () => Promise<void>;
}

export interface User {
  readonly subject: string;
  readonly tenant?: string;
  readonly tier?: string;
}

export interface Calls {
  /** A `GET` asks for the status of a model, a `POST` for an inference. */
  readonly infer: (method?: 'GET' | 'POST', model?: string) => Promise<Answer>;
  /** Members of the body beside the messages. */
  readonly chat: (wish?: {
    readonly model?: string;
    readonly max_tokens?: number;
    readonly n?: number;
  }) => Promise<Answer>;
}

const SERVICES = ['pre-processor', 'indexer'] as const;
export type ServiceName = (typeof SERVICES)[number];

export async function startGateway(change: (catalog: CatalogData) => void): Promise<StartedGateway> {
  const stops: (() => unknown)[] = [];
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0).reverse()) await one();
  };
  try {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-multi-model-'));
    stops.push(() => rmSync(folder, { recursive: true, force: true }));
    const maker = createCertificateMaker();
    stops.push(() => maker.remove());
    const ca = maker.make('mesh-ca', { isCa: true });
    const own = maker.make('gateway', { ca, sans: ['DNS:localhost'] });
    const shown = new Map(
      SERVICES.map((name) => [name, maker.make(name, { ca, sans: [`URI:spiffe://mesh.example/${name}`] })] as const),
    );
    const issuer = await createTestIssuer({ issuer: ISSUER, audience: 'inference' });
    const jwks = join(folder, 'jwks.json');
    await issuer.writeJwks(jwks);
    const bundle = await SCENARIO.buildBundle(change);
    stops.push(() => bundle.remove());
    const small = await startUpstream('small');
    stops.push(() => small.stop());
    const large = await startUpstream('large');
    stops.push(() => large.stop());
    const service = await startService({
      config: SCENARIO.config({ 'file: gateway.tar.gz': `file: ${bundle.file}`, 'file: jwks.json': `file: ${jwks}` }),
      env: { BUNDLE_SHA256: digestOf(bundle.file) },
    });
    stops.push(() => service.stop());
    const envoy = await startBootstrap(
      SCENARIO.bootstrap(
        { 9191: service.port('ext_authz_grpc'), 8001: small.port, 8002: large.port },
        { 'gateway.crt': own.cert, 'gateway.key': own.key, 'mesh-ca.crt': ca.cert },
      ),
    );
    stops.push(() => envoy.stop());
    const agent = new Agent({ keepAlive: true });
    stops.push(() => agent.destroy());

    const user = async ({ subject, tenant = 'tenant-a', tier = 'free' }: User): Promise<Calls> => {
      const headers = {
        authorization: `Bearer ${await issuer.mint({ sub: subject, tenant, tier })}`,
        'content-type': 'application/json',
      };
      const port = envoy.port('inbound');
      return {
        infer: (method = 'POST', model = 'small') => {
          const path = `/${tenant}/${model}/${method === 'GET' ? 'status' : 'infer'}`;
          return ask(port, { method, path, headers, body: method === 'GET' ? '' : '{"prompt":"Name three rivers."}' });
        },
        chat: (wish = {}) => {
          const messages = [{ role: 'user', content: 'Name three rivers.' }];
          const body = JSON.stringify({ model: 'small', max_tokens: 1, messages, ...wish });
          return ask(port, { method: 'POST', path: '/v1/chat/completions', headers, body });
        },
      };
    };
    const infer = (name: ServiceName): Promise<Answer> => overMtls(envoy.port('mesh'), agent, ca, shown.get(name));
    return { small, large, user, infer, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function overMtls(port: number, agent: Agent, ca: CertificateFiles, shown?: CertificateFiles): Promise<Answer> {
  if (shown === undefined) throw new Error('no certificate was made');
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest(
      {
        ...{ host: '127.0.0.1', servername: 'localhost', port, agent },
        ...{ ca: readFileSync(ca.cert), cert: readFileSync(shown.cert), key: readFileSync(shown.key) },
        ...{ method: 'POST', path: '/tenant-a/small/infer', headers: { 'content-length': '2' } },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const { statusCode: status = 0, headers } = response;
          resolve({ status, headers, body: Buffer.concat(chunks).toString() });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end('{}');
  });
}
