import { CLIENT_ANSWERS, type CoreCode } from '../decision/errors.ts';
import type { Inference, Inspected, InspectionRefused, MatchedRoute, NamedDecision } from '../decision/ports.ts';
import type { Authentication } from '../decision/principal.ts';
import type { Answer } from './answer.ts';
import { fieldsOf, type Ignorance, ignoranceOf, type LogsPath, type Settled } from './known-input.ts';
import type { RecordedDecision } from './recorded-event.ts';
import { recordedFindings, recordedInference, textOf } from './recorded-request.ts';
import type { RouteTable } from './route-table.ts';

/** What inspection would make of a recorded request. */
export interface Routed {
  readonly kind: 'routed';
  readonly inspected: Inspected | InspectionRefused;
  readonly settled: Settled;
}

interface Asked {
  readonly routes: RouteTable;
  readonly named: NamedDecision;
  readonly authentication: Authentication;
  readonly logs: LogsPath;
}

type Unknown = { readonly kind: 'unknown'; readonly ignorance: Ignorance };

/**
 * The route of the table under test, its bound on the size, and what of the request is then tenant, model and operation.
 * What a route asks of credentials and of bodies cannot be seen in an event: it counts as fulfilled, as it was.
 */
export function recordedRoute(event: RecordedDecision, asked: Asked): Routed | Unknown {
  const { routes, named, authentication, logs } = asked;
  const tell = (path: string, readsBody = true) => ignoranceOf(event, path, { route: false, readsBody }, logs);
  const request = fieldsOf(event.input['request']) ?? {};
  const { method, path } = request;
  if (typeof method !== 'string' || tell('request.method') !== undefined) {
    return unknown(tell('request.method') ?? { why: 'not_told', path: 'request.method' });
  }
  if (typeof path !== 'string' || tell('request.path') !== undefined) return routeByName(event, asked);

  const isPreflight = textOf(fieldsOf(event.input['route']) ?? {}, 'operation') === 'preflight';
  const found = routes.find(method, path, isPreflight);
  const findings = recordedFindings(event);
  if (found.kind === 'refused') {
    if (named.result !== 'sallyport') return settledAs({ ...findings, route: null }, { route: true, readsBody: false });
    return settledAs(refusal(found.code, path), { route: true, readsBody: false });
  }
  const principal = authentication.kind === 'verified' ? authentication.principal : undefined;
  const ignorance =
    (found.tenant === 'token' ? tell('identity.tenant') : undefined) ??
    (found.model === 'body' ? tell('inference.model') : undefined);
  if (ignorance !== undefined) return unknown(ignorance);
  const inference = recordedInference(event);
  if (found.model === 'body' && inference.model === undefined) {
    return unknown({ why: 'not_told', path: 'inference.model' });
  }

  const most = found.maxBytes(principal?.tier);
  if (most !== undefined) {
    const unread = tell('request.size') ?? tell('identity.tier');
    if (unread !== undefined) return unknown(unread);
    const { size } = findings;
    if ((size.known ? size.bytes : size.at_least) > most) return settledAs(refusal('payload_too_large', path), BOUND);
    if (!size.known) return settledAs(refusal('payload_size_unknown', path), BOUND);
  }
  const { params } = found;
  const tenant = found.tenant === 'token' ? principal?.tenant : params['tenant'];
  const model = found.model === 'body' ? inference.model : params['model'];
  const operation = found.operation ?? params['operation'];
  return settledAs(
    inspectedWith(
      findings,
      {
        name: found.name,
        ...(tenant === undefined ? {} : { tenant }),
        ...(model === undefined ? {} : { model }),
        ...(operation === undefined ? {} : { operation }),
        params,
        requiredLimits: found.requiredLimits,
      },
      found.readsBody ? inference : undefined,
    ),
    { route: true, readsBody: found.readsBody },
  );
}

const BOUND: Settled = { route: true, readsBody: false };

/** Where the path is masked, cut or not logged: the route that the event names, if there still is one of that name. */
function routeByName(event: RecordedDecision, { routes, logs }: Asked): Routed | Unknown {
  const settled = { route: false, readsBody: true };
  const path = ignoranceOf(event, 'request.path', settled, logs) ?? { why: 'not_told', path: 'request.path' };
  const route = fieldsOf(event.input['route']);
  const name = textOf(route ?? {}, 'name');
  const found = name === undefined ? undefined : routes.named(name);
  if (route === undefined || found === undefined) return unknown(path);
  const params = Object.entries(fieldsOf(route['params']) ?? {}).flatMap(([key, value]) =>
    typeof value === 'string' ? [[key, value] as const] : [],
  );
  const matched = ['tenant', 'model', 'operation'].flatMap((member) => {
    const value = textOf(route, member);
    return value === undefined ? [] : [[member, value] as const];
  });
  const inference = found.readsBody ? recordedInference(event) : undefined;
  return settledAs(
    inspectedWith(
      recordedFindings(event),
      {
        name: found.name,
        ...Object.fromEntries(matched),
        params: Object.fromEntries(params),
        requiredLimits: found.requiredLimits,
      },
      inference,
    ),
    { route: false, readsBody: found.readsBody },
  );
}

/** What the table says of a request that the core refused; `undefined` where its route had no part in that. */
export function refusedForRoute(
  event: RecordedDecision,
  routes: RouteTable,
  logs: LogsPath,
): { readonly kind: 'refused'; readonly answer: Omit<Answer, 'charged'> } | { readonly kind: 'found' } | undefined {
  const { code, status } = event.answer;
  if (code === undefined || !OF_ROUTE.has(code)) return undefined;
  const { method, path } = fieldsOf(event.input['request']) ?? {};
  if (typeof method !== 'string' || typeof path !== 'string') return undefined;
  const settled = { route: false, readsBody: true };
  if (['request.method', 'request.path'].some((one) => ignoranceOf(event, one, settled, logs) !== undefined)) {
    return undefined;
  }
  const isForRoute = code === 'unknown_route' || code === 'method_not_declared';
  // A fault before the route was looked for has no route in its event.
  if (!isForRoute && fieldsOf(event.input['route'])?.['name'] === undefined) return undefined;
  const found = routes.find(method, path, false);
  // Whether it was a preflight is in no event of a refusal.
  if (method === 'OPTIONS' && routes.find(method, path, true).kind !== found.kind) return undefined;
  if (found.kind === 'route') return isForRoute ? { kind: 'found' } : undefined;
  // The anonymous are told the same on every path.
  const told = status === 401 ? 401 : CLIENT_ANSWERS[found.code].status;
  return {
    kind: 'refused',
    answer: { kind: 'deny', code: found.code, status: told, reasons: [], upstream: null },
  };
}

/** What inspection refuses by a route, or for want of one. */
const OF_ROUTE: ReadonlySet<CoreCode> = new Set<CoreCode>([
  'unknown_route',
  'method_not_declared',
  'upgrade_not_declared',
  'payload_too_large',
  'payload_size_unknown',
  'no_credential',
  'malformed_request',
]);

function inspectedWith(
  findings: Omit<Inspected, 'route' | 'inference'>,
  route: MatchedRoute,
  inference: Inference | undefined,
): Inspected {
  return { ...findings, route, ...(inference === undefined ? {} : { inference }) };
}

function refusal(code: CoreCode, path: string): InspectionRefused {
  return { kind: 'refused', code, cause: 'by the route data of the bundle', dependsOnRoute: true, path };
}

function settledAs(inspected: Routed['inspected'], settled: Settled): Routed {
  return { kind: 'routed', inspected, settled };
}

function unknown(ignorance: Ignorance): Unknown {
  return { kind: 'unknown', ignorance };
}
