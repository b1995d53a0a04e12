import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import { buildCatalogBundle } from '../../support/catalog-bundle.ts';
import { describeWith } from '../../support/describe-with.ts';
import { type Envoy, startBootstrap } from '../../support/envoy.ts';
import type { PolicyBundle } from '../../support/policy-bundle.ts';
import { createRawClient, type RawClient, rawRequest } from '../../support/raw-http.ts';
import { type Service, startService } from '../../support/service.ts';
import { ownedOnWire } from '../../support/tenant-gateway.ts';
import { createTestIssuer, type TestIssuer } from '../../support/tokens.ts';
import { ROOT } from '../../support/tools.ts';
import { startUpstream, type Upstream } from '../../support/upstream.ts';

const FOLDER = join(ROOT, 'test/scenarios/multi-tenant-gateway');
const ENDPOINTS = ['tenant-a-model-x', 'tenant-a-model-x-batch', 'tenant-b-model-x', 'tenant-b-model-y'];

describeWith(['opa', 'envoy'], 'the multi-tenant gateway of the README', () => {
  let folder: string;
  let bundle: PolicyBundle;
  let issuer: TestIssuer;
  let service: Service;
  let envoy: Envoy;
  let client: RawClient;
  const upstreams = new Map<string, Upstream>();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-multi-tenant-'));
    issuer = await createTestIssuer({ issuer: 'https://login.example.test', audience: 'inference' });
    await issuer.writeJwks(join(folder, 'jwks.json'));
    const data: Record<string, unknown> = JSON.parse(readText('catalog/data.json'));
    bundle = await buildCatalogBundle((catalog) => {
      for (const section of Object.keys(catalog)) delete catalog[section];
      Object.assign(catalog, data);
    });
    for (const name of ENDPOINTS) upstreams.set(name, await startUpstream(name));
    service = await startService({
      config: parse(
        readText('sallyport.yaml')
          .replace('127.0.0.1:9191', '127.0.0.1:0')
          .replace('127.0.0.1:8282', '127.0.0.1:0')
          .replace('file: tenants.tar.gz', `file: ${bundle.file}`)
          .replace('file: jwks.json', `file: ${join(folder, 'jwks.json')}`),
      ),
      env: { BUNDLE_SHA256: createHash('sha256').update(readFileSync(bundle.file)).digest('hex') },
    });
    const ports = new Map([
      ...['8080', '9901'].map((port) => [port, 0] as const),
      ['9191', service.port('ext_authz_grpc')] as const,
      ...ENDPOINTS.map((name, at) => [String(8001 + at), upstreams.get(name)?.port ?? 0] as const),
    ]);
    envoy = await startBootstrap(
      parse(readText('envoy.yaml').replaceAll(/port_value: (\d+)/g, (_, port) => `port_value: ${ports.get(port)}`)),
    );
    client = createRawClient(envoy.port('inbound'), 1);
  });

  afterAll(async () => {
    client?.close();
    await envoy?.stop();
    await service?.stop();
    for (const upstream of upstreams.values()) await upstream.stop();
    bundle?.remove();
    await rm(folder, { recursive: true, force: true });
  });

  beforeEach(() => {
    for (const upstream of upstreams.values()) upstream.reset();
  });

  test('the table has both sides of it', () => {
    expect(ROWS.length).toBeGreaterThanOrEqual(15);
    expect(new Set(ROWS.map(({ endpoint }) => endpoint))).toEqual(new Set([...ENDPOINTS, '–']));
  });

  test.each(ROWS)('$tenant ($roles) $method $host$path: $answer $endpoint', async (row) => {
    const roles = row.roles === '–' ? [] : row.roles.split(',');
    const tenant = row.tenant === '–' ? undefined : row.tenant;
    const other = tenant === 'tenant-a' ? 'tenant-b' : 'tenant-a';
    const token = await issuer.mint({ tenant, tier: 'standard', roles });
    const { status } = await client.send(
      rawRequest(
        row.method,
        row.path,
        [
          ['host', row.host],
          ['content-type', 'application/json'],
          ...(row.tenant === 'nobody' ? [] : ([['authorization', `Bearer ${token}`]] as const)),
          ['x-sallyport-tenant', other],
          ['x-sallyport-role', 'admin'],
          ['x-sallyport-upstream', `${other}-model-x`],
        ],
        '{"prompt":"Name three rivers."}',
      ),
    );
    expect(status).toBe(Number(row.answer));
    const reached = [...upstreams].filter(([, upstream]) => upstream.count() > 0).map(([name]) => name);
    expect(reached).toEqual(row.endpoint === '–' ? [] : [row.endpoint]);
    for (const name of reached) {
      expect(ownedOnWire(upstreams.get(name)?.seen[0]?.rawHeaders ?? [])).toEqual({
        'x-sallyport-tenant': [tenant],
        'x-sallyport-role': [roles.join(',')],
        'x-sallyport-upstream': [name],
        'x-sallyport-decision-id': [expect.stringMatching(/^\S+$/)],
      });
    }
  });
});

interface Row {
  readonly tenant: string;
  readonly roles: string;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly answer: string;
  readonly endpoint: string;
}

const ROWS = readRows();

/** The rows of the README's last table. */
function readRows(): readonly Row[] {
  const table = readText('README.md').split('## What is answered')[1] ?? '';
  return table
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| tenant |'))
    .map((line) => {
      const [tenant = '', roles = '', method = '', host = '', path = '', answer = '', endpoint = ''] = line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim());
      return { tenant, roles, method, host, path, answer, endpoint };
    });
}

function readText(file: string): string {
  return readFileSync(join(FOLDER, file), 'utf8');
}
