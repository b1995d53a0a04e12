import type { AccessRequest, DoorCapabilities } from '../../decision/access-request.ts';
import { RequestFault } from '../../decision/errors.ts';
import type { JsonObject } from '../../decision/json.ts';
import { type RawHeaders, readUtf8, withoutHeaders } from './raw-headers.ts';

export const DOOR = 'ext_authz_http';

/** A check as Node's HTTP parser hands it over, headers read. */
export interface HttpCheck {
  readonly method: string;
  /** The raw request target, latin1. */
  readonly target: string;
  readonly headers: RawHeaders;
  readonly body: Uint8Array;
}

/** What the door knows at start, and when the answer is due. */
export interface ReadingContext {
  /** Begins and ends with a slash. */
  readonly pathPrefix: string;
  readonly capabilities: DoorCapabilities;
  /** Milliseconds from now. */
  readonly deadlineMs: number;
  /** PEM of the certificate that the door's own listener verified of the caller. */
  readonly callerCertificate?: string | undefined;
}

/**
 * A check of Envoy's HTTP service as the neutral shape; throws a `RequestFault` when it is none. Connection, identity
 * of the peer, extensions, metadata, scheme, protocol and the client's own content-length do not travel this way and
 * are absent.
 */
export function toAccessRequest(check: HttpCheck, context: ReadingContext): AccessRequest {
  const target = originalTarget(check.target, context.pathPrefix);
  const host = onlyHost(check.headers);
  const complete = bodyComplete(check.headers);
  const headers = withoutHeaders(check.headers, NOT_THE_CLIENTS);
  const requestId = onlyText(headers, 'x-request-id');
  const traceparent = onlyText(headers, 'traceparent');
  const { method, body } = check;
  const { callerCertificate } = context;
  return {
    door: DOOR,
    method,
    target,
    host,
    headers,
    body: { bytes: body, complete },
    contextExtensions: NO_EXTENSIONS,
    attributes: () => attributesOf(method, target, host, headers, body),
    headersAreRaw: false,
    capabilities: context.capabilities,
    deadlineMs: context.deadlineMs,
    ...(requestId === undefined ? {} : { requestId }),
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(callerCertificate === undefined ? {} : { callerCertificate }),
  };
}

/**
 * The client's own path and query: what follows the prefix in the raw target, with the prefix's last slash. Compared
 * byte for byte and never resolved: Envoy forwards `/ext-authz/../x`, whose original path is `/../x`.
 */
export function originalTarget(rawTarget: string, pathPrefix: string): string {
  if (!rawTarget.startsWith(pathPrefix)) {
    throw new RequestFault('malformed_request', `the request target is outside \`${pathPrefix}\``);
  }
  return readUtf8(rawTarget.slice(pathPrefix.length - 1));
}

/**
 * The smaller of the configured deadline and the one that Envoy names for this check, in milliseconds. A deadline that
 * cannot be read is a `RequestFault`: answering after Envoy's own timer would be an error there, not a denial.
 */
export function callerDeadlineMs(headers: RawHeaders, configuredMs: number): number {
  const values = headers.all('x-envoy-expected-rq-timeout-ms');
  if (values.length === 0) return configuredMs;
  const [value] = values;
  if (values.length > 1 || value === undefined || !MILLISECONDS.test(value)) {
    throw new RequestFault('malformed_request', '`x-envoy-expected-rq-timeout-ms` is not one number of milliseconds');
  }
  return Math.min(configuredMs, Number(value));
}

const MILLISECONDS = /^[0-9]{1,9}$/;

/**
 * Headers of the check itself, or (`x-forwarded-client-cert`) never believed over this protocol. content-length is
 * the check's own, 0 for a large body that Envoy did not buffer, and `x-envoy-internal` speaks of the check too.
 */
const NOT_THE_CLIENTS: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'expect',
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-internal',
  'x-forwarded-client-cert',
]);

const NO_EXTENSIONS: ReadonlyMap<string, string> = new Map();

function onlyHost(headers: RawHeaders): string {
  const values = headers.all('host');
  const [host] = values;
  if (values.length !== 1 || host === undefined) {
    throw new RequestFault('malformed_request', `${values.length} \`host\` headers instead of one`);
  }
  return host;
}

/** Envoy strips a client's own copy of this header, so it is Envoy that speaks; it speaks once. */
function bodyComplete(headers: RawHeaders): boolean | undefined {
  const values = headers.all('x-envoy-auth-partial-body');
  if (values.length === 0) return undefined;
  if (values.length === 1 && values[0] === 'false') return true;
  if (values.length === 1 && values[0] === 'true') return false;
  throw new RequestFault('malformed_request', '`x-envoy-auth-partial-body` is neither `true` nor `false`');
}

function onlyText(headers: RawHeaders, name: string): string | undefined {
  const values = headers.all(name);
  return values.length === 1 ? values[0] : undefined;
}

/** In opa-envoy-plugin's shape, with what travelled and nothing else: empty parts are left out, as there. */
function attributesOf(method: string, path: string, host: string, headers: RawHeaders, body: Uint8Array): JsonObject {
  // Named by the caller, so without a prototype for `__proto__` to reach.
  const joined: Record<string, string> = Object.create(null);
  let empty = true;
  for (const [name, values] of headers.entries()) {
    joined[name] = values.join(',');
    empty = false;
  }
  return {
    request: {
      http: {
        method,
        path,
        ...(host === '' ? {} : { host }),
        ...(empty ? {} : { headers: joined }),
        ...bodyAttribute(body),
      },
    },
  };
}

/** `body` is text on Envoy's wire; bytes that are no text travel as `rawBody`, padded base64, there as here. */
function bodyAttribute(bytes: Uint8Array): JsonObject {
  if (bytes.length === 0) return {};
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    return { body: strictUtf8.decode(bytes) };
  } catch {
    return { rawBody: buffer.toString('base64') };
  }
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
