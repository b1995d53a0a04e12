import type { JsonObject, JsonValue } from '../../src/decision/json.ts';

/** Where a service is asked: TCP ports on loopback (several make one cluster), or a unix socket. */
export type Endpoint = { readonly ports: readonly number[] } | { readonly unixSocket: string };

export interface ExtAuthz {
  readonly door: 'grpc' | 'http';
  readonly at: Endpoint;
  /** Default false: an authorizer that fails denies. */
  readonly failureModeAllow?: boolean;
  /** Default 2,000: roomy, because tests share few cores; Envoy's own default is 200. */
  readonly timeoutMs?: number;
  readonly statusOnError?: number;
  readonly body?: { readonly maxBytes: number; readonly allowPartial?: boolean; readonly packAsBytes?: boolean };
  readonly encodeRawHeaders?: boolean;
  readonly clearRouteCache?: boolean;
  readonly contextExtensions?: Readonly<Record<string, string>>;
  /** gRPC only: sends the certificate of the downstream peer. */
  readonly includePeerCertificate?: boolean;
  /** gRPC only: active health checks by `grpc.health.v1`. */
  readonly healthChecks?: { readonly intervalMs: number };
  /** HTTP only: a name that ends in `*` is a prefix; default {@link HTTP_REQUEST_HEADERS}. */
  readonly requestHeaders?: readonly string[];
  /** HTTP only; default {@link HTTP_UPSTREAM_HEADERS}. */
  readonly upstreamHeaders?: readonly string[];
  /** HTTP only; default {@link HTTP_CLIENT_HEADERS}. */
  readonly clientHeaders?: readonly string[];
  /** HTTP only; default `/ext-authz`. */
  readonly pathPrefix?: string;
}

export interface ListenerOptions {
  readonly authz?: ExtAuthz;
  /** Cluster of all routes; default `upstream`. */
  readonly cluster?: string;
  /** Takes the cluster from this request header instead. */
  readonly clusterHeader?: string;
  /** Normalises paths and rejects what stays ambiguous; default false, as in Envoy. */
  readonly hardened?: boolean;
  readonly useRemoteAddress?: boolean;
  readonly trustedHops?: number;
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string };
  /** What becomes of `x-forwarded-client-cert`, with all that is known of the client's certificate; default: removed. */
  readonly forwardClientCert?: 'APPEND_FORWARD' | 'SANITIZE_SET' | 'ALWAYS_FORWARD_ONLY';
  /** Upgrades passed on, e.g. `websocket`. */
  readonly upgrades?: readonly string[];
  /** Reads bodies as this API (`OPENAI_CHAT_COMPLETIONS` …) and tells the authorizer what it read. */
  readonly llmProtocol?: string;
}

export interface EnvoyOptions {
  readonly listeners: Readonly<Record<string, ListenerOptions>>;
  /** Upstream clusters by name; `upstream` is the one that routes go to by default. */
  readonly upstreams: Readonly<Record<string, Endpoint>>;
  /** By name of an upstream: it is spoken to over TLS, with this certificate of our own. */
  readonly upstreamTls?: Readonly<Record<string, { readonly cert: string; readonly key: string; readonly ca: string }>>;
  /** File that gets one line per request. */
  readonly accessLog?: string;
}

/** What Envoy must forward to the HTTP door beside method, path, host, content-length and authorization. */
export const HTTP_REQUEST_HEADERS = [
  'content-type',
  'content-encoding',
  'upgrade',
  'origin',
  'access-control-request-method',
  'access-control-request-headers',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-request-id',
  'traceparent',
] as const;

/** What an Allow of the HTTP door may set on the request: the headers that Sallyport owns. */
export const HTTP_UPSTREAM_HEADERS = [
  'x-sallyport-tenant',
  'x-sallyport-role',
  'x-sallyport-upstream',
  'x-sallyport-decision-id',
] as const;

/** What a denial of the HTTP door may show the client. */
/** What a denial may tell the client; the quota's are told on an Allow too. */
export const QUOTA_HEADERS = [
  'ratelimit',
  'ratelimit-policy',
  'x-ratelimit-limit-requests',
  'x-ratelimit-limit-tokens',
  'x-ratelimit-remaining-requests',
  'x-ratelimit-remaining-tokens',
  'x-ratelimit-reset-requests',
  'x-ratelimit-reset-tokens',
] as const;
export const HTTP_CLIENT_HEADERS = [
  'content-type',
  'www-authenticate',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
  ...QUOTA_HEADERS,
  'allow',
  'location',
] as const;

/** A whole bootstrap: listeners and admin on ephemeral loopback ports. */
export function toEnvoyConfig(options: EnvoyOptions): JsonObject {
  const listeners = Object.entries(options.listeners);
  return {
    admin: { address: loopback(0) },
    static_resources: {
      listeners: listeners.map(([name, listener]) => toListener(name, listener, options.accessLog)),
      clusters: [
        ...Object.entries(options.upstreams).map(([name, at]) => ({
          ...toCluster(name, at),
          ...toUpstreamTls(options.upstreamTls?.[name]),
        })),
        ...listeners.flatMap(([name, { authz }]) => (authz === undefined ? [] : [toAuthzCluster(name, authz)])),
      ],
    },
  };
}

function toListener(name: string, options: ListenerOptions, accessLog: string | undefined): JsonObject {
  const { tls } = options;
  return {
    name,
    address: loopback(0),
    filter_chains: [
      {
        filters: [{ name: 'hcm', typed_config: toConnectionManager(name, options, accessLog) }],
        ...(tls === undefined ? {} : { transport_socket: toTransportSocket(tls) }),
      },
    ],
  };
}

function toConnectionManager(name: string, options: ListenerOptions, accessLog: string | undefined): JsonObject {
  const { authz, hardened, upgrades } = options;
  return {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: name,
    use_remote_address: options.useRemoteAddress ?? false,
    ...(options.trustedHops === undefined ? {} : { xff_num_trusted_hops: options.trustedHops }),
    ...(hardened === true ? HARDENED : {}),
    ...(options.forwardClientCert === undefined
      ? {}
      : {
          forward_client_cert_details: options.forwardClientCert,
          set_current_client_cert_details: { subject: true, cert: true, dns: true, uri: true },
        }),
    ...(upgrades === undefined ? {} : { upgrade_configs: upgrades.map((kind) => ({ upgrade_type: kind })) }),
    ...(accessLog === undefined ? {} : { access_log: [toAccessLog(accessLog)] }),
    route_config: {
      virtual_hosts: [{ name: 'all', domains: ['*'], routes: [toRoute(options)] }],
    },
    http_filters: [
      ...(options.llmProtocol === undefined ? [] : [AI_FILTER]),
      ...(authz === undefined ? [] : [{ name: 'ext_authz', typed_config: toExtAuthz(name, authz) }]),
      { name: 'router', typed_config: { '@type': `${HTTP_FILTERS}.router.v3.Router` } },
    ],
  };
}

const HTTP_FILTERS = 'type.googleapis.com/envoy.extensions.filters.http';

const AI_MANAGER = 'envoy.extensions.filters.http.ai_protocol_manager.v3';

const AI_FILTER: JsonObject = {
  name: 'envoy.filters.http.ai_protocol_manager',
  typed_config: {
    '@type': `type.googleapis.com/${AI_MANAGER}.AiProtocolManager`,
    request_handling: {},
    filters: [
      {
        name: 'envoy.http.ai_filters.request_info',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.http.ai_filters.request_info.v3.RequestInfo',
          token_estimation: { tokens_per_byte: 0.25 },
        },
      },
    ],
  },
};

const HARDENED: JsonObject = {
  normalize_path: true,
  merge_slashes: true,
  path_with_escaped_slashes_action: 'REJECT_REQUEST',
  common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST' },
};

function toRoute(options: ListenerOptions): JsonObject {
  const { cluster = 'upstream', clusterHeader, authz, llmProtocol } = options;
  const target = clusterHeader === undefined ? { cluster } : { cluster_header: clusterHeader };
  const extensions = authz?.contextExtensions;
  return {
    match: { prefix: '/' },
    route: { ...target, timeout: '10s' },
    typed_per_filter_config: {
      ...(extensions === undefined
        ? {}
        : {
            ext_authz: {
              '@type': `${HTTP_FILTERS}.ext_authz.v3.ExtAuthzPerRoute`,
              check_settings: { context_extensions: extensions },
            },
          }),
      ...(llmProtocol === undefined
        ? {}
        : {
            'envoy.filters.http.ai_protocol_manager': {
              '@type': `type.googleapis.com/${AI_MANAGER}.AiProtocolManagerPerRoute`,
              request: { llm_protocol: llmProtocol },
            },
          }),
    },
  };
}

function toExtAuthz(listener: string, authz: ExtAuthz): JsonObject {
  const { body, timeoutMs = 2_000 } = authz;
  const timeout = `${timeoutMs / 1_000}s`;
  return {
    '@type': `${HTTP_FILTERS}.ext_authz.v3.ExtAuthz`,
    transport_api_version: 'V3',
    failure_mode_allow: authz.failureModeAllow ?? false,
    ...(authz.statusOnError === undefined ? {} : { status_on_error: { code: authz.statusOnError } }),
    clear_route_cache: authz.clearRouteCache ?? false,
    encode_raw_headers: authz.encodeRawHeaders ?? false,
    include_peer_certificate: authz.includePeerCertificate ?? false,
    typed_metadata_context_namespaces: ['envoy.ai.request_info'],
    ...(body === undefined
      ? {}
      : {
          with_request_body: {
            max_request_bytes: body.maxBytes,
            allow_partial_message: body.allowPartial ?? false,
            pack_as_bytes: body.packAsBytes ?? true,
          },
        }),
    ...(authz.door === 'grpc'
      ? { grpc_service: { envoy_grpc: { cluster_name: authzCluster(listener) }, timeout } }
      : toHttpService(listener, authz, timeout)),
  };
}

function toHttpService(listener: string, authz: ExtAuthz, timeout: string): JsonObject {
  return {
    allowed_headers: toMatchers(authz.requestHeaders ?? HTTP_REQUEST_HEADERS),
    http_service: {
      server_uri: { uri: 'http://authorizer.internal', cluster: authzCluster(listener), timeout },
      path_prefix: authz.pathPrefix ?? '/ext-authz',
      authorization_response: {
        allowed_upstream_headers: toMatchers(authz.upstreamHeaders ?? HTTP_UPSTREAM_HEADERS),
        allowed_client_headers: toMatchers(authz.clientHeaders ?? HTTP_CLIENT_HEADERS),
      },
    },
  };
}

function toMatchers(names: readonly string[]): JsonObject {
  return {
    patterns: names.map((name) =>
      name.endsWith('*') ? { prefix: name.slice(0, -1), ignore_case: true } : { exact: name, ignore_case: true },
    ),
  };
}

function toAuthzCluster(listener: string, authz: ExtAuthz): JsonObject {
  const { healthChecks } = authz;
  return {
    ...toCluster(authzCluster(listener), authz.at),
    ...(authz.door === 'grpc' ? HTTP2 : {}),
    ...(healthChecks === undefined
      ? {}
      : {
          health_checks: [
            {
              timeout: '1s',
              interval: `${healthChecks.intervalMs / 1_000}s`,
              no_traffic_interval: `${healthChecks.intervalMs / 1_000}s`,
              unhealthy_threshold: 1,
              healthy_threshold: 1,
              grpc_health_check: {},
            },
          ],
          // Without the first, Envoy asks unhealthy instances too once half of them are down; without the second it
          // may go on asking one for a second, because it gathers changes of health for as long as that.
          common_lb_config: { healthy_panic_threshold: { value: 0 }, update_merge_window: '0s' },
        }),
  };
}

const HTTP2: JsonObject = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
};

function toCluster(name: string, at: Endpoint): JsonObject {
  const addresses = 'ports' in at ? at.ports.map(loopback) : [{ pipe: { path: at.unixSocket } }];
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: addresses.map((address) => ({ endpoint: { address } })) }],
    },
  };
}

function authzCluster(listener: string): string {
  return `authorizer-of-${listener}`;
}

function toTransportSocket(tls: NonNullable<ListenerOptions['tls']>): JsonObject {
  const { clientCa } = tls;
  return {
    name: 'tls',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
      require_client_certificate: clientCa !== undefined,
      common_tls_context: {
        tls_certificates: [{ certificate_chain: { filename: tls.cert }, private_key: { filename: tls.key } }],
        ...(clientCa === undefined ? {} : { validation_context: { trusted_ca: { filename: clientCa } } }),
      },
    },
  };
}

function toUpstreamTls(tls: NonNullable<EnvoyOptions['upstreamTls']>[string] | undefined): JsonObject {
  if (tls === undefined) return {};
  return {
    transport_socket: {
      name: 'tls',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
        common_tls_context: {
          tls_certificates: [{ certificate_chain: { filename: tls.cert }, private_key: { filename: tls.key } }],
          validation_context: { trusted_ca: { filename: tls.ca } },
        },
      },
    },
  };
}

function toAccessLog(file: string): JsonObject {
  const format = '%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS%\n';
  return {
    name: 'file',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
      path: file,
      log_format: { text_format_source: { inline_string: format } },
    },
  };
}

function loopback(port: number): { readonly [key: string]: JsonValue } {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}
