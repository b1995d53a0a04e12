import type { AccessRequest } from '../decision/access-request.ts';

/**
 * An `http` or `https` URI without query and fragment, such that equal ones are written alike (RFC 3986 §6.2.2, §6.2.3):
 * case of scheme, host and escapes, needless escapes, the scheme's own port, an empty path. Dot segments stay, because
 * what stands behind may not resolve them. `undefined` for anything else.
 */
export function normaliseTarget(text: string): string | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const [, scheme, host, port, path] = TARGET.exec(text) ?? [];
  if (scheme === undefined || host === undefined || path === undefined) return undefined;
  const lowScheme = scheme.toLowerCase();
  const authority =
    port === undefined || Number(port) === DEFAULT_PORTS.get(lowScheme) ? host : `${host}:${Number(port)}`;
  const normalPath = path === '' ? '/' : path.replace(ESCAPE, normaliseEscape);
  return `${lowScheme}://${authority.toLowerCase()}${normalPath}`;
}

/**
 * The target of the request as its client must have named it: below `publicUrl` where that is set, else by the scheme
 * and host that the gateway tells. `undefined` when they are not known, or the request has no such target.
 */
export function requestTarget(
  { scheme, host, target }: Pick<AccessRequest, 'scheme' | 'host' | 'target'>,
  publicUrl: string | undefined,
): string | undefined {
  const path = target.split('?', 1)[0] ?? '';
  if (!path.startsWith('/')) return undefined;
  if (publicUrl !== undefined) return normaliseTarget(publicUrl.replace(/\/$/, '') + path);
  if (scheme === undefined || host === '') return undefined;
  return normaliseTarget(`${scheme}://${host}${path}`);
}

const MAX_LENGTH = 16_384;

/** RFC 3986 §3: host names, IPv4 and IPv6 addresses, without user information; a path of its own characters only. */
const TARGET =
  /^(https?):\/\/([A-Za-z0-9._~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?((?:\/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?)$/i;

const DEFAULT_PORTS: ReadonlyMap<string, number> = new Map([
  ['http', 80],
  ['https', 443],
]);

const ESCAPE = /%[0-9A-Fa-f]{2}/g;
const UNRESERVED = /^[A-Za-z0-9._~-]$/;

function normaliseEscape(sequence: string): string {
  const character = String.fromCharCode(Number.parseInt(sequence.slice(1), 16));
  return UNRESERVED.test(character) ? character : sequence.toUpperCase();
}
