import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/decision/json.ts';
import { createRateLimitDoor, type RateLimitDoor } from '../../src/protocols/ratelimit/server.ts';
import { mergeDescriptors } from '../../src/quota/descriptors/descriptors.ts';
import { compileDescriptors } from '../../src/quota/descriptors/descriptors-data.ts';
import { createDescriptorLimits } from '../../src/quota/descriptors/descriptors-limits.ts';
import { loadRateLimitFiles } from '../../src/quota/descriptors/ratelimit-files.ts';
import { systemClock } from '../../src/telemetry/system-clock.ts';
import { type Envoy, startBootstrap } from '../support/envoy.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';
import { createWindowQuota, type WindowQuota } from '../support/window-quota.ts';

// The door's answers as a real Envoy's rate limit filter reads them, over limits of a file and of a bundle. Windows are
// years, so that none ends while a test runs.

const LIMITS = `
domain: edge
descriptors:
  - key: tenant
    rate_limit: {unit: year, requests_per_unit: 3, name: per-tenant}
  - key: tenant
    value: gold-*
    rate_limit: {unit: year, requests_per_unit: 100}
  - key: method
    value: POST
    descriptors:
      - key: path
        rate_limit: {unit: year, requests_per_unit: 2}
  - key: sent_to
    rate_limit: {unit: year, requests_per_unit: 1000}
`;
const YEAR_S = 365 * 86_400;

let quota: WindowQuota;
let upstream: Upstream;
let door: RateLimitDoor;
let envoy: Envoy;
let isStoreThere = true;
const folder = mkdtempSync(join(tmpdir(), 'sallyport-rls-'));

beforeAll(async () => {
  upstream = await startUpstream();
  writeFileSync(join(folder, 'limits.yaml'), LIMITS);
  const files = loadRateLimitFiles([join(folder, 'limits.yaml')]);
  expect(files.faults).toEqual([]);
  const catalog = {
    tokens: {
      descriptors: [
        {
          key: 'model',
          limits: { kind: 'rate', unit: 'tokens', limit: 10, per_seconds: 86_400 },
          count_over_limit: true,
        },
      ],
    },
  };
  const bundle = compileDescriptors(catalog, (where, message) => expect.fail(`${where}: ${message}`));
  const table = mergeDescriptors(files.table, bundle);
  quota = createWindowQuota();
  const limit = createDescriptorLimits({
    table: () => table,
    quota: {
      take: (request, at) =>
        isStoreThere
          ? quota.take(request, at)
          : { kind: 'unavailable', state: { taken: false, limits: {} }, cause: 'the store is gone' },
    },
    adjust: (adjustments, at) => quota.adjust(adjustments, at),
    clock: systemClock,
    onFault: (error) => expect.fail(String(error)),
  });
  door = createRateLimitDoor({
    limit,
    config: {
      listen: '127.0.0.1:0',
      trusted_loopback: true,
      max_in_flight: 100,
      max_message_bytes: 65_536,
      domains_from_bundle: true,
      on_error: 'over_limit',
      headers: 'none',
    },
    startTimer: (delayMs, late) => {
      const timer = setTimeout(late, delayMs);
      return () => clearTimeout(timer);
    },
    logger: { info: () => undefined, warn: () => undefined, limited: () => undefined },
    count: () => undefined,
    graceMs: 500,
  });
  const { address } = await door.start();
  if (address.kind !== 'tcp') throw new Error('not on TCP');
  envoy = await startBootstrap(bootstrap(address.port, upstream.port));
});
afterAll(async () => {
  await envoy.stop();
  await door.stop();
  await upstream.stop();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  isStoreThere = true;
  upstream.reset();
});

const action = (header: string, key: string): JsonObject => ({
  request_headers: { header_name: header, descriptor_key: key, skip_if_absent: false },
});

/** Two listeners: one that limits requests before they go up, and one that reports what came down afterwards. */
function bootstrap(doorPort: number, upstreamPort: number): JsonObject {
  const listener = (name: string, domain: string, rateLimits: readonly JsonObject[]): JsonObject => ({
    name,
    address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
    filter_chains: [
      {
        filters: [
          {
            name: 'hcm',
            typed_config: {
              '@type': `${TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
              stat_prefix: name,
              route_config: {
                virtual_hosts: [
                  {
                    name: 'all',
                    domains: ['*'],
                    routes: [
                      {
                        match: { prefix: '/' },
                        route: { cluster: 'upstream' },
                        // `hits_addend` has no effect in `rate_limits` of the route itself.
                        typed_per_filter_config: {
                          ratelimit: {
                            '@type': `${TYPES}.filters.http.ratelimit.v3.RateLimitPerRoute`,
                            rate_limits: rateLimits,
                          },
                        },
                      },
                    ],
                  },
                ],
              },
              http_filters: [
                {
                  name: 'ratelimit',
                  typed_config: {
                    '@type': `${TYPES}.filters.http.ratelimit.v3.RateLimit`,
                    domain,
                    timeout: '2s',
                    // Envoy's own default: an error, or an answer without a code, passes.
                    failure_mode_deny: false,
                    enable_x_ratelimit_headers: 'DRAFT_VERSION_03',
                    rate_limit_service: {
                      grpc_service: { envoy_grpc: { cluster_name: 'ratelimit' } },
                      transport_api_version: 'V3',
                    },
                  },
                },
                { name: 'router', typed_config: { '@type': `${TYPES}.filters.http.router.v3.Router` } },
              ],
            },
          },
        ],
      },
    ],
  });
  const tenant = { actions: [action('x-tenant', 'tenant')] };
  const write = { actions: [action(':method', 'method'), action(':path', 'path')] };
  const tokens = { actions: [action('x-model', 'model')] };
  return {
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
    static_resources: {
      listeners: [
        listener('open', 'edge', [tenant, write]),
        listener('tokens', 'tokens', [
          { ...tokens, hits_addend: { number: 0 } },
          { ...tokens, hits_addend: { format: '%BYTES_SENT%' }, apply_on_stream_done: true },
        ]),
        listener('unknown', 'no-such-domain', [tenant]),
      ],
      clusters: [cluster('upstream', upstreamPort), { ...cluster('ratelimit', doorPort), ...HTTP2 }],
    },
  };
}

const TYPES = 'type.googleapis.com/envoy.extensions';
const HTTP2: JsonObject = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': `${TYPES}.upstreams.http.v3.HttpProtocolOptions`,
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
};

function cluster(name: string, port: number): JsonObject {
  const address = { socket_address: { address: '127.0.0.1', port_value: port } };
  return {
    name,
    type: 'STATIC',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
  };
}

async function send(
  headers: Readonly<Record<string, string>>,
  { path = '/', method = 'GET', listener = 'open' } = {},
): Promise<Response> {
  const response = await fetch(`http://127.0.0.1:${envoy.port(listener)}${path}`, { method, headers });
  await response.arrayBuffer();
  return response;
}

describe('a real Envoy', () => {
  it('lets pass what fits, with what is left of it, and answers 429 to the rest', async () => {
    const left: (readonly [number, string | null, string | null])[] = [];
    for (let times = 0; times < 5; times++) {
      const { status, headers } = await send({ 'x-tenant': 'tenant-a' });
      left.push([status, headers.get('x-ratelimit-limit'), headers.get('x-ratelimit-remaining')]);
      const reset = Number(headers.get('x-ratelimit-reset'));
      const expected = YEAR_S - ((Date.now() / 1000) % YEAR_S);
      expect(Math.abs(reset - expected)).toBeLessThan(3);
    }
    const limit = `3, 3;w=${YEAR_S};name="per-tenant"`;
    expect(left.map(([status, , remaining]) => [status, remaining])).toEqual([
      [200, '2'],
      [200, '1'],
      [200, '0'],
      [429, '0'],
      [429, '0'],
    ]);
    expect(left[0]?.[1]).toBe(limit);
    expect(upstream.count()).toBe(3);
    expect((await send({ 'x-tenant': 'tenant-b' })).status).toBe(200);
    expect((await send({ 'x-tenant': 'gold-1' })).headers.get('x-ratelimit-remaining')).toBe('99');
  });

  it('passes nothing on that one of two descriptors refuses', async () => {
    const statuses: number[] = [];
    for (let times = 0; times < 4; times++) {
      statuses.push((await send({ 'x-tenant': 'gold-2' }, { method: 'POST', path: '/write' })).status);
    }
    expect(statuses).toEqual([200, 200, 429, 429]);
    expect((await send({ 'x-tenant': 'gold-2' }, { path: '/write' })).status).toBe(200);
    expect(upstream.count()).toBe(3);
  });

  it('passes nothing on while the store is gone, although it lets errors pass', async () => {
    isStoreThere = false;
    expect((await send({ 'x-tenant': 'tenant-c' })).status).toBe(429);
    expect(upstream.count()).toBe(0);
    expect(await envoy.stat('cluster.upstream.ratelimit.error')).toBe(0);
  });

  it('passes nothing on whose values are more than the door reads', async () => {
    expect((await send({ 'x-tenant': 'x'.repeat(9000) })).status).toBe(429);
    expect(upstream.count()).toBe(0);
  });

  it('lets pass what no domain limits', async () => {
    expect((await send({ 'x-tenant': 'tenant-a' }, { listener: 'unknown' })).status).toBe(200);
  });

  it('reports what was used after the answer, which becomes a debt', async () => {
    const ask = async (): Promise<number> => (await send({ 'x-model': 'llama' }, { listener: 'tokens' })).status;
    expect(await ask()).toBe(200);
    const reported = (): readonly number[] =>
      quota.adjusted.filter(({ charge }) => charge.terms.unit === 'tokens').map(({ hits }) => hits);
    // The report follows the answer, which is longer than the limit.
    await expect.poll(() => reported().length, { timeout: 5_000 }).toBe(1);
    expect(reported()[0]).toBeGreaterThan(10);
    expect(await ask()).toBe(429);
    expect(upstream.count()).toBe(1);
  });
});
