import { createHash, timingSafeEqual } from 'node:crypto';
import type { Request } from 'express';
import { isLoopbackIp } from '../listener/address.ts';
import type { BundleServerConfig, BundleServerRight } from './config.ts';

/** What is looked at of a request: headers as they came, every value. */
export interface Caller {
  readonly localAddress: string | undefined;
  readonly hosts: readonly string[];
  readonly origins: readonly string[];
  readonly authorizations: readonly string[];
}

/** A token that is known. */
export interface TokenHolder {
  readonly name: string;
  readonly rights: readonly BundleServerRight[];
  covers(bundle: string): boolean;
}

export interface Rights {
  /** Whether the request is addressed to us by a name of ours and comes from no foreign web page. */
  isOwn(caller: Caller): boolean;
  /** Whose token it is; every known one is compared, each in constant time. */
  holderOf(caller: Caller): TokenHolder | undefined;
}

/** Names are checked although tokens are demanded: a page in an operator's browser may not even ask. */
export function createRights({ tokens, hosts = [] }: Pick<BundleServerConfig, 'tokens' | 'hosts'>): Rights {
  const names: ReadonlySet<string> = new Set(['localhost', ...hosts]);
  const known = tokens.map(({ name, sha256, rights, bundles }) => {
    const covered: ReadonlySet<string> = new Set(bundles);
    const covers = (bundle: string): boolean => covered.has('*') || covered.has(bundle);
    return { digest: Buffer.from(sha256, 'hex'), holder: { name, rights, covers } };
  });

  return {
    isOwn: (caller) => {
      const [host] = caller.hosts;
      if (caller.hosts.length !== 1 || host === undefined) return false;
      const name = hostName(host);
      if (name === undefined || !(names.has(name) || isLoopbackIp(name) || name === plainIp(caller.localAddress))) {
        return false;
      }
      const lower = host.toLowerCase();
      return caller.origins.every((origin) => origin === `http://${lower}` || origin === `https://${lower}`);
    },
    holderOf: ({ authorizations }) => {
      const [value] = authorizations;
      const token = authorizations.length === 1 && value !== undefined ? BEARER.exec(value)?.[1] : undefined;
      if (token === undefined) return undefined;
      const presented = createHash('sha256').update(token).digest();
      let found: TokenHolder | undefined;
      for (const { digest, holder } of known) if (timingSafeEqual(digest, presented)) found = holder;
      return found;
    },
  };
}

export function callerOf({ socket, headersDistinct }: Request): Caller {
  return {
    localAddress: socket.localAddress,
    hosts: headersDistinct.host ?? [],
    origins: headersDistinct.origin ?? [],
    authorizations: headersDistinct.authorization ?? [],
  };
}

/** RFC 6750 §2.1. */
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
