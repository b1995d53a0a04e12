import {
  type AccessRequest,
  type DoorCapabilities,
  REPEATED,
  type RequestHeaders,
  singleHeader,
  type UnreadableRequest,
} from '../../decision/access-request.ts';
import type { JsonValue } from '../../decision/json.ts';
import type { CallContext } from '../../listener/unary-method.ts';
import { WireFault } from '../../listener/wire-fault.ts';
import { clearField, fieldOf, textOf, type WireMessage } from '../../listener/wire-message.ts';
import { readMessage } from '../../listener/wire-reader.ts';
import { toAttributes } from './attributes.ts';
import {
  Address,
  AttributeContext,
  CheckRequest,
  HeaderMap,
  HeaderValue,
  HttpRequest,
  Peer,
  Request,
  SocketAddress,
} from './check-request.ts';
import { fromHeaderMap, fromHeaders } from './wire-headers.ts';

export const DOOR = 'ext_authz_grpc';

/** Reads the bytes of an `envoy.service.auth.v3.CheckRequest`; what cannot be read is `malformed_request`. */
export function toAccessRequest(bytes: Uint8Array, context: CallContext): AccessRequest | UnreadableRequest {
  try {
    return fromAttributes(readAttributes(bytes), context);
  } catch (error) {
    if (!(error instanceof WireFault)) throw error;
    return { door: DOOR, unreadable: { code: 'malformed_request', cause: error.message } };
  }
}

/** The `attributes` of a CheckRequest as they were sent. Throws a {@link WireFault}, also when there are none. */
export function readAttributes(bytes: Uint8Array): WireMessage {
  const attributes = fieldOf(readMessage(bytes, CheckRequest.table), CheckRequest.fields.attributes);
  if (attributes === undefined) throw new WireFault('`CheckRequest.attributes` is missing');
  return attributes;
}

const CAPABILITIES: DoorCapabilities = { queryChanges: true, upstreamHeaders: 'all' };

function fromAttributes(attributes: WireMessage, context: CallContext): AccessRequest {
  const { source, request, contextExtensions } = AttributeContext.fields;
  const http = fieldOf(fieldOf(attributes, request), Request.fields.http);
  if (http === undefined) throw new WireFault('`AttributeContext.request.http` is missing');
  if (!context.believed) forgetClaims(attributes, http);

  const { method, path, host, scheme, protocol, id } = HttpRequest.fields;
  const { headers, headersAreRaw } = readHeaders(http);
  const access: Mutable<AccessRequest> = {
    door: DOOR,
    method: textOf(http, method),
    target: textOf(http, path),
    host: textOf(http, host),
    headers,
    body: { bytes: bodyBytes(http), complete: bodyComplete(headers) },
    contextExtensions: fieldOf(attributes, contextExtensions) ?? NO_EXTENSIONS,
    attributes: once(() => toAttributes(attributes)),
    headersAreRaw,
    capabilities: CAPABILITIES,
  };
  // Protobuf sends no empty text: an empty one is an absent one.
  const schemeText = textOf(http, scheme);
  if (schemeText !== '') access.scheme = schemeText;
  const protocolText = textOf(http, protocol);
  if (protocolText !== '') access.protocol = protocolText;
  const requestId = onlyValue(headers, 'x-request-id') || textOf(http, id);
  if (requestId !== '') access.requestId = requestId;
  const traceparent = onlyValue(headers, 'traceparent');
  if (traceparent !== '') access.traceparent = traceparent;
  const declared = declaredLength(headers);
  if (declared !== undefined) access.declaredLength = declared;
  const peer = fieldOf(attributes, source);
  if (peer !== undefined) setPeer(access, peer);
  if (context.deadlineMs !== undefined) access.deadlineMs = context.deadlineMs;
  if (context.callerCertificate !== undefined) access.callerCertificate = context.callerCertificate;
  return access;
}

type Mutable<T> = { -readonly [key in keyof T]: T[key] };

function setPeer(access: Mutable<AccessRequest>, peer: WireMessage): void {
  const address = socketAddress(peer);
  if (address !== '') access.sourceAddress = address;
  const principal = textOf(peer, Peer.fields.principal);
  if (principal !== '') access.sourcePrincipal = principal;
  const certificate = textOf(peer, Peer.fields.certificate);
  if (certificate !== '') access.sourceCertificate = certificate;
}

const NO_EXTENSIONS: ReadonlyMap<string, string> = new Map();
const NO_BYTES = new Uint8Array();
const XFCC = 'x-forwarded-client-cert';
const PARTIAL_BODY = 'x-envoy-auth-partial-body';
const PLAIN_INTEGER = /^[0-9]{1,15}$/;

/**
 * Drops what only a believed caller may say. INVARIANT: it is dropped from the message itself, before anything is
 * taken out of it, so that the neutral request and `attributes` cannot differ.
 */
function forgetClaims(attributes: WireMessage, http: WireMessage): void {
  const { source, destination, contextExtensions, metadataContext, routeMetadataContext, tlsSession } =
    AttributeContext.fields;
  clearField(attributes, contextExtensions);
  clearField(attributes, metadataContext);
  clearField(attributes, routeMetadataContext);
  clearField(attributes, tlsSession);
  for (const side of [source, destination]) {
    const peer = fieldOf(attributes, side);
    clearField(peer, Peer.fields.principal);
    clearField(peer, Peer.fields.certificate);
  }
  const headers = fieldOf(http, HttpRequest.fields.headers);
  for (const name of headers?.keys() ?? []) if (name.toLowerCase() === XFCC) headers?.delete(name);
  const headerMap = fieldOf(http, HttpRequest.fields.headerMap);
  const sent = fieldOf(headerMap, HeaderMap.fields.headers);
  if (headerMap === undefined || sent === undefined) return;
  const kept = sent.filter((header) => textOf(header, HeaderValue.fields.key).toLowerCase() !== XFCC);
  headerMap.values[HeaderMap.fields.headers.slot] = kept.length === 0 ? undefined : kept;
}

function readHeaders(http: WireMessage): { headers: RequestHeaders; headersAreRaw: boolean } {
  const headers = fieldOf(http, HttpRequest.fields.headers);
  const headerMap = fieldOf(http, HttpRequest.fields.headerMap);
  if (headerMap === undefined) return { headers: fromHeaders(headers ?? NO_EXTENSIONS), headersAreRaw: false };
  // Envoy fills one or the other; with both it would be open which of them the upstream gets.
  if (headers !== undefined) throw new WireFault('`HttpRequest` has both `headers` and `header_map`');
  return { headers: fromHeaderMap(headerMap), headersAreRaw: true };
}

/** `body` wins over `raw_body`, as in opa-envoy-plugin; Envoy sends one of them. */
function bodyBytes(http: WireMessage): Uint8Array {
  const body = fieldOf(http, HttpRequest.fields.body);
  if (body !== undefined && body.length > 0) return body;
  return fieldOf(http, HttpRequest.fields.rawBody) ?? NO_BYTES;
}

/** Envoy says so in a header of its own, of which it strips a client's copy. */
function bodyComplete(headers: RequestHeaders): boolean | undefined {
  const partial = singleHeader(headers, PARTIAL_BODY);
  if (partial === undefined) return undefined;
  if (partial === 'false') return true;
  if (partial === 'true') return false;
  throw new WireFault(`\`${PARTIAL_BODY}\` is neither \`true\` nor \`false\``);
}

function declaredLength(headers: RequestHeaders): number | 'malformed' | undefined {
  const value = singleHeader(headers, 'content-length');
  if (value === undefined) return undefined;
  return value !== REPEATED && PLAIN_INTEGER.test(value) ? Number(value) : 'malformed';
}

function onlyValue(headers: RequestHeaders, name: string): string {
  const value = singleHeader(headers, name);
  return value === undefined || value === REPEATED ? '' : value;
}

function socketAddress(peer: WireMessage): string {
  const address = fieldOf(peer, Peer.fields.address);
  return textOf(fieldOf(address, Address.fields.socketAddress), SocketAddress.fields.address);
}

/** Builds a value at its first reading and keeps it. */
function once(build: () => JsonValue): () => JsonValue {
  let built: JsonValue | undefined;
  return () => {
    built ??= build();
    return built;
  };
}
