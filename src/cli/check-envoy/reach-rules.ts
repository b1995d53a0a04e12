import type { Rule } from './rule.ts';
import { everySetting, field, listOf, type Setting, textOf } from './setting.ts';
import { typedOf } from './typed.ts';
import { durationMs, numberOf } from './values.ts';

/** Ways round the check: other listeners, the authorizer itself, what the file does not show. */
export const reachRules: readonly Rule[] = [
  {
    id: 'unguarded_cluster',
    severity: 'finding',
    check: ({ root, connections, guarded, authorizers }, report) => {
      const kept = new Set(guarded.flatMap(({ routes }) => routes.flatMap(({ clusters }) => clusters)));
      const open = connections.filter((connection) => !guarded.includes(connection));
      for (const { config, routes } of open) {
        const cluster = routes.flatMap(({ clusters }) => clusters).find((name) => kept.has(name));
        if (cluster === undefined) continue;
        const text = `this connection manager has no ext_authz and leads to cluster \`${cluster}\`, which another one guards; add ext_authz`;
        report(field(config, 'http_filters') ?? config, 'http_filters', text);
      }
      for (const proxy of tcpProxies(root)) {
        const cluster = [
          textOf(proxy, 'cluster'),
          ...listOf(proxy, 'weighted_clusters', 'clusters').map((one) => textOf(one, 'name')),
        ]
          .filter((name) => name !== undefined)
          .find((name) => kept.has(name) || authorizers.has(name));
        if (cluster === undefined) continue;
        report(proxy, 'tcp_proxy', `connections reach cluster \`${cluster}\` without being checked; delete it`);
      }
    },
  },
  {
    id: 'authorizer_reachable',
    severity: 'finding',
    check: ({ connections, authorizers }, report) => {
      for (const { setting, clusters, action } of connections.flatMap(({ routes }) => routes)) {
        const cluster = clusters.find((name) => authorizers.has(name));
        if (cluster === undefined) continue;
        const text = `clients can ask Sallyport themselves through \`${cluster}\`, and claim any peer; delete the route`;
        report(field(action, 'cluster') ?? setting, 'cluster', text);
      }
    },
  },
  {
    id: 'http_filters',
    severity: 'finding',
    check: ({ root, guarded, connections }, report) => {
      const seen =
        connections.length > 0 ? 'no connection manager of this file asks' : 'this file holds nothing that asks';
      const elsewhere = field(root, 'dynamic_resources', 'lds_config') !== undefined;
      if (guarded.length > 0 || elsewhere) return;
      const text = `${seen}: nothing is checked; put envoy.filters.http.ext_authz before the router`;
      report(connections[0]?.config ?? root, 'http_filters', text);
    },
  },
  {
    id: 'not_in_this_file',
    severity: 'note',
    check: ({ root, guarded, connections }, report) => {
      const notes: readonly (readonly [Setting | undefined, string])[] = [
        [field(root, 'dynamic_resources', 'lds_config'), 'lds_config'],
        ...connections.map(({ config }) => [field(config, 'rds'), 'rds'] as const),
        ...connections.map(({ config }) => [field(config, 'scoped_routes', 'scoped_rds'), 'scoped_rds'] as const),
        ...guarded
          .flatMap(({ routes }) => [...new Set(routes.map(({ host }) => host))])
          .map((host) => [field(host, 'vhds'), 'vhds'] as const),
        ...connections
          .flatMap(({ config }) => listOf(config, 'route_config', 'virtual_hosts'))
          .map((host) => [field(host, 'matcher'), 'matcher'] as const),
        ...connections.map(({ config }) => [field(config, 'route_config', 'vhds'), 'vhds'] as const),
        ...connections
          .flatMap(({ filters }) => filters)
          .map(({ entry }) => [field(entry, 'config_discovery'), 'config_discovery'] as const),
      ];
      for (const [at, name] of notes) {
        const text =
          'what comes from here is not in this file and was not checked; check it where it is written (`/config_dump` of a running Envoy shows it)';
        if (at !== undefined) report(at, name, text);
      }
    },
  },
  {
    id: 'common_lb_config',
    severity: 'note',
    check: ({ clusters, authorizers }, report) => {
      for (const name of authorizers) {
        const cluster = clusters.get(name);
        if (cluster === undefined || listOf(cluster, 'health_checks').length === 0) continue;
        const window = field(cluster, 'common_lb_config', 'update_merge_window');
        if (durationMs(window) !== 0) {
          const text =
            'Envoy gathers changes of health for 1 s and goes on asking an instance that is stopping; set it to 0s';
          report(window ?? cluster, 'update_merge_window', text);
        }
        const panic = field(cluster, 'common_lb_config', 'healthy_panic_threshold');
        if (panic === undefined || (numberOf(field(panic, 'value')) ?? 0) !== 0) {
          const text = 'once half of the instances are down, Envoy asks those too; set it to { value: 0 }';
          report(panic ?? cluster, 'healthy_panic_threshold', text);
        }
      }
    },
  },
  {
    id: 'admin',
    severity: 'note',
    check: ({ root }, report) => {
      const socket = field(root, 'admin', 'address', 'socket_address');
      const address = textOf(socket, 'address');
      if (socket === undefined || address === undefined || /^(?:127\.|::1$|localhost$)/.test(address)) return;
      const text =
        'whoever reaches the admin port can drain listeners and change runtime keys; bind it to loopback or a unix socket';
      report(field(socket, 'address') ?? socket, 'admin', text);
    },
  },
];

function* tcpProxies(root: Setting): Generator<Setting> {
  for (const setting of everySetting(root)) {
    const typed = typedOf(setting);
    if (typed?.type.endsWith('.TcpProxy') === true) yield typed.config;
  }
}
