import { field, listOf, type Setting, textOf } from './setting.ts';
import { type Override, overridesOf } from './typed.ts';

/** One route of a connection manager, with every level at which filters may be overridden for it. */
export interface Route {
  readonly setting: Setting;
  /** The virtual host; routes of different ones never stand in for each other. */
  readonly host: Setting;
  readonly match: Setting | undefined;
  /** The `route` action; undefined where the route answers by itself, so that nothing reaches an upstream. */
  readonly action: Setting | undefined;
  /** One list for each way on (one a weighted cluster): the most specific level first. */
  readonly overrides: readonly (readonly Override[])[];
  /** Names of the clusters that are written down. */
  readonly clusters: readonly string[];
}

/** The routes that are written in the file; what comes by discovery cannot be seen. */
export function routesOf(manager: Setting): readonly Route[] {
  const scoped = listOf(
    manager,
    'scoped_routes',
    'scoped_route_configurations_list',
    'scoped_route_configurations',
  ).map((scope) => field(scope, 'route_configuration'));
  return [field(manager, 'route_config'), ...scoped].flatMap((config) =>
    listOf(config, 'virtual_hosts').flatMap((host) =>
      listOf(host, 'routes').map((route) => toRoute(route, host, config)),
    ),
  );
}

/** The override that holds for a filter: the most specific one. */
export function overrideFor(levels: readonly Override[], filter: string): Override | undefined {
  return levels.find((override) => override.filter === filter || override.filter === CANONICAL);
}

/** Envoy's own name of the filter, by which some configs override one of another name. */
const CANONICAL = 'envoy.filters.http.ext_authz';

/** Every setting that names a header by which a route or its cluster is chosen, and that name in lower case. */
export function choosingHeaders(route: Route): readonly (readonly [at: Setting, name: string])[] {
  const places = [
    ...listOf(route.match, 'headers').map((matcher) => field(matcher, 'name')),
    field(route.action, 'cluster_header'),
    field(route.action, 'weighted_clusters', 'header_name'),
    ...listOf(route.action, 'weighted_clusters', 'clusters').map((cluster) => field(cluster, 'cluster_header')),
    ...listOf(route.action, 'request_mirror_policies').map((policy) => field(policy, 'cluster_header')),
  ];
  return places
    .filter((place) => place !== undefined)
    .map((place) => [place, String(place.scalar).toLowerCase()] as const);
}

/** Headers that Sallyport sets or removes on every request that passes. */
export const OWNED_HEADERS = [
  'x-sallyport-tenant',
  'x-sallyport-role',
  'x-sallyport-upstream',
  'x-sallyport-decision-id',
] as const;

export function isOwned(header: string): boolean {
  return header.toLowerCase().startsWith('x-sallyport-');
}

function toRoute(setting: Setting, host: Setting, config: Setting | undefined): Route {
  const answersItself = ['direct_response', 'redirect', 'non_forwarding_action'].some(
    (name) => field(setting, name) !== undefined,
  );
  const action = answersItself ? undefined : (field(setting, 'route') ?? setting);
  const weighted = listOf(action, 'weighted_clusters', 'clusters');
  const above = [...overridesOf(setting), ...overridesOf(host), ...overridesOf(config)];
  return {
    setting,
    host,
    match: field(setting, 'match'),
    action,
    overrides: weighted.length === 0 ? [above] : weighted.map((cluster) => [...overridesOf(cluster), ...above]),
    clusters: [textOf(action, 'cluster'), ...weighted.map((cluster) => textOf(cluster, 'name'))].filter(
      (name) => name !== undefined,
    ),
  };
}
