import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildCatalogBundle } from './catalog-bundle.ts';
import { type Envoy, startEnvoy } from './envoy.ts';
import { HTTP_REQUEST_HEADERS, type ListenerOptions } from './envoy-config.ts';
import { type Service, startService, toServiceConfig } from './service.ts';
import { createTestIssuer, type TestIssuer } from './tokens.ts';
import { startUpstream, type Upstream } from './upstream.ts';

/** A real Envoy that sends each request to the cluster which Sallyport names, and an upstream for each tenant. */
export interface TenantGateway {
  readonly envoy: Envoy;
  readonly issuer: TestIssuer;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  stop(): Promise<void>;
}

export const TENANTS = ['tenant-a', 'tenant-b'] as const;

/** Clusters of each tenant's own endpoints, as the catalog names them. */
export const ENDPOINTS = ['llama-3-8b', 'mistral-7b', 'llama-3-8b-batch', 'mistral-7b-batch'] as const;

/** Both doors; Envoy as it comes and hardened; headers raw; over HTTP also with every `x-` header shown to the door. */
export const LISTENERS = ['grpc', 'grpc-raw', 'grpc-hardened', 'http', 'http-shown', 'http-hardened'] as const;

/** Like `grpc`, but Envoy keeps the route that it chose by the client's own header: what tests must be able to see. */
export const UNSAFE_LISTENER = 'grpc-unsafe';

/** The shipped policies and data, and a host for each tenant; the role `batch` has an endpoint in both. */
export async function startTenantGateway(): Promise<TenantGateway> {
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0).reverse()) await one();
  };
  try {
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-tenants-'));
    stops.push(() => rm(folder, { recursive: true, force: true }));
    const issuer = await createTestIssuer();
    const jwksFile = join(folder, 'jwks.json');
    await issuer.writeJwks(jwksFile);
    const bundle = await buildCatalogBundle((catalog) => {
      catalog['hosts'] = Object.fromEntries(TENANTS.map((tenant) => [`${tenant}.test`, tenant]));
      const llama = catalog.models['llama-3-8b'] ?? {};
      llama['role_upstreams'] = Object.fromEntries(
        TENANTS.map((tenant) => [tenant, [{ role: 'batch', upstream: `${tenant}-llama-3-8b-batch` }]]),
      );
    });
    stops.push(async () => bundle.remove());
    const upstreams = new Map<string, Upstream>();
    for (const tenant of TENANTS) {
      const upstream = await startUpstream(tenant);
      stops.push(() => upstream.stop());
      upstreams.set(tenant, upstream);
    }
    const service = await startService({
      config: await toServiceConfig({ issuer, jwksFile, bundleFile: bundle.file }),
    });
    stops.push(() => service.stop());
    const clusters = TENANTS.flatMap((tenant) =>
      ENDPOINTS.map((endpoint) => [`${tenant}-${endpoint}`, { ports: [upstreams.get(tenant)?.port ?? 0] }] as const),
    );
    const envoy = await startEnvoy({
      upstreams: Object.fromEntries(clusters),
      listeners: Object.fromEntries([...LISTENERS, UNSAFE_LISTENER].map((name) => [name, listenerOf(name, service)])),
      logLevel: 'error',
    });
    stops.push(() => envoy.stop());
    return { envoy, issuer, upstreams, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function listenerOf(name: string, service: Service): ListenerOptions {
  const door = name.startsWith('grpc') ? 'grpc' : 'http';
  return {
    clusterHeader: 'x-sallyport-upstream',
    hardened: name.endsWith('hardened'),
    authz: {
      door,
      at: { ports: [service.port(door === 'grpc' ? 'ext_authz_grpc' : 'ext_authz_http')] },
      body: { maxBytes: 131_072 },
      // Without it the cluster would be the one that the client's own header names.
      clearRouteCache: name !== UNSAFE_LISTENER,
      encodeRawHeaders: name.endsWith('raw'),
      ...(name.endsWith('shown')
        ? { requestHeaders: [...HTTP_REQUEST_HEADERS, 'x-*', 'forwarded', 'connection'] }
        : {}),
    },
  };
}

/** Every header that an upstream may take for one of Sallyport's (`_` read as `-`), each with all its values. */
export function ownedOnWire(rawHeaders: readonly string[]): Readonly<Record<string, readonly string[]>> {
  const owned: Record<string, string[]> = {};
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase().replaceAll('_', '-');
    if (!OWNED.includes(name)) continue;
    owned[name] = [...(owned[name] ?? []), rawHeaders[at + 1] ?? ''];
  }
  return owned;
}

const OWNED = ['x-sallyport-tenant', 'x-sallyport-role', 'x-sallyport-upstream', 'x-sallyport-decision-id'];
