import type { CoreCode } from './errors.ts';
import type { JsonValue } from './json.ts';

/**
 * One request that a gateway asks about, in the one neutral shape that every door produces.
 * What a door does not know is absent, never invented; nothing here is verified yet.
 */
export interface AccessRequest {
  /** The door's name, as in config and metrics: `ext_authz_grpc`, `ext_authz_http` … */
  readonly door: string;
  readonly method: string;
  /** Path and query exactly as the gateway forwarded them: undecoded, dot segments and all. */
  readonly target: string;
  /** The authority as sent, port and case included; empty when the door was not told. */
  readonly host: string;
  readonly scheme?: string;
  /** `HTTP/1.1`, `HTTP/2` … where the door knows. */
  readonly protocol?: string;
  readonly headers: RequestHeaders;
  readonly body: RequestBody;
  /**
   * The client's declared content-length, when the door is told the client's own and not one of the check request
   * itself (Envoy's HTTP service sends the check's). `malformed` when it was sent and is no plain integer.
   */
  readonly declaredLength?: number | 'malformed';
  /** The direct TCP peer of the gateway (`source.address`), without port. */
  readonly sourceAddress?: string;
  /** The peer identity that the gateway verified; only from a caller that may be believed. */
  readonly sourcePrincipal?: string;
  /** URL-encoded PEM of the peer's certificate; only from a caller that may be believed. */
  readonly sourceCertificate?: string;
  /**
   * The certificate that the door's own TLS listener verified of whoever connected to it, as PEM: the gateway's, or the
   * client's where no gateway stands in front.
   */
  readonly callerCertificate?: string;
  /** Per-route settings of the gateway; only from a caller that may be believed, else empty. */
  readonly contextExtensions: ReadonlyMap<string, string>;
  /** The request id that the gateway assigned, if any. */
  readonly requestId?: string;
  /** W3C `traceparent` of the caller, unparsed. */
  readonly traceparent?: string;
  /**
   * The gateway's own account of the request, opaque to the core, built only when a policy reads it: what
   * opa-envoy-plugin calls `input.attributes`. `undefined` when the door has none.
   */
  readonly attributes: () => JsonValue | undefined;
  /** Whether `headers` came as `header_map` (raw values), which opa-envoy-plugin does not parse bodies of. */
  readonly headersAreRaw: boolean;
  /** Set by a door whose capabilities are limited; the core asks it before it lets an Allow pass. */
  readonly capabilities: DoorCapabilities;
  /** When the answer is due, in milliseconds from arrival; absent when the caller named no deadline. */
  readonly deadlineMs?: number;
}

/** A request that a door could not turn into an {@link AccessRequest}; it is denied and recorded all the same. */
export interface UnreadableRequest {
  readonly door: string;
  readonly unreadable: { readonly code: CoreCode; readonly cause: string };
  readonly requestId?: string;
}

/** What a door can carry out of an Allow. */
export interface DoorCapabilities {
  readonly queryChanges: boolean;
  /** Names of upstream headers that reach the upstream; `all` where the door's protocol sets any. */
  readonly upstreamHeaders: 'all' | ReadonlySet<string>;
}

/** Read access to headers: names lower case, every value kept in order of arrival. */
export interface RequestHeaders {
  /** All values of a name; empty when absent. */
  all(name: string): readonly string[];
  names(): Iterable<string>;
}

/** `complete` tells whether the gateway vouches that these bytes are the whole body; `undefined`: it did not say. */
export interface RequestBody {
  readonly bytes: Uint8Array;
  readonly complete: boolean | undefined;
}

/** Says that a header which must be single was sent more than once. */
export const REPEATED: unique symbol = Symbol('repeated header');

/** The only value of a header, `undefined` when it is absent, {@link REPEATED} when more than one was sent. */
export function singleHeader(headers: RequestHeaders, name: string): string | undefined | typeof REPEATED {
  const values = headers.all(name);
  return values.length > 1 ? REPEATED : values[0];
}
