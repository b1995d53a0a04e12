import { isObject } from '../../decision/json.ts';
import { parseSpiffeId } from '../../identity/spiffe-id.ts';
import type { RouteData } from '../../inspection/route-data.ts';

type Report = (path: string, message: string) => void;

/**
 * Reports what in `catalog.services` means nothing, and so permits less than it seems to: unknown keys and routes,
 * identities that no certificate can have, calls without a bound, or silent about what their routes have.
 */
export function checkServices(value: unknown, routes: readonly RouteData[], report: Report): void {
  if (value === undefined) return;
  if (!isObject(value)) {
    report('catalog.services', 'is not an object');
    return;
  }
  const known = new Map(routes.map((route) => [route.name, route]));
  for (const [name, service] of Object.entries(value)) {
    const path = `catalog.services.${name}`;
    if (isObject(service)) checkService(service, path, known, report);
    else report(path, 'is not an object');
  }
}

type Routes = ReadonlyMap<string, RouteData>;
type Data = { readonly [key: string]: unknown };

const SERVICE_KEYS = ['spiffe_ids', 'dns_names', 'subjects', 'calls', 'carries', 'limits'];
const CALL_KEYS = ['routes', 'methods', 'tenants', 'models', 'operations', 'max_bytes', 'unbounded', 'upstream'];

function checkService(service: Data, path: string, routes: Routes, report: Report): void {
  checkKeys(service, SERVICE_KEYS, path, report);
  const { spiffe_ids = [], dns_names = [], subjects = [], calls = [], carries = [] } = service;
  for (const id of texts(spiffe_ids, `${path}.spiffe_ids`, report)) {
    if (!parseSpiffeId(id)?.path) report(`${path}.spiffe_ids`, `has \`${id}\`, which is no SPIFFE ID of a workload`);
  }
  for (const dns of texts(dns_names, `${path}.dns_names`, report)) {
    if (dns !== dns.toLowerCase()) report(`${path}.dns_names`, `has \`${dns}\`: names are compared in lower case`);
  }
  texts(subjects, `${path}.subjects`, report);
  if ([spiffe_ids, dns_names, subjects].every((list) => Array.isArray(list) && list.length === 0)) {
    report(path, 'names no identity: give it `spiffe_ids`, `dns_names` or `subjects`');
  }
  knownRoutes(carries, `${path}.carries`, routes, report);
  if (!Array.isArray(calls)) report(`${path}.calls`, 'is not a list');
  else for (const [at, call] of calls.entries()) checkCall(call, `${path}.calls[${at}]`, routes, report);
}

function checkCall(call: unknown, path: string, routes: Routes, report: Report): void {
  if (!isObject(call)) {
    report(path, 'is not an object');
    return;
  }
  checkKeys(call, CALL_KEYS, path, report);
  const named = knownRoutes(call['routes'], `${path}.routes`, routes, report);
  for (const method of texts(call['methods'], `${path}.methods`, report)) {
    if (!named.some(({ methods }) => methods.has(method))) {
      report(`${path}.methods`, `has \`${method}\`, which none of its routes declares`);
    }
  }
  for (const [key, has] of DIMENSIONS) {
    const list = call[key];
    if (list === undefined) {
      for (const { name } of named.filter(has))
        report(path, `must name \`${key}\`, because route \`${name}\` has them`);
    } else if (list !== 'any') texts(list, `${path}.${key}`, report);
  }
  const { max_bytes, unbounded, upstream } = call;
  if (max_bytes !== undefined && !(Number.isSafeInteger(max_bytes) && Number(max_bytes) >= 0)) {
    report(`${path}.max_bytes`, 'is not an integer from 0 to 2^53 - 1');
  }
  if ((max_bytes === undefined) !== (unbounded === true)) {
    report(path, 'must name `max_bytes` or say `unbounded: true`, and not both');
  }
  if (upstream !== undefined && (typeof upstream !== 'string' || upstream === '')) {
    report(`${path}.upstream`, 'is not a cluster name');
  }
}

/** What a matched route has always, and a call must name then. A tenant taken from the token no service has. */
const DIMENSIONS: readonly (readonly [key: string, has: (route: RouteData) => boolean])[] = [
  ['tenants', ({ tenant }) => tenant === 'path'],
  ['models', ({ model }) => model !== undefined],
  ['operations', ({ operation, operations }) => operation !== undefined || operations !== undefined],
];

function knownRoutes(value: unknown, path: string, routes: Routes, report: Report): readonly RouteData[] {
  return texts(value, path, report).flatMap((name) => {
    const route = routes.get(name);
    if (route === undefined) report(path, `names the unknown route \`${name}\``);
    return route ?? [];
  });
}

function texts(value: unknown, path: string, report: Report): readonly string[] {
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string')) {
    report(path, 'is not a list of texts');
    return [];
  }
  return value;
}

function checkKeys(value: Data, known: readonly string[], path: string, report: Report): void {
  for (const key of Object.keys(value)) if (!known.includes(key)) report(`${path}.${key}`, 'is not a key here');
}
