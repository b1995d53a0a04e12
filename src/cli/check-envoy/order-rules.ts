import { isOwned } from './routes.ts';
import type { Rule } from './rule.ts';
import { everySetting, field, listOf, nameOf, type Setting, textOf } from './setting.ts';
import type { HttpFilter } from './typed.ts';
import { enumOf, flagOf } from './values.ts';

/** Whether the check stands before what serves a request, and behind what changes it. */
export const orderRules: readonly Rule[] = [
  {
    id: 'http_filters_before',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const { filters, authz } of guarded) {
        const [first] = authz;
        for (const filter of first === undefined ? [] : filters.slice(0, filters.indexOf(first))) {
          const kind = kindOf(filter);
          if (!SERVES.has(kind)) continue;
          const text = `\`${kind}\` answers or passes requests before ext_authz is asked; move it behind ext_authz`;
          report(filter.entry, 'http_filters', text);
        }
      }
    },
  },
  {
    id: 'http_filters_after',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const { filters, authz } of guarded) {
        const last = authz.at(-1);
        for (const filter of last === undefined ? [] : filters.slice(filters.indexOf(last) + 1)) {
          const change = changeOf(filter);
          if (change === undefined) continue;
          const text = `\`${kindOf(filter)}\` ${change} after the decision; move it before ext_authz`;
          report(filter.entry, 'http_filters', text);
        }
      }
    },
  },
  {
    id: 'unknown_extension',
    severity: 'note',
    check: ({ guarded }, report) => {
      for (const { filters, routes } of guarded) {
        for (const { action } of routes) {
          for (const name of ['cluster_specifier_plugin', 'inline_cluster_specifier_plugin']) {
            const plugin = field(action, name);
            const text = 'is not understood; see that it chooses a cluster by nothing that the client writes';
            if (plugin !== undefined) report(plugin, name, text);
          }
        }
        for (const filter of filters) {
          const kind = kindOf(filter);
          if (HARMLESS.has(kind) || SERVES.has(kind) || JUDGED.has(kind)) continue;
          const what =
            filter.type === '' ? `\`${filter.name}\`, whose config is not in this file,` : `\`${filter.type}\``;
          report(
            filter.entry,
            'http_filters',
            `${what} is not understood; see that it changes nothing after ext_authz`,
          );
        }
      }
    },
  },
];

/** The folder of a filter in Envoy's tree: `envoy.extensions.filters.http.lua.v3.Lua` → `lua`. */
function kindOf({ type, name }: HttpFilter): string {
  const known = /\.filters\.http\.([a-z0-9_.]+)\.v\d\w*\.\w+$/.exec(type)?.[1];
  return known ?? (type === '' ? name : type);
}

/** Filters that end a request, or answer it from elsewhere. */
const SERVES: ReadonlySet<string> = new Set(['router', 'cache', 'cache_v2', 'aws_lambda']);

/** What a filter behind the check changes of what was decided about; undefined when nothing. */
function changeOf(filter: HttpFilter): string | undefined {
  return JUDGED.get(kindOf(filter))?.(filter.config);
}

type Change = (config: Setting) => string | undefined;

const OPAQUE: Change = () => 'can change path, headers and body';
const BODY: Change = () => 'changes the body';
const NOTHING: Change = () => undefined;

const JUDGED: ReadonlyMap<string, Change> = new Map([
  ['ext_authz', NOTHING],
  ['lua', luaChange],
  ['wasm', OPAQUE],
  ['golang', OPAQUE],
  ['dynamic_modules', OPAQUE],
  ['composite', OPAQUE],
  ['ext_proc', externalChange],
  ['header_mutation', mutationChange],
  ['jwt_authn', tokenChange],
  ['decompressor', BODY],
  ['grpc_json_transcoder', () => 'changes path and body'],
  ['grpc_json_reverse_transcoder', () => 'changes path and body'],
]);

/** A script without `envoy_on_request` sees responses only. */
function luaChange(config: Setting): string | undefined {
  const sources = [...everySetting(config)].filter(
    ({ kind, scalar }) => kind === 'scalar' && typeof scalar === 'string',
  );
  const inFile = sources.some((source) => nameOf(source) === 'filename');
  const onRequest = sources.some(({ scalar }) => String(scalar).includes('envoy_on_request'));
  return inFile || onRequest ? OPAQUE(config) : undefined;
}

function externalChange(config: Setting): string | undefined {
  if (flagOf(field(config, 'observability_mode')) === true) return undefined;
  const mode = field(config, 'processing_mode');
  const headers = enumOf(field(mode, 'request_header_mode'), { 0: 'DEFAULT', 1: 'SEND', 2: 'SKIP' });
  const body = enumOf(field(mode, 'request_body_mode'), { 0: 'NONE' }) ?? 'NONE';
  return headers === 'SKIP' && body === 'NONE' && flagOf(field(config, 'allow_mode_override')) !== true
    ? undefined
    : OPAQUE(config);
}

/** Headers that route, and those of Sallyport; others are nobody's decision. */
function mutationChange(config: Setting): string | undefined {
  const mutations = field(config, 'mutations');
  const names = listOf(mutations, 'request_mutations').flatMap((mutation) => [
    textOf(mutation, 'remove'),
    textOf(mutation, 'append', 'header', 'key'),
    textOf(mutation, 'remove_on_match', 'key_matcher', 'exact'),
  ]);
  const changed = names.find(
    (name) => name !== undefined && (isOwned(name) || name.startsWith(':') || name === 'host'),
  );
  if (changed !== undefined) return `changes \`${changed}\``;
  if (listOf(mutations, 'request_mutations').some((mutation) => field(mutation, 'remove_on_match') !== undefined)) {
    return 'removes headers by a pattern';
  }
  return listOf(mutations, 'query_parameter_mutations').length > 0 ? 'changes the query' : undefined;
}

function tokenChange(config: Setting): string | undefined {
  for (const setting of everySetting(config)) {
    const written = ['header_name', 'forward_payload_header'].includes(nameOf(setting)) ? String(setting.scalar) : '';
    if (isOwned(written)) return `writes \`${written}\``;
    if (nameOf(setting) === 'clear_route_cache' && flagOf(setting) === true) return 'chooses the route anew';
  }
  return undefined;
}

/** Filters that neither let a request past ext_authz nor change what it judged. */
const HARMLESS: ReadonlySet<string> = new Set(
  [
    'adaptive_concurrency',
    'admission_control',
    'ai_protocol_manager',
    'alternate_protocols_cache',
    'api_key_auth',
  ].concat(
    ['bandwidth_limit', 'basic_auth', 'buffer', 'cdn_loop', 'compressor', 'cors', 'credential_injector', 'csrf'],
    [
      'dynamic_forward_proxy',
      'fault',
      'file_system_buffer',
      'geoip',
      'grpc_field_extraction',
      'grpc_stats',
      'grpc_web',
    ],
    ['header_to_metadata', 'health_check', 'ip_tagging', 'json_to_metadata', 'kill_request', 'local_ratelimit', 'mcp'],
    ['on_demand', 'original_src', 'proto_message_extraction', 'ratelimit', 'rate_limit_quota', 'rbac', 'request_info'],
    ['set_filter_state', 'set_metadata', 'sse_to_metadata', 'stateful_session', 'tap', 'upstream_codec'],
  ),
);
