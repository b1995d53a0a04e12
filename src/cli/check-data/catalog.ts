import { isObject } from '../../decision/json.ts';
import { compileCatalog } from '../../inspection/catalog.ts';
import { CatalogError, type CatalogFault } from '../../inspection/catalog-error.ts';
import { parseRoute, type RouteData } from '../../inspection/route-data.ts';
import { checkLimitsData } from '../../quota/limits-data.ts';
import { checkLimits } from './limits.ts';
import { checkServices } from './services.ts';

/** The facts of `data.catalog` that a check goes through. */
export interface Catalog {
  readonly routes: readonly RouteData[];
  readonly tenants: readonly string[];
  readonly tiers: readonly string[];
  readonly models: readonly string[];
  /** Every role that a grant names, sorted. */
  readonly roles: readonly string[];
}

export interface CatalogReading {
  /** Without what is at fault. */
  readonly catalog: Catalog;
  /** As they are in the data. */
  readonly overrides: unknown;
  readonly limits: unknown;
  readonly faults: readonly CatalogFault[];
}

/**
 * Reads `data.catalog` of the shipped shape and names what in it means nothing: unknown keys, names that nothing has,
 * and names that differ in case only.
 */
export function readCatalog(value: unknown): CatalogReading {
  const faults: CatalogFault[] = [];
  const told = new Set<string>();
  const report = (path: string, message: string): void => {
    // What is checked when a bundle is activated is partly checked here too.
    const text = `${path}\n${message}`;
    if (!told.has(text)) faults.push({ path, message });
    told.add(text);
  };
  if (!isObject(value)) report('catalog', 'is not an object');
  const catalog = isObject(value) ? value : {};
  checkKeys(
    catalog,
    [
      'routes',
      'limits',
      'overrides',
      'prices',
      'tiers',
      'models',
      'tenants',
      'total_weight',
      'hosts',
      'schemas',
      'services',
      'ratelimit',
    ],
    'catalog',
    report,
  );
  const section = (name: string): Map<string, Record<string, unknown>> =>
    sectionOf(catalog[name], `catalog.${name}`, report);
  const [tiers, models, tenants, limits] = [section('tiers'), section('models'), section('tenants'), section('limits')];
  const routes = routesOf(value, report);

  for (const [name, tier] of tiers) checkTier(tier, `catalog.tiers.${name}`, report);
  for (const [name, tenant] of tenants) {
    const path = `catalog.tenants.${name}`;
    checkKeys(tenant, ['tiers', 'open_to_tiers', 'weight'], path, report);
    checkNames(tenant['tiers'], tiers, 'tier', `${path}.tiers`, report);
    if (tenant['open_to_tiers'] !== undefined) {
      checkNames(tenant['open_to_tiers'], tiers, 'tier', `${path}.open_to_tiers`, report);
    }
  }
  const roles = new Set<string>();
  const operations = new Set(routes.flatMap((route) => [...(route.operations?.keys() ?? []), route.operation ?? '']));
  for (const [name, model] of models) {
    checkModel(model, { path: `catalog.models.${name}`, tiers, tenants, operations, roles, report });
  }
  checkHosts(catalog['hosts'], tenants, report);
  checkServices(catalog['services'], routes, report);
  for (const { path, message } of checkLimitsData(value)) report(path, message);
  const { overrides, prices, services } = catalog;
  checkLimits({ routes, limits, tiers, models, tenants, overrides, prices, services, report });
  for (const route of routes) {
    for (const name of route.limits) {
      if (!limits.has(name))
        report(`catalog.routes.${route.name}.limits`, `names the limit \`${name}\`, which has no terms`);
    }
    for (const tier of route.maxBytesByTier?.keys() ?? []) {
      if (!tiers.has(tier))
        report(`catalog.routes.${route.name}.max_bytes_by_tier`, `names the unknown tier \`${tier}\``);
    }
  }
  return {
    catalog: {
      routes,
      tenants: [...tenants.keys()],
      tiers: [...tiers.keys()],
      models: [...models.keys()],
      roles: [...roles].sort(),
    },
    overrides,
    limits: catalog['limits'],
    faults,
  };
}

type Report = (path: string, message: string) => void;
type Names = ReadonlyMap<string, unknown> | ReadonlySet<string>;

function routesOf(catalog: unknown, report: Report): readonly RouteData[] {
  try {
    compileCatalog(catalog);
  } catch (error) {
    if (!(error instanceof CatalogError)) throw error;
    for (const { path, message } of error.faults) report(path, message);
  }
  const routes = isObject(catalog) && Array.isArray(catalog['routes']) ? catalog['routes'] : [];
  // The faults of each route are told already.
  return routes.map((route: unknown) => parseRoute(route, '', [])).filter((route) => route !== undefined);
}

function sectionOf(value: unknown, path: string, report: Report): Map<string, Record<string, unknown>> {
  const section = new Map<string, Record<string, unknown>>();
  const folded = new Map<string, string>();
  if (!isObject(value)) {
    report(path, 'is not an object');
    return section;
  }
  for (const [name, one] of Object.entries(value)) {
    const twin = folded.get(name.toLowerCase());
    if (twin !== undefined) report(`${path}.${name}`, `differs from \`${twin}\` in case only`);
    folded.set(name.toLowerCase(), name);
    if (isObject(one)) section.set(name, one);
    else report(`${path}.${name}`, 'is not an object');
  }
  return section;
}

function checkTier(tier: Record<string, unknown>, path: string, report: Report): void {
  checkKeys(tier, ['max_bytes', 'unbounded', 'max_output_tokens'], path, report);
  const { max_bytes, unbounded } = tier;
  if (unbounded !== undefined && typeof unbounded !== 'boolean')
    report(`${path}.unbounded`, 'is neither true nor false');
  if (max_bytes !== undefined && !(Number.isSafeInteger(max_bytes) && Number(max_bytes) >= 0)) {
    report(`${path}.max_bytes`, 'is not an integer from 0 to 2^53 - 1');
  }
  if ((max_bytes === undefined) !== (unbounded === true)) {
    report(path, 'must name `max_bytes` or say `unbounded: true`, and not both');
  }
}

interface ModelContext {
  readonly path: string;
  readonly tiers: Names;
  readonly tenants: Names;
  readonly operations: ReadonlySet<string>;
  /** Collects the roles that grants name. */
  readonly roles: Set<string>;
  readonly report: Report;
}

function checkModel(model: Record<string, unknown>, context: ModelContext): void {
  const { path, tenants, operations, report } = context;
  checkKeys(model, ['grants', 'upstreams', 'role_upstreams', 'fallback', 'max_output_tokens'], path, report);
  const grants = isObject(model['grants']) ? model['grants'] : {};
  if (!isObject(model['grants'])) report(`${path}.grants`, 'is not an object');
  for (const [operation, list] of Object.entries(grants)) {
    if (!operations.has(operation)) report(`${path}.grants.${operation}`, 'is an operation that no route has');
    if (!Array.isArray(list)) report(`${path}.grants.${operation}`, 'is not a list of grants');
    else for (const [at, grant] of list.entries()) checkGrant(grant, `${path}.grants.${operation}[${at}]`, context);
  }
  const upstreams = isObject(model['upstreams']) ? model['upstreams'] : {};
  if (!isObject(model['upstreams'])) report(`${path}.upstreams`, 'is not an object');
  checkNames(Object.keys(upstreams), tenants, 'tenant', `${path}.upstreams`, report);
  for (const [tenant, upstream] of Object.entries(upstreams)) {
    if (typeof upstream !== 'string' || upstream === '') report(`${path}.upstreams.${tenant}`, 'is not a cluster name');
  }
  if (model['role_upstreams'] !== undefined) checkRoleUpstreams(model['role_upstreams'], upstreams, context);
}

/** In order: the first entry whose role the caller has is taken. */
function checkRoleUpstreams(value: unknown, upstreams: object, { path, roles, report }: ModelContext): void {
  const place = `${path}.role_upstreams`;
  if (!isObject(value)) {
    report(place, 'is not an object');
    return;
  }
  for (const [tenant, entries] of Object.entries(value)) {
    if (!Object.hasOwn(upstreams, tenant)) report(`${place}.${tenant}`, 'is a tenant without an upstream of its own');
    if (!Array.isArray(entries)) {
      report(`${place}.${tenant}`, 'is not a list');
      continue;
    }
    for (const [at, entry] of entries.entries()) {
      const { role, upstream, ...more } = isObject(entry) ? entry : {};
      if (typeof role === 'string' && typeof upstream === 'string' && role !== '' && upstream !== '') roles.add(role);
      else report(`${place}.${tenant}[${at}]`, 'does not name a `role` and its `upstream`');
      checkKeys(more, [], `${place}.${tenant}[${at}]`, report);
    }
  }
}

function checkHosts(value: unknown, tenants: Names, report: Report): void {
  if (value === undefined) return;
  if (!isObject(value)) {
    report('catalog.hosts', 'is not an object');
    return;
  }
  for (const [host, tenant] of Object.entries(value)) {
    if (!CANONICAL_HOST.test(host)) report(`catalog.hosts.${host}`, 'is not a host in lower case, without port');
    if (typeof tenant !== 'string' || !tenants.has(tenant)) {
      report(`catalog.hosts.${host}`, `names the unknown tenant \`${String(tenant)}\``);
    }
  }
}

/** As requests are read: a rule for a host in another spelling would never hold. */
const CANONICAL_HOST = /^(?:[a-z0-9_~-]+(?:\.[a-z0-9_~-]+)*|\[[0-9a-f:.]{2,45}\])$/;

function checkGrant(grant: unknown, path: string, { tiers, tenants, roles, report }: ModelContext): void {
  if (!isObject(grant)) {
    report(path, 'is not an object');
    return;
  }
  checkKeys(grant, ['tiers', 'roles', 'tenants'], path, report);
  checkNames(grant['tiers'], tiers, 'tier', `${path}.tiers`, report);
  if (grant['tenants'] !== undefined) checkNames(grant['tenants'], tenants, 'tenant', `${path}.tenants`, report);
  const named = grant['roles'] ?? [];
  if (!Array.isArray(named)) report(`${path}.roles`, 'is not a list');
  else for (const role of named) if (typeof role === 'string') roles.add(role);
}

function checkNames(value: unknown, known: Names, kind: string, path: string, report: Report): void {
  if (!Array.isArray(value)) {
    report(path, `is not a list of ${kind}s`);
    return;
  }
  for (const [at, name] of value.entries()) {
    if (typeof name !== 'string' || !known.has(name))
      report(`${path}[${at}]`, `names the unknown ${kind} \`${String(name)}\``);
    else if (value.indexOf(name) !== at) report(`${path}[${at}]`, `names \`${name}\` twice`);
  }
}

function checkKeys(
  value: { readonly [key: string]: unknown },
  known: readonly string[],
  path: string,
  report: Report,
): void {
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) report(`${path}.${key}`, `is not a key of ${path.split('.').slice(0, 2).join('.')}`);
  }
}
