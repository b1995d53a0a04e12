import type { Rule } from './rule.ts';
import { field } from './setting.ts';
import { enumOf, flagOf, isOn } from './values.ts';

/** Whether the policy, Envoy's routes and the upstream read one path and one set of headers. */
export const pathRules: readonly Rule[] = [
  {
    id: 'normalize_path',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const { config } of guarded) {
        if (flagOf(field(config, 'normalize_path')) === true) continue;
        const text = '`/a/../b` is routed as written and resolved by the upstream; set it to true';
        report(field(config, 'normalize_path') ?? config, 'normalize_path', text);
      }
    },
  },
  {
    id: 'merge_slashes',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const { config } of guarded) {
        if (flagOf(field(config, 'merge_slashes')) === true) continue;
        const text = '`//admin` is another route than `/admin` to Envoy and the same to many upstreams; set it to true';
        report(field(config, 'merge_slashes') ?? config, 'merge_slashes', text);
      }
    },
  },
  {
    id: 'path_with_escaped_slashes_action',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const { config } of guarded) {
        const action = field(config, 'path_with_escaped_slashes_action');
        if (SAFE_SLASHES.has(enumOf(action, SLASHES) ?? '')) continue;
        const text = '`%2f` may become a slash behind the check; set it to REJECT_REQUEST';
        report(action ?? config, 'path_with_escaped_slashes_action', text);
      }
    },
  },
  {
    id: 'headers_with_underscores_action',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const { config } of guarded) {
        const action = field(config, 'common_http_protocol_options', 'headers_with_underscores_action');
        if (SAFE_UNDERSCORES.has(enumOf(action, UNDERSCORES) ?? '')) continue;
        const text =
          'a client’s x_sallyport_tenant is x-sallyport-tenant to many upstreams; set it to REJECT_REQUEST under common_http_protocol_options';
        report(action ?? config, 'headers_with_underscores_action', text);
      }
    },
  },
  {
    id: 'allow_chunked_length',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const { config } of guarded) {
        const allowed = field(config, 'http_protocol_options', 'allow_chunked_length');
        if (isOn(allowed)) {
          const text = 'a request with two lengths can hide a second one that is never checked; delete it';
          report(allowed, 'allow_chunked_length', text);
        }
      }
    },
  },
];

const SLASHES: Readonly<Record<number, string>> = {
  0: 'IMPLEMENTATION_SPECIFIC_DEFAULT',
  1: 'KEEP_UNCHANGED',
  2: 'REJECT_REQUEST',
  3: 'UNESCAPE_AND_REDIRECT',
  4: 'UNESCAPE_AND_FORWARD',
};
const SAFE_SLASHES: ReadonlySet<string> = new Set(['REJECT_REQUEST', 'UNESCAPE_AND_REDIRECT', 'UNESCAPE_AND_FORWARD']);

const UNDERSCORES: Readonly<Record<number, string>> = { 0: 'ALLOW', 1: 'REJECT_REQUEST', 2: 'DROP_HEADER' };
const SAFE_UNDERSCORES: ReadonlySet<string> = new Set(['REJECT_REQUEST', 'DROP_HEADER']);
