import type { AccessRequest, UnreadableRequest } from '../../src/decision/access-request.ts';
import { type Charge, parsePlans } from '../../src/decision/charges.ts';
import { Allow } from '../../src/decision/decision.ts';
import { RequestFault } from '../../src/decision/errors.ts';
import type { Outcome } from '../../src/decision/ports.ts';
import { toAccessRequest as fromGrpc } from '../../src/protocols/ext-authz-grpc/to-access-request.ts';
import { readRawHeaders } from '../../src/protocols/ext-authz-http/raw-headers.ts';
import { toAccessRequest as fromHttp } from '../../src/protocols/ext-authz-http/to-access-request.ts';
import { HTTP_UPSTREAM_HEADERS } from './envoy-config.ts';
import { encodeCheckRequest } from './ext-authz-proto.ts';
import type { HeaderPair, HeaderTrick } from './header-tricks.ts';

/** A request without tricks. */
export interface Base {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly claims: Readonly<Record<string, unknown>> | undefined;
  readonly body: string;
}

/** How a request comes in: Envoy's `headers`, its `header_map`, or over HTTP. */
export type DoorName = 'grpc' | 'grpc-raw' | 'http';
export const DOORS: readonly DoorName[] = ['grpc', 'grpc-raw', 'http'];

/** The request as the door's own reader hands it on, with the trick's headers among the client's. */
export function toRequest(
  base: Base,
  token: string | undefined,
  door: DoorName,
  trick: HeaderTrick,
): AccessRequest | UnreadableRequest {
  const { method, path, host, body } = base;
  const headers: HeaderPair[] = [
    ['accept', '*/*'],
    ['content-type', 'application/json'],
    ...(token === undefined ? [] : ([['authorization', `Bearer ${token}`]] as const)),
    ...trick,
    // Written by the gateway, which appends its peer to the client's and keeps no copy of its own headers.
    ['x-forwarded-for', '192.0.2.1'],
    ['x-envoy-auth-partial-body', 'false'],
  ];
  if (door === 'http') {
    const raw = [['host', host] as const, ...headers, ['content-length', String(body.length)] as const].flat();
    try {
      return fromHttp(
        { method, target: `/ext-authz${path}`, headers: readRawHeaders(raw), body: Buffer.from(body) },
        {
          pathPrefix: '/ext-authz/',
          deadlineMs: 10_000,
          capabilities: { queryChanges: false, upstreamHeaders: new Set(HTTP_UPSTREAM_HEADERS) },
        },
      );
    } catch (error) {
      if (!(error instanceof RequestFault)) throw error;
      return { door: 'ext_authz_http', unreadable: { code: error.code, cause: error.message } };
    }
  }
  const all: HeaderPair[] = [
    [':method', method],
    [':path', path],
    [':authority', host],
    [':scheme', 'http'],
    ...headers.map(([name, value]) => [name.toLowerCase(), value] as const),
    ['content-length', String(body.length)],
  ];
  const joined: Record<string, string> = Object.create(null);
  for (const [name, value] of all) joined[name] = joined[name] === undefined ? value : `${joined[name]},${value}`;
  const headerMap = all.map(([key, value]) => ({ key, rawValue: Buffer.from(value, 'latin1') }));
  return fromGrpc(
    encodeCheckRequest({
      attributes: {
        source: { address: { socketAddress: { address: '192.0.2.1', portValue: 40_000 } } },
        request: {
          http: {
            ...{ id: '1', method, path, host, scheme: 'http', protocol: 'HTTP/1.1', size: body.length, body },
            ...(door === 'grpc' ? { headers: joined } : { headerMap: { headers: headerMap } }),
          },
        },
      },
    }),
    { believed: true },
  );
}

/** What a trick brought the caller; `undefined` when nothing. A denial brings nothing. */
export function favour(without: Outcome, withTrick: Outcome): string | undefined {
  const { decision } = withTrick;
  if (!Allow.is(decision)) return undefined;
  const before = without.decision;
  if (!Allow.is(before)) return `an allow where it was \`${before.kind === 'deny' ? before.code : 'no decision'}\``;
  const changed = (what: string, one: unknown, other: unknown): string | undefined =>
    JSON.stringify(one) === JSON.stringify(other) ? undefined : `${what}: ${JSON.stringify([one, other])}`;
  const kept = before.removeHeaders.filter((name) => !decision.removeHeaders.includes(name));
  return (
    changed('headers to set', before.setHeaders, decision.setHeaders) ??
    changed('owned headers', ownedOf(before), ownedOf(decision)) ??
    changed('headers no longer removed', kept, []) ??
    changed('query changes', [before.querySet, before.queryRemove], [decision.querySet, decision.queryRemove]) ??
    changed('principal', without.principal, withTrick.principal) ??
    changed('peer', without.peer, withTrick.peer) ??
    changed('charges', chargesOf(without), chargesOf(withTrick)) ??
    changed('what was inspected', factsOf(without), factsOf(withTrick))
  );
}

function ownedOf({ ownedHeaders }: Allow): readonly HeaderPair[] {
  return ownedHeaders.filter(([name]) => name !== 'x-sallyport-decision-id');
}

function factsOf({ inspected }: Outcome): unknown {
  if (inspected?.kind !== 'inspected') return inspected?.code;
  const { path, host, contentType, size, route, network, inference } = inspected;
  return { path, host, contentType, size, route, network, inference };
}

export const DIMENSIONS = [
  'principal',
  'tenant',
  'key_id',
  'peer',
  'address',
  'model',
  'route',
  'operation',
  'method',
  'tier',
];

/** What the request would pay, and for whom, under a limit by each dimension that there is. */
export function chargesOf({ request, inspected, principal, peer }: Outcome): readonly (readonly Charge[] | string)[] {
  if (inspected?.kind !== 'inspected' || !('method' in request)) return [];
  const facts = { method: request.method, inspected, principal, peer: peer ?? null };
  return DIMENSIONS.map((dimension) => {
    const terms = {
      name: dimension,
      key: [dimension],
      unit: 'requests',
      kind: 'rate',
      limit: 1,
      per_seconds: 1,
      cost: 1,
    };
    try {
      return parsePlans([{ ...terms, scope: dimension === 'address' ? 'shared' : 'tenant' }], facts)[0] ?? [];
    } catch (error) {
      return error instanceof RequestFault ? error.code : String(error);
    }
  });
}
