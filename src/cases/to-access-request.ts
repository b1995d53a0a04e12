import type { AccessRequest } from '../decision/access-request.ts';

/** A request as somebody wrote it down, without a gateway. */
export interface RequestParts {
  readonly door: string;
  readonly method: string;
  readonly target: string;
  readonly host?: string;
  readonly scheme?: string;
  readonly protocol?: string;
  /** Names in lower case. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
  /** Whether the gateway vouches that the body is whole; absent: it does not say. */
  readonly complete?: boolean;
  readonly declaredLength?: number;
  readonly address?: string;
  readonly requestId?: string;
  readonly extensions?: ReadonlyMap<string, string>;
}

/** The neutral request of what was written down; `attributes` are those that Envoy would send of it. */
export function toAccessRequest(parts: RequestParts): AccessRequest {
  const { door, method, target, body, host = 'localhost', scheme = 'http', address = '127.0.0.1' } = parts;
  const headers = withContentType(parts);
  const byName = new Map<string, readonly string[]>();
  for (const [name, value] of headers) byName.set(name, [...(byName.get(name) ?? []), value]);
  return {
    door,
    method,
    target,
    host,
    scheme,
    ...(parts.protocol === undefined ? {} : { protocol: parts.protocol }),
    headers: { all: (name) => byName.get(name) ?? [], names: () => byName.keys() },
    body: { bytes: body, complete: parts.complete },
    ...(parts.declaredLength === undefined ? {} : { declaredLength: parts.declaredLength }),
    contextExtensions: parts.extensions ?? new Map(),
    sourceAddress: address,
    ...(parts.requestId === undefined ? {} : { requestId: parts.requestId }),
    attributes: () => ({
      source: { address: { socketAddress: { address } } },
      request: {
        http: {
          method,
          path: target,
          host,
          scheme,
          headers: Object.fromEntries([...byName].map(([name, values]) => [name, values.join(',')])),
          ...(body.length === 0 ? {} : { body: new TextDecoder().decode(body) }),
        },
      },
    }),
    headersAreRaw: false,
    capabilities: { queryChanges: true, upstreamHeaders: 'all' },
  };
}

function withContentType({ headers, body }: RequestParts): readonly (readonly [string, string])[] {
  if (body.length === 0 || headers.some(([name]) => name === 'content-type')) return headers;
  return [...headers, ['content-type', 'application/json']];
}
