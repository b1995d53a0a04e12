import type { Rule } from './rule.ts';
import { everySetting, field, nameOf, type Setting, toSnakeCase } from './setting.ts';
import { flagOf } from './values.ts';

/** What the reader of this command cannot read as Envoy would. */
export const shapeRules: readonly Rule[] = [
  {
    id: 'not_understood',
    severity: 'finding',
    check: ({ root }, report) => {
      const free = new Set<Setting>();
      for (const setting of everySetting(root)) {
        if (free.has(setting)) continue;
        if (isFree(setting)) {
          for (const below of everySetting(setting)) free.add(below);
          continue;
        }
        const name = nameOf(setting);
        const fault = faultOf(setting, name);
        if (fault !== undefined) report(setting, name, `is not understood: ${fault}`);
        for (const [key, below] of setting.fields) {
          const twin = toSnakeCase(key);
          if (twin === key || !setting.fields.has(twin)) continue;
          report(below, twin, `is not understood: \`${key}\` and \`${twin}\` are one setting, written twice`);
        }
      }
    },
  },
];

/** Settings whose content is the operator's own: names in it mean nothing to Envoy. */
function isFree(setting: Setting): boolean {
  return FREE.has(nameOf(setting)) || String(field(setting, '@type')?.scalar).endsWith('google.protobuf.Struct');
}

const FREE: ReadonlySet<string> = new Set(['filter_metadata', 'static_layer', 'context_extensions', 'source_codes']);

const LISTS: ReadonlySet<string> = new Set(
  ['listeners', 'filter_chains', 'http_filters', 'virtual_hosts', 'routes', 'clusters', 'upgrade_configs'].concat([
    'request_headers_to_add',
    'request_mutations',
    'health_checks',
    'patterns',
  ]),
);

const MAPS: ReadonlySet<string> = new Set(
  ['static_resources', 'typed_config', 'typed_per_filter_config', 'route_config', 'with_request_body', 'match'].concat(
    ['check_settings', 'common_tls_context', 'validation_context', 'grpc_service', 'http_service', 'server_uri'],
    ['authorization_response', 'allowed_headers', 'disallowed_headers', 'allowed_upstream_headers', 'transport_socket'],
    ['decoder_header_mutation_rules', 'default_filter_chain', 'common_http_protocol_options', 'status_on_error'],
  ),
);

const FLAGS: ReadonlySet<string> = new Set(
  ['failure_mode_allow', 'allow_partial_message', 'pack_as_bytes', 'normalize_path', 'merge_slashes'].concat(
    ['clear_route_cache', 'use_remote_address', 'require_client_certificate', 'failure_mode_deny', 'disabled'],
    ['disable_request_body_buffering', 'skip_xff_append', 'allow_chunked_length', 'allow_expired_certificate'],
    ['validate_mutations', 'include_peer_certificate', 'is_optional'],
  ),
);

function faultOf(setting: Setting, name: string): string | undefined {
  const { kind, scalar, fields } = setting;
  const absent = kind === 'scalar' && scalar === null;
  if (!absent && LISTS.has(name) && kind !== 'list') return 'it is no list';
  if (!absent && MAPS.has(name) && kind !== 'map') return 'it is no map';
  if (!absent && FLAGS.has(name) && flagOf(setting) === undefined) return 'it is neither true nor false';
  if (name === 'typed_config' && kind === 'map' && !fields.has('@type')) return 'it has no `@type`';
  if (fields.has('<<')) return 'Envoy knows no YAML merge keys (`<<`)';
  return undefined;
}
