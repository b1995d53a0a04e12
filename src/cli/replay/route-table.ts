import { isObject } from '../../decision/json.ts';
import { parseRoute, type RouteData } from '../../inspection/route-data.ts';
import { type CompiledRoute, compileRoutes } from '../../inspection/route-table.ts';
import type { FoundRoute, RouteTable } from '../../replay/route-table.ts';

/** The routes of `data.catalog`, for replays. Throws `CatalogError` where it is wrong. */
export function toRouteTable(catalog: unknown): RouteTable {
  const find = compileRoutes(catalog);
  const byName = new Map(routesIn(catalog).map((route) => [route.name, route]));
  return {
    find: (method, path, isPreflight) => {
      // No segment of a canonical path holds a slash.
      const segments = path.split('/').slice(1);
      const lookup = find(segments, { ...NO_REQUEST, method, headers: isPreflight ? PREFLIGHT : NO_REQUEST.headers });
      if (lookup.kind === 'route') return toFound(lookup.route, paramsOf(lookup.route, segments));
      return { kind: 'refused', code: lookup.kind === 'none' ? 'unknown_route' : 'method_not_declared' };
    },
    named: (name) => {
      const route = byName.get(name);
      return route === undefined ? undefined : toFound(route, {});
    },
  };
}

function routesIn(catalog: unknown): readonly RouteData[] {
  const routes = isObject(catalog) ? catalog['routes'] : undefined;
  if (!Array.isArray(routes)) return [];
  return routes.flatMap((value, index) => parseRoute(value, `catalog.routes[${index}]`, []) ?? []);
}

/** All that the lookup reads of a request: its method, and the headers of a preflight. */
const NO_REQUEST = {
  door: 'replay',
  method: '',
  target: '/',
  host: '',
  headers: { all: (): readonly string[] => [], names: (): readonly string[] => [] },
  body: { bytes: new Uint8Array(), complete: true },
  contextExtensions: new Map<string, string>(),
  attributes: () => undefined,
  headersAreRaw: false,
  capabilities: { queryChanges: true, upstreamHeaders: 'all' },
} as const;

const PREFLIGHT = {
  all: (name: string): readonly string[] => (PREFLIGHT_HEADERS.includes(name) ? ['replayed'] : []),
  names: () => PREFLIGHT_HEADERS,
};
const PREFLIGHT_HEADERS = ['origin', 'access-control-request-method'];

function paramsOf(route: CompiledRoute, segments: readonly string[]): FoundRoute['params'] {
  return Object.fromEntries(route.parameters.map(([name, index]) => [name, segments[index] ?? '']));
}

function toFound(route: RouteData, params: FoundRoute['params']): FoundRoute {
  const { name, kind, tenant, model, body, limits, maxBytes, maxBytesByTier } = route;
  const operation = kind === 'preflight' ? 'preflight' : route.operation;
  return {
    kind: 'route',
    name,
    params,
    ...(tenant === undefined ? {} : { tenant }),
    ...(model === undefined ? {} : { model }),
    ...(operation === undefined ? {} : { operation }),
    readsBody: body !== 'none',
    requiredLimits: limits,
    maxBytes: (tier) => {
      const ofTier = tier === undefined ? undefined : maxBytesByTier?.get(tier);
      return ofTier === undefined || maxBytes === undefined ? (ofTier ?? maxBytes) : Math.min(ofTier, maxBytes);
    },
  };
}
