import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkServices } from '../../../src/cli/check-data/services.ts';
import { parseRoute, type RouteData } from '../../../src/inspection/route-data.ts';

function toRoutes(values: readonly unknown[]): readonly RouteData[] {
  return values.map((value) => parseRoute(value, '', [])).filter((route) => route !== undefined);
}

const ROUTES = toRoutes([
  { name: 'predict', path: '/predict', methods: ['POST'], limits: [] },
  { name: 'infer', path: '/{tenant}/{model}/{operation}', methods: ['POST'], limits: [] },
  { name: 'chat', path: '/chat', methods: ['POST'], body: 'json', model: 'body', operation: 'chat', limits: [] },
]);

const CALL = { routes: ['predict'], methods: ['POST'], max_bytes: 10 };
const IDENTITY = { spiffe_ids: ['spiffe://td/a'] };

function faults(services: unknown): readonly string[] {
  const found: string[] = [];
  checkServices(services, ROUTES, (path, message) => found.push(`${path} ${message}`));
  return found;
}

describe('the services of a catalog', () => {
  it.each([
    [undefined],
    [{}],
    [{ a: { ...IDENTITY, calls: [CALL], carries: ['chat'] } }],
    [{ a: { dns_names: ['a.example'], subjects: ['CN=a'] } }],
    [{ a: { ...IDENTITY, calls: [{ ...CALL, routes: ['infer'], tenants: 'any', models: ['m'], operations: 'any' }] } }],
    [{ a: { ...IDENTITY, calls: [{ routes: ['predict'], methods: ['POST'], unbounded: true, upstream: 'u' }] } }],
  ])('are in order: %j', (services) => {
    expect(faults(services)).toEqual([]);
  });

  it('of the scenario are in order', () => {
    const file = new URL('../../scenarios/service-mesh/catalog/data.json', import.meta.url);
    // The file is this project's own.
    const { routes, services } = JSON.parse(readFileSync(file, 'utf8')) as { routes: unknown[]; services: unknown };
    const found: string[] = [];
    checkServices(services, toRoutes(routes), (path, message) => found.push(`${path} ${message}`));
    expect(found).toEqual([]);
  });

  it.each<[unknown, string]>([
    [[], 'catalog.services is not an object'],
    [{ a: 1 }, 'catalog.services.a is not an object'],
    [{ a: {} }, 'names no identity'],
    [{ a: { ...IDENTITY, paths: [] } }, 'services.a.paths is not a key'],
    [{ a: { spiffe_ids: 'spiffe://td/a' } }, 'spiffe_ids is not a list of texts'],
    [{ a: { spiffe_ids: ['spiffe://td'] } }, 'no SPIFFE ID of a workload'],
    [{ a: { spiffe_ids: ['spiffe://td/a/'] } }, 'no SPIFFE ID of a workload'],
    [{ a: { dns_names: ['A.example'] } }, 'lower case'],
    [{ a: { ...IDENTITY, carries: ['nope'] } }, 'unknown route `nope`'],
    [{ a: { ...IDENTITY, calls: {} } }, 'calls is not a list'],
    [{ a: { ...IDENTITY, calls: [1] } }, 'calls[0] is not an object'],
    [{ a: { ...IDENTITY, calls: [{ ...CALL, bytes: 1 }] } }, 'calls[0].bytes is not a key'],
    [{ a: { ...IDENTITY, calls: [{ ...CALL, routes: ['nope'] }] } }, 'unknown route `nope`'],
    [{ a: { ...IDENTITY, calls: [{ ...CALL, methods: ['GET'] }] } }, 'none of its routes declares'],
    [{ a: { ...IDENTITY, calls: [{ ...CALL, max_bytes: '10' }] } }, 'not an integer'],
    [{ a: { ...IDENTITY, calls: [{ ...CALL, unbounded: true }] } }, 'and not both'],
    [{ a: { ...IDENTITY, calls: [{ routes: ['predict'], methods: ['POST'] }] } }, 'must name `max_bytes`'],
    [{ a: { ...IDENTITY, calls: [{ ...CALL, upstream: '' }] } }, 'not a cluster name'],
    [{ a: { ...IDENTITY, calls: [{ ...CALL, models: 'all' }] } }, 'models is not a list'],
    [{ a: { ...IDENTITY, calls: [{ ...CALL, routes: ['infer'], models: 'any' }] } }, 'must name `tenants`'],
    [{ a: { ...IDENTITY, calls: [{ ...CALL, routes: ['chat'] }] } }, 'must name `models`'],
    [{ a: { ...IDENTITY, calls: [{ ...CALL, routes: ['chat'], models: 'any' }] } }, 'must name `operations`'],
  ])('with a fault are told of it: %j', (services, wanted) => {
    expect(faults(services).join('\n')).toContain(wanted);
  });
});
