import { type Route, routesOf } from './routes.ts';
import { everySetting, field, listOf, type Setting, textOf } from './setting.ts';
import { type HttpFilter, httpFiltersOf, isExtAuthz, typedOf } from './typed.ts';

/** What the rules look at: the file, and what was found in it wherever it stands. */
export interface Bootstrap {
  readonly root: Setting;
  readonly connections: readonly Connection[];
  /** The connections that ask: those with an ext_authz filter. */
  readonly guarded: readonly Connection[];
  readonly clusters: ReadonlyMap<string, Setting>;
  /** Names of the clusters that ext_authz filters ask. */
  readonly authorizers: ReadonlySet<string>;
}

/** An HTTP connection manager and what belongs to it. */
export interface Connection {
  readonly config: Setting;
  readonly filters: readonly HttpFilter[];
  /** The ext_authz filters among them. */
  readonly authz: readonly HttpFilter[];
  readonly routes: readonly Route[];
  /** The TLS that its clients meet; undefined without TLS. */
  readonly tls: Setting | undefined;
}

/** Finds connection managers, routes and clusters in a file, also inside what this reader does not know. */
export function readBootstrap(root: Setting): Bootstrap {
  const connections = connectionsIn(root);
  const guarded = connections.filter(({ authz }) => authz.length > 0);
  const clusters = new Map<string, Setting>();
  for (const cluster of listOf(root, 'static_resources', 'clusters')) {
    clusters.set(textOf(cluster, 'name') ?? '', cluster);
  }
  const authorizers = new Set(guarded.flatMap(({ authz }) => authz.map(({ config }) => authorizerOf(config))));
  authorizers.delete('');
  return { root, connections, guarded, clusters, authorizers };
}

/** The cluster that an ext_authz filter asks; empty when it asks none by name. */
export function authorizerOf(authz: Setting): string {
  return (
    textOf(authz, 'grpc_service', 'envoy_grpc', 'cluster_name') ??
    textOf(authz, 'http_service', 'server_uri', 'cluster') ??
    ''
  );
}

/** The TLS context of clients, out of a filter chain's transport socket; also inside wrappers such as starttls. */
function downstreamTls(chain: Setting): Setting | undefined {
  const socket = field(chain, 'transport_socket');
  if (socket === undefined) return undefined;
  for (const setting of everySetting(socket)) {
    const typed = typedOf(setting);
    if (typed?.type.endsWith('.DownstreamTlsContext') === true) return typed.config;
    const overQuic = field(setting, 'downstream_tls_context');
    if (overQuic !== undefined) return overQuic;
  }
  return undefined;
}

function connectionsIn(root: Setting): readonly Connection[] {
  const found: Connection[] = [];
  const search = (setting: Setting, tls: Setting | undefined): void => {
    const typed = typedOf(setting);
    if (typed?.type.endsWith('.HttpConnectionManager') === true) found.push(toConnection(typed.config, tls));
    const below = field(setting, 'filters') === undefined ? tls : downstreamTls(setting);
    for (const one of setting.fields.values()) search(one, below);
    for (const one of setting.items) search(one, below);
  };
  search(root, undefined);
  return found;
}

function toConnection(config: Setting, tls: Setting | undefined): Connection {
  const filters = httpFiltersOf(listOf(config, 'http_filters'));
  return { config, filters, authz: filters.filter(isExtAuthz), routes: routesOf(config), tls };
}
