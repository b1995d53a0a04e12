import { authorizerOf, type Connection } from './bootstrap.ts';
import { choosingHeaders, isOwned, overrideFor, type Route } from './routes.ts';
import type { Rule } from './rule.ts';
import { everySetting, field, listOf, nameOf, type Setting, textOf } from './setting.ts';
import { flagOf, isOn, signatureOf } from './values.ts';

/** Whether a request goes where, and under the settings by which, it was decided about. */
export const routeRules: readonly Rule[] = [
  {
    id: 'per_route_disabled',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const { authz, routes } of guarded) {
        for (const { action, overrides } of routes) {
          // A route that answers by itself reaches no upstream.
          if (action === undefined) continue;
          for (const disabled of overrides.flatMap((levels) =>
            authz.map(({ name }) => overrideFor(levels, name)?.disabled),
          )) {
            const text =
              'requests of this route reach its upstream without being checked; delete it, or let the route answer by itself (direct_response)';
            if (isOn(disabled)) report(disabled, 'disabled', text);
          }
        }
      }
    },
  },
  {
    id: 'per_route_service',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const { authz, routes } of guarded) {
        const asked = new Set(authz.map(({ config }) => authorizerOf(config)));
        for (const { config } of routes.flatMap(({ overrides }) => overrides.flat())) {
          const settings = field(config, 'check_settings');
          const service = field(settings, 'grpc_service') ?? field(settings, 'http_service');
          if (settings === undefined || service === undefined || asked.has(authorizerOf(settings))) continue;
          const text = `this route asks \`${authorizerOf(settings)}\` instead of the authorizer of its listener; delete it`;
          report(service, nameOf(service), text);
        }
      }
    },
  },
  {
    id: 'clear_route_cache',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const connection of guarded) {
        const chosen = ownedChoice(connection);
        const filter = connection.authz.at(-1)?.config;
        if (chosen === undefined || filter === undefined || clearsRouteCache(connection)) continue;
        const text = `the route of line ${chosen.line} is chosen by the client’s own copy of \`${String(chosen.scalar)}\`, not by Sallyport’s; set it to true`;
        report(field(filter, 'clear_route_cache') ?? filter, 'clear_route_cache', text);
      }
    },
  },
  {
    id: 'clear_route_cache_other_settings',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const connection of guarded) {
        for (const { config, name } of connection.authz) {
          const clearing = field(config, 'clear_route_cache');
          if (!isOn(clearing)) continue;
          for (const [first, second] of standIns(connection.routes, name)) {
            const text = `a request checked by the settings of the route of line ${second.setting.line} may be sent by the route of line ${first.setting.line}, or the other way round, where ext_authz is off or set otherwise; give both the same settings`;
            report(clearing, 'clear_route_cache', text);
          }
        }
      }
    },
  },
  {
    id: 'cluster_header',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const route of guarded.flatMap(({ routes }) => routes)) {
        for (const [at, header] of choosingHeaders(route)) {
          if (nameOf(at) !== 'cluster_header' || isOwned(header)) continue;
          const text = `the client chooses the upstream by sending \`${header}\`; take x-sallyport-upstream, which Sallyport sets or removes`;
          report(at, 'cluster_header', text);
        }
      }
    },
  },
  {
    id: 'request_headers_to_add',
    severity: 'finding',
    check: ({ guarded }, report) => {
      for (const { routes, config } of guarded) {
        for (const level of headerLevels(routes, config)) {
          for (const option of listOf(level, 'request_headers_to_add')) {
            const key = field(option, 'header', 'key');
            if (key === undefined || !isOwned(String(key.scalar))) continue;
            const text = `Envoy writes \`${String(key.scalar)}\` after the decision, beside or over Sallyport’s; delete it`;
            report(key, 'request_headers_to_add', text);
          }
        }
      }
    },
  },
];

function clearsRouteCache({ authz }: Connection): boolean {
  return authz.some(({ config }) => flagOf(field(config, 'clear_route_cache')) === true);
}

/** Where a route is chosen by a header that Sallyport owns. */
function ownedChoice({ routes }: Connection): Setting | undefined {
  for (const route of routes) {
    for (const [at, header] of choosingHeaders(route)) if (isOwned(header)) return at;
    const matcher = field(route.host, 'matcher');
    for (const below of matcher === undefined ? [] : everySetting(matcher)) {
      if (nameOf(below) === 'header_name' && isOwned(String(below.scalar))) return below;
    }
  }
  return undefined;
}

/** Pairs of routes, in order, of which one can become the other's when an answer changes the request. */
function* standIns(routes: readonly Route[], filter: string): Generator<readonly [Route, Route]> {
  for (const [index, first] of routes.entries()) {
    if (!matchesChangeable(first)) continue;
    const other = routes
      .slice(index + 1)
      .find(
        (second) =>
          second.host === first.host &&
          settingsOf(first, filter) !== settingsOf(second, filter) &&
          mayOverlap(first.match, second.match),
      );
    if (other !== undefined) yield [first, other];
  }
}

function settingsOf({ overrides }: Route, filter: string): string {
  return overrides.map((levels) => signatureOf(overrideFor(levels, filter)?.setting)).join('\n');
}

/** Whether a route is matched by something that an answer of Sallyport can set: headers, query or metadata. */
function matchesChangeable({ match }: Route): boolean {
  const headers = listOf(match, 'headers').map((matcher) => (textOf(matcher, 'name') ?? '').toLowerCase());
  return (
    headers.some((name) => !UNCHANGEABLE.test(name)) ||
    ['query_parameters', 'dynamic_metadata', 'filter_state'].some((name) => listOf(match, name).length > 0)
  );
}

const UNCHANGEABLE = /^(?::.*|host|content-length|transfer-encoding|x-envoy-.*)$/;

/** Whether one path can match both; what cannot be judged can. */
function mayOverlap(left: Setting | undefined, right: Setting | undefined): boolean {
  const [a, b] = [pathOf(left), pathOf(right)];
  if (a === undefined || b === undefined) return true;
  if (a.whole && b.whole) return a.text === b.text;
  if (a.whole) return a.text.startsWith(b.text);
  if (b.whole) return b.text.startsWith(a.text);
  return a.text.startsWith(b.text) || b.text.startsWith(a.text);
}

function pathOf(match: Setting | undefined): { readonly text: string; readonly whole: boolean } | undefined {
  const whole = textOf(match, 'path');
  const text = whole ?? textOf(match, 'prefix') ?? textOf(match, 'path_separated_prefix');
  return text === undefined ? undefined : { text: text.toLowerCase(), whole: whole !== undefined };
}

function headerLevels(routes: readonly Route[], manager: Setting): ReadonlySet<Setting | undefined> {
  const below = routes.flatMap(({ setting, host, action }) => [
    ...listOf(action, 'weighted_clusters', 'clusters'),
    setting,
    host,
  ]);
  return new Set([...below, field(manager, 'route_config')]);
}
