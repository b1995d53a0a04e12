import { createHash, timingSafeEqual } from 'node:crypto';
import { isLoopbackIp, parseListenAddress } from '../listener/address.ts';
import { OPEN_ON_LOOPBACK, type OperationsConfig, type OperationsRight } from './config.ts';

/** What is looked at of a request: headers as they came, every value. */
export interface OperationsCaller {
  /** `undefined` on a unix socket, and when the connection is gone. */
  readonly remoteAddress: string | undefined;
  readonly localAddress: string | undefined;
  readonly hosts: readonly string[];
  readonly origins: readonly string[];
  readonly authorizations: readonly string[];
}

export interface Rights {
  /** Whether the caller's address is this machine's own; says nothing of who leads the caller. */
  isThisMachine(caller: OperationsCaller): boolean;
  /** Whether the caller is on this machine and is no web page that a browser here was lured into. */
  isLocal(caller: OperationsCaller): boolean;
  /** `foreign`: addressed under a name that is not ours, or by a web page. `unauthenticated`: no token that we know. */
  judge(caller: OperationsCaller, right: OperationsRight): 'granted' | 'unauthenticated' | 'forbidden' | 'foreign';
  /** Whether the request is addressed to us by a name of ours and comes from no foreign web page. */
  isOwn(caller: OperationsCaller): boolean;
}

/**
 * Who may see and do what. Position counts (metrics are open to loopback), so names have to be checked: a browser on this machine that
 * was led here by DNS rebinding sends the attacker's name as `Host`, one on a foreign page an `Origin`.
 */
export function createRights({
  listen,
  tokens = [],
  hosts = [],
}: Pick<OperationsConfig, 'listen' | 'tokens' | 'hosts'>): Rights {
  const isUnixSocket = parseListenAddress(listen).kind === 'unix';
  const names: ReadonlySet<string> = new Set(['localhost', ...hosts]);
  const known = tokens.map(({ sha256, rights }) => ({ digest: Buffer.from(sha256, 'hex'), rights }));

  function isOwn(caller: OperationsCaller): boolean {
    const [host] = caller.hosts;
    if (caller.hosts.length !== 1 || host === undefined) return false;
    const name = hostName(host);
    if (name === undefined || !(names.has(name) || isLoopbackIp(name) || name === plainIp(caller.localAddress))) {
      return false;
    }
    const lower = host.toLowerCase();
    return caller.origins.every((origin) => origin === `http://${lower}` || origin === `https://${lower}`);
  }

  /** A TCP connection that is gone has no remote address either: only where there never is one does that count. */
  function isThisMachine({ remoteAddress }: OperationsCaller): boolean {
    return remoteAddress === undefined ? isUnixSocket : isLoopbackIp(remoteAddress);
  }

  function isLocal(caller: OperationsCaller): boolean {
    return isThisMachine(caller) && isOwn(caller);
  }

  /** The rights of the presented token; every known one is compared, each in constant time. */
  function rightsOf(authorizations: readonly string[]): readonly OperationsRight[] | undefined {
    const [value] = authorizations;
    const token = authorizations.length === 1 && value !== undefined ? BEARER.exec(value)?.[1] : undefined;
    if (token === undefined) return undefined;
    const presented = createHash('sha256').update(token).digest();
    let found: readonly OperationsRight[] | undefined;
    for (const { digest, rights } of known) if (timingSafeEqual(digest, presented)) found = rights;
    return found;
  }

  return {
    isOwn,
    isThisMachine,
    isLocal,
    judge(caller, right) {
      if (!isOwn(caller)) return 'foreign';
      if (OPEN_ON_LOOPBACK.has(right) && isLocal(caller)) return 'granted';
      const rights = rightsOf(caller.authorizations);
      if (rights === undefined) return 'unauthenticated';
      return rights.includes(right) ? 'granted' : 'forbidden';
    },
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
