import { createHash, timingSafeEqual } from 'node:crypto';
import { isLoopbackIp } from './address.ts';

/** What is looked at of a request: headers as they came, every value. */
export interface AddressedRequest {
  /** `undefined` on a unix socket, and when the connection is gone. */
  readonly localAddress: string | undefined;
  readonly hosts: readonly string[];
  readonly origins: readonly string[];
}

/**
 * Whether a request is addressed to us by a name of ours (beside `localhost` and the address that was called) and comes
 * from no foreign web page: a browser that was led here by DNS rebinding sends the attacker's name as `Host`, one on a
 * foreign page an `Origin`.
 */
export function createIsOwn(hosts: readonly string[] = []): (request: AddressedRequest) => boolean {
  const names: ReadonlySet<string> = new Set(['localhost', ...hosts]);
  return (request) => {
    const [host] = request.hosts;
    if (request.hosts.length !== 1 || host === undefined) return false;
    const name = hostName(host);
    if (name === undefined || !(names.has(name) || isLoopbackIp(name) || name === plainIp(request.localAddress))) {
      return false;
    }
    const lower = host.toLowerCase();
    return request.origins.every((origin) => origin === `http://${lower}` || origin === `https://${lower}`);
  };
}

/**
 * Finds whose bearer token (RFC 6750 §2.1) was presented, of those whose SHA-256 is known; every known one is compared,
 * each in constant time.
 */
export function createFindToken<Holder>(
  known: readonly { readonly sha256: string; readonly holder: Holder }[],
): (authorizations: readonly string[]) => Holder | undefined {
  const digests = known.map(({ sha256, holder }) => ({ digest: Buffer.from(sha256, 'hex'), holder }));
  return (authorizations) => {
    const [value] = authorizations;
    const token = authorizations.length === 1 && value !== undefined ? BEARER.exec(value)?.[1] : undefined;
    if (token === undefined) return undefined;
    const presented = createHash('sha256').update(token).digest();
    let found: Holder | undefined;
    for (const { digest, holder } of digests) if (timingSafeEqual(digest, presented)) found = holder;
    return found;
  };
}

const BEARER = /^Bearer ([A-Za-z0-9._~+/-]{1,1024}=*)$/i;
const HOST = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9A-Za-z.-]{1,253}))(?::[0-9]{1,5})?$/;

/** The name in a `Host` header, lower case, without port and brackets. */
function hostName(host: string): string | undefined {
  const match = HOST.exec(host);
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}

/** An IPv4 address as it is written, where Node prints it mapped into IPv6. */
function plainIp(ip: string | undefined): string | undefined {
  const lower = ip?.toLowerCase();
  return lower?.startsWith('::ffff:') ? lower.slice('::ffff:'.length) : lower;
}
