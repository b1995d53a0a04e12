import { isObject } from '../../decision/json.ts';
import type { RouteData } from '../../inspection/route-data.ts';

/** Something in the data that is no fault and leaves a door wider than it need be. */
export interface Warning {
  readonly path: string;
  readonly warning:
    | 'no_size_limit'
    | 'no_schema'
    | 'no_limit'
    | 'burst_below_size'
    | 'expired_override'
    | 'cors_wildcard_with_credentials';
  readonly message: string;
}

/** Warns of routes without a bound, a schema or a limit, and of CORS wildcards with credentials anywhere in the data. */
export function lintData(data: unknown, routes: readonly RouteData[]): readonly Warning[] {
  return [...routes.flatMap(lintRoute), ...lintCors(data, '')];
}

function lintRoute(route: RouteData): readonly Warning[] {
  const { name, kind, body, limits, maxBytes, maxBytesByTier, schema } = route;
  const path = `catalog.routes.${name}`;
  const warnings: Warning[] = [];
  if (maxBytes === undefined) {
    const partial = maxBytesByTier === undefined ? '' : ' for the tiers that `max_bytes_by_tier` does not name';
    warnings.push({ path, warning: 'no_size_limit', message: `has no size limit${partial}: give it \`max_bytes\`` });
  }
  // A preflight has no body.
  if (schema === undefined && kind === 'ordinary') {
    const remedy =
      body === 'json' ? '' : `, and \`body: ${body}\` means that none could be applied: set \`body: json\``;
    warnings.push({ path, warning: 'no_schema', message: `has no \`schema\` for its bodies${remedy}` });
  }
  if (limits.length === 0) {
    warnings.push({ path, warning: 'no_limit', message: 'requires no limit: name those that must hold in `limits`' });
  }
  return warnings;
}

/** Looks for an object that names the origins `*` and allows credentials, whatever the data calls it. */
function lintCors(value: unknown, path: string): readonly Warning[] {
  if (Array.isArray(value)) return value.flatMap((item, at) => lintCors(item, `${path}[${at}]`));
  if (!isObject(value)) return [];
  const inside = Object.entries(value).flatMap(([key, item]) => lintCors(item, path === '' ? key : `${path}.${key}`));
  if (!hasWildcardOrigin(value) || !allowsCredentials(value)) return inside;
  const message = 'lets pages of any origin use the credentials of their visitors: name the origins';
  return [{ path, warning: 'cors_wildcard_with_credentials', message }, ...inside];
}

type Data = { readonly [key: string]: unknown };

function hasWildcardOrigin(value: Data): boolean {
  return Object.entries(value).some(([key, origins]) => {
    if (!/origins?(?:_|-|$)/i.test(key)) return false;
    return (Array.isArray(origins) ? origins : [origins]).some(matchesAnyOrigin);
  });
}

/** `*` alone, or where the host should be; `null` is what every sandboxed page says. */
function matchesAnyOrigin(origin: unknown): boolean {
  return typeof origin === 'string' && (/^(?:https?:\/\/)?\*\.?$/.test(origin) || ANY.has(origin));
}

const ANY: ReadonlySet<string> = new Set(['null', '.*', '^.*$', '.+', '^.+$']);

function allowsCredentials(value: Data): boolean {
  return Object.entries(value).some(
    ([key, allowed]) => /credentials$/i.test(key) && (allowed === true || allowed === 'true'),
  );
}
