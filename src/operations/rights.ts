import { isLoopbackIp, parseListenAddress } from '../listener/address.ts';
import { createFindToken, createIsOwn } from '../listener/own-host.ts';
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
  const isOwn = createIsOwn(hosts);
  const rightsOf = createFindToken(tokens.map(({ sha256, rights }) => ({ sha256, holder: rights })));

  /** A TCP connection that is gone has no remote address either: only where there never is one does that count. */
  function isThisMachine({ remoteAddress }: OperationsCaller): boolean {
    return remoteAddress === undefined ? isUnixSocket : isLoopbackIp(remoteAddress);
  }

  function isLocal(caller: OperationsCaller): boolean {
    return isThisMachine(caller) && isOwn(caller);
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
