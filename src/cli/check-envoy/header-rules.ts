import type { Bootstrap } from './bootstrap.ts';
import { isOwned, OWNED_HEADERS } from './routes.ts';
import type { Rule } from './rule.ts';
import { field, listOf, type Setting, textOf } from './setting.ts';
import { isOn, matchesRegex, takesName } from './values.ts';

/** Whether headers reach Sallyport, and Sallyport's headers the upstream and nobody else. */
export const headerRules: readonly Rule[] = [
  {
    id: 'allowed_headers',
    severity: 'finding',
    check: (bootstrap, report) => {
      for (const { config, http } of filters(bootstrap)) {
        const list = field(config, 'allowed_headers') ?? field(http, 'authorization_request', 'allowed_headers');
        // Over gRPC all headers are sent unless a list says which.
        if (http === undefined && list === undefined) continue;
        const wanted = http === undefined ? [...JUDGED, ...SENT_BY_ITSELF] : JUDGED;
        const missing = wanted.filter((name) => !takesName(list, name));
        if (missing.length === 0) continue;
        const text = `Sallyport is not sent ${missing.join(', ')}, and cannot deny by what it does not see; list them as exact with ignore_case`;
        report(list ?? config, 'allowed_headers', text);
      }
    },
  },
  {
    id: 'allowed_headers_of_callers',
    severity: 'note',
    check: (bootstrap, report) => {
      for (const { config, http } of filters(bootstrap)) {
        const list = field(config, 'allowed_headers') ?? field(http, 'authorization_request', 'allowed_headers');
        if (http === undefined && list === undefined) continue;
        const missing = OF_CALLERS.filter((name) => !takesName(list, name));
        if (missing.length === 0) continue;
        const text = `Sallyport is not sent ${missing.join(', ')}, and denies who is known only by that; list them as exact with ignore_case`;
        report(list ?? config, 'allowed_headers', text);
      }
    },
  },
  {
    id: 'disallowed_headers',
    severity: 'finding',
    check: (bootstrap, report) => {
      for (const { config } of filters(bootstrap)) {
        const list = field(config, 'disallowed_headers');
        const missing = [...JUDGED, ...OF_CALLERS, ...SENT_BY_ITSELF].filter((name) => takesName(list, name));
        if (list === undefined || missing.length === 0) continue;
        const text = `${missing.join(', ')} never reach Sallyport, which cannot deny by what it does not see; delete them here`;
        report(list, 'disallowed_headers', text);
      }
    },
  },
  {
    id: 'headers_to_add',
    severity: 'finding',
    check: (bootstrap, report) => {
      for (const { config, http } of filters(bootstrap)) {
        const added = [
          ...listOf(http, 'authorization_request', 'headers_to_add'),
          ...listOf(config, 'grpc_service', 'initial_metadata'),
        ];
        for (const header of added) {
          const name = (textOf(header, 'key') ?? '').toLowerCase();
          if (http === undefined || ![...JUDGED, ...OF_CALLERS, ...SENT_BY_ITSELF].includes(name)) continue;
          const text = `every check carries Envoy’s \`${name}\`, not the client’s, and is decided by it; delete it`;
          report(header, 'headers_to_add', text);
        }
      }
    },
  },
  {
    id: 'allowed_upstream_headers',
    severity: 'finding',
    check: (bootstrap, report) => {
      for (const { http } of filters(bootstrap)) {
        if (http === undefined) continue;
        const list = field(http, 'authorization_response', 'allowed_upstream_headers');
        const missing = OWNED_HEADERS.filter((name) => !takesName(list, name));
        if (missing.length === 0) continue;
        const text = `the upstream gets the client’s own ${missing.join(', ')}, not Sallyport’s; list them as exact with ignore_case`;
        report(list ?? http, 'allowed_upstream_headers', text);
      }
    },
  },
  {
    id: 'allowed_upstream_headers_to_append',
    severity: 'finding',
    check: (bootstrap, report) => {
      for (const { http } of filters(bootstrap)) {
        const list = field(http, 'authorization_response', 'allowed_upstream_headers_to_append');
        const taken = OWNED_HEADERS.filter((name) => takesName(list, name));
        if (list === undefined || taken.length === 0) continue;
        const text = `the client’s own ${taken.join(', ')} stays in front of Sallyport’s; list them in allowed_upstream_headers only`;
        report(list, 'allowed_upstream_headers_to_append', text);
      }
    },
  },
  {
    id: 'allowed_client_headers',
    severity: 'finding',
    check: (bootstrap, report) => {
      for (const { http } of filters(bootstrap)) {
        const list = field(http, 'authorization_response', 'allowed_client_headers');
        const missing = SHOWN_ON_DENIAL.filter((name) => !takesName(list, name));
        if (http === undefined || (list !== undefined && missing.length === 0)) continue;
        const text =
          list === undefined
            ? `without it every header of a denial reaches the client; list ${SHOWN_ON_DENIAL.join(', ')}`
            : `a denial reaches the client without ${missing.join(', ')}; list them`;
        report(list ?? http, 'allowed_client_headers', text);
      }
    },
  },
  {
    id: 'allowed_client_headers_on_success',
    severity: 'finding',
    check: (bootstrap, report) => {
      for (const { http } of filters(bootstrap)) {
        const list = field(http, 'authorization_response', 'allowed_client_headers_on_success');
        const taken = [...OWNED_HEADERS, RESERVATION_ID].filter((name) => isOwned(name) && takesName(list, name));
        if (list === undefined || taken.length === 0) continue;
        const text = `clients are told ${taken.join(', ')}, which are not for them; delete them here`;
        report(list, 'allowed_client_headers_on_success', text);
      }
    },
  },
  {
    id: 'decoder_header_mutation_rules',
    severity: 'finding',
    check: (bootstrap, report) => {
      for (const { config } of filters(bootstrap)) {
        const rules = field(config, 'decoder_header_mutation_rules');
        const dropped = OWNED_HEADERS.filter((name) => !maySet(rules, name));
        if (rules === undefined || dropped.length === 0) continue;
        const text = `Envoy drops Sallyport’s ${dropped.join(', ')} and the client’s own copies go on; delete what forbids them (disallow_all, disallow_expression)`;
        report(rules, 'decoder_header_mutation_rules', text);
      }
    },
  },
  {
    id: 'path_prefix',
    severity: 'note',
    check: (bootstrap, report) => {
      for (const { http } of filters(bootstrap)) {
        const prefix = field(http, 'path_prefix');
        const text = prefix === undefined ? '' : String(prefix.scalar);
        if (http === undefined || /^\/.*[^/]$/.test(text)) continue;
        const advice =
          'the door answers only under its `path_prefix` and denies all else; set it to `/ext-authz`, without a slash at its end (a path in server_uri.uri does nothing)';
        report(prefix ?? http, 'path_prefix', advice);
      }
    },
  },
];

/** Client headers without which a body or an upgrade would be taken for something else. */
const JUDGED: readonly string[] = ['content-type', 'content-encoding', 'upgrade'];

/** Client headers that say who asks; without them there is less to allow by. */
const OF_CALLERS: readonly string[] = ['x-forwarded-for', 'x-api-key', 'dpop'];

/** What the HTTP service is sent whatever the lists say. */
const SENT_BY_ITSELF: readonly string[] = ['authorization', 'content-length', 'x-envoy-auth-partial-body'];

/** The gateway's metering settles what is held by it. */
const RESERVATION_ID = 'x-sallyport-reservation-id';
const SHOWN_ON_DENIAL: readonly string[] = ['content-type', 'www-authenticate', 'retry-after'];

function filters({ guarded }: Bootstrap): readonly { readonly config: Setting; readonly http: Setting | undefined }[] {
  return guarded.flatMap(({ authz }) => authz.map(({ config }) => ({ config, http: field(config, 'http_service') })));
}

/** Envoy's `HeaderMutationRules`, for a header that is neither Envoy's own nor one of routing. */
function maySet(rules: Setting | undefined, name: string): boolean {
  // Then a forbidden header ends the request instead of being dropped.
  if (isOn(field(rules, 'disallow_is_error'))) return true;
  return !isOn(field(rules, 'disallow_all')) && !matchesRegex(field(rules, 'disallow_expression'), name);
}
