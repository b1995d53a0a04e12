import type { AccessRequest } from '../decision/access-request.ts';
import { isObject } from '../decision/json.ts';
import { CatalogError, type CatalogFault } from './catalog-error.ts';
import { parseRoute, type RouteData } from './route-data.ts';

/** What the route data says of a path and a method. */
export type RouteLookup =
  | { readonly kind: 'route'; readonly route: CompiledRoute }
  /** The path is known, the method is not: `allow` lists those that are (RFC 9110 §15.5.6). */
  | { readonly kind: 'method'; readonly allow: string }
  | { readonly kind: 'none' };

export interface CompiledRoute extends RouteData {
  /** Where each parameter stands among the path's segments. */
  readonly parameters: readonly (readonly [name: string, index: number])[];
}

/** Finds the route of a canonical path's segments. */
export type FindRoute = (segments: readonly string[], request: AccessRequest) => RouteLookup;

/**
 * Compiles `catalog.routes` into a trie. From left to right a literal segment beats a parameter, and the first place
 * that knows the path decides, whatever the method. Throws {@link CatalogError} with every fault of the data.
 */
export function compileRoutes(catalog: unknown): FindRoute {
  const root = newNode();
  for (const route of parseRoutes(catalog)) {
    let node = root;
    for (const segment of route.pattern)
      node = segment.kind === 'literal' ? literalOf(node, segment.text) : parameterOf(node);
    node.routes.push(route);
  }
  return (segments, request) => find(root, segments, 0, request) ?? NONE;
}

const NONE: RouteLookup = { kind: 'none' };
const MAX_ROUTES = 4096;

interface Node {
  readonly literals: Map<string, Node>;
  readonly folded: Set<string>;
  parameter: Node | undefined;
  readonly routes: CompiledRoute[];
}

function newNode(): Node {
  return { literals: new Map(), folded: new Set(), parameter: undefined, routes: [] };
}

function literalOf(node: Node, text: string): Node {
  const known = node.literals.get(text);
  if (known !== undefined) return known;
  const added = newNode();
  node.literals.set(text, added);
  node.folded.add(text.toLowerCase());
  return added;
}

function parameterOf(node: Node): Node {
  node.parameter ??= newNode();
  return node.parameter;
}

/** Depth and visits are bounded by the trie, which is the operator's; a node is reached by one way only. */
function find(node: Node, segments: readonly string[], index: number, request: AccessRequest): RouteLookup | undefined {
  const segment = segments[index];
  if (segment === undefined) return node.routes.length === 0 ? undefined : lookUp(node.routes, segments, request);
  const literal = node.literals.get(segment);
  const found = literal === undefined ? undefined : find(literal, segments, index + 1, request);
  if (found !== undefined || node.parameter === undefined || segment === '') return found;
  // An upstream that ignores case would take `/ADMIN` for the literal, so no parameter may take it.
  if (literal === undefined && node.folded.size > 0 && node.folded.has(segment.toLowerCase())) return undefined;
  return find(node.parameter, segments, index + 1, request);
}

function lookUp(
  routes: readonly CompiledRoute[],
  segments: readonly string[],
  request: AccessRequest,
): RouteLookup | undefined {
  let ordinary: CompiledRoute | undefined;
  let known = false;
  for (const route of routes) {
    const methods = methodsFor(route, segments);
    if (methods === undefined) continue;
    known = true;
    if (!methods.has(request.method)) continue;
    if (route.kind === 'ordinary') ordinary = route;
    else if (isPreflight(request)) return { kind: 'route', route };
  }
  if (ordinary !== undefined) return { kind: 'route', route: ordinary };
  return known ? { kind: 'method', allow: allowed(routes, segments) } : undefined;
}

function methodsFor(route: CompiledRoute, segments: readonly string[]): ReadonlySet<string> | undefined {
  if (route.operations === undefined) return route.methods;
  const index = operationIndex(route);
  return index === undefined ? undefined : route.operations.get(segments[index] ?? '');
}

function operationIndex(route: CompiledRoute): number | undefined {
  for (const [name, index] of route.parameters) if (name === 'operation') return index;
  return undefined;
}

function allowed(routes: readonly CompiledRoute[], segments: readonly string[]): string {
  const methods = new Set(routes.flatMap((route) => [...(methodsFor(route, segments) ?? [])]));
  return [...methods].sort().join(', ');
}

/**
 * Fetch standard, CORS-preflight request: both headers, once each, and no body as far as the gateway tells. It passes
 * without a credential, so nothing in it may ask the upstream for another method.
 */
function isPreflight({ method, headers, body, declaredLength }: AccessRequest): boolean {
  return (
    method === 'OPTIONS' &&
    isSentOnce(headers.all('origin')) &&
    isSentOnce(headers.all('access-control-request-method')) &&
    (declaredLength ?? 0) === 0 &&
    body.bytes.length === 0 &&
    UNLIKE_PREFLIGHT.every((name) => headers.all(name).length === 0)
  );
}

const UNLIKE_PREFLIGHT = ['transfer-encoding', 'x-http-method-override', 'x-http-method', 'x-method-override'];

function isSentOnce(values: readonly string[]): boolean {
  return values.length === 1 && values[0] !== undefined && values[0] !== '' && !values[0].includes(',');
}

function parseRoutes(catalog: unknown): readonly CompiledRoute[] {
  const faults: CatalogFault[] = [];
  const routes = routeList(catalog, faults).flatMap((value, index) => {
    const path = `catalog.routes[${index}]`;
    const data = parseRoute(value, path, faults);
    const schema = data?.schema;
    if (schema !== undefined && !hasSchema(catalog, schema)) {
      faults.push({ path: `${path}.schema`, message: `names \`${schema}\`, which \`catalog.schemas\` lacks` });
    }
    return data === undefined ? [] : [{ path, route: { ...data, parameters: parametersOf(data) } }];
  });
  const byName = new Map<string, string>();
  const byShape = new Map<string, CompiledRoute[]>();
  for (const { path, route } of routes) {
    const twin = byName.get(route.name);
    if (twin === undefined) byName.set(route.name, path);
    else faults.push({ path: `${path}.name`, message: `is the name of \`${twin}\` too` });
    const shape = route.pattern.map((segment) => (segment.kind === 'literal' ? segment.text : '{}')).join('/');
    const others = byShape.get(shape) ?? [];
    for (const other of others) {
      if (overlap(route, other)) faults.push({ path, message: `matches what \`${other.name}\` matches` });
    }
    byShape.set(shape, [...others, route]);
  }
  if (faults.length > 0) throw new CatalogError(faults);
  return routes.map(({ route }) => route);
}

function routeList(catalog: unknown, faults: CatalogFault[]): readonly unknown[] {
  if (catalog === undefined) return [];
  if (!isObject(catalog)) {
    faults.push({ path: 'catalog', message: 'is not an object' });
    return [];
  }
  const routes = Object.hasOwn(catalog, 'routes') ? catalog['routes'] : [];
  if (Array.isArray(routes) && routes.length <= MAX_ROUTES) return routes;
  faults.push({ path: 'catalog.routes', message: `is not a list of at most ${MAX_ROUTES} routes` });
  return [];
}

function hasSchema(catalog: unknown, name: string): boolean {
  return isObject(catalog) && isObject(catalog['schemas']) && Object.hasOwn(catalog['schemas'], name);
}

function parametersOf(data: RouteData): readonly (readonly [string, number])[] {
  return data.pattern.flatMap((segment, index) =>
    segment.kind === 'parameter' ? [[segment.name, index] as const] : [],
  );
}

/** Whether two routes of the same shape can both match one request; a preflight is told from other OPTIONS requests. */
function overlap(one: CompiledRoute, other: CompiledRoute): boolean {
  if (one.kind !== other.kind) return false;
  if (one.operations === undefined || other.operations === undefined || operationIndex(one) !== operationIndex(other)) {
    return intersect(one.methods, other.methods);
  }
  for (const [operation, methods] of one.operations) {
    const others = other.operations.get(operation);
    if (others !== undefined && intersect(methods, others)) return true;
  }
  return false;
}

function intersect(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  for (const method of one) if (other.has(method)) return true;
  return false;
}
