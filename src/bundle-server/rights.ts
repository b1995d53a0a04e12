import type { Request } from 'express';
import { type AddressedRequest, createFindToken, createIsOwn } from '../listener/own-host.ts';
import type { BundleServerConfig, BundleServerRight } from './config.ts';

/** What is looked at of a request: headers as they came, every value. */
export interface Caller extends AddressedRequest {
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
  holderOf(caller: Caller): TokenHolder | undefined;
}

/** Names are checked although tokens are demanded: a page in an operator's browser may not even ask. */
export function createRights({ tokens, hosts = [] }: Pick<BundleServerConfig, 'tokens' | 'hosts'>): Rights {
  const findToken = createFindToken(
    tokens.map(({ name, sha256, rights, bundles }) => {
      const covered: ReadonlySet<string> = new Set(bundles);
      const covers = (bundle: string): boolean => covered.has('*') || covered.has(bundle);
      return { sha256, holder: { name, rights, covers } };
    }),
  );
  return {
    isOwn: createIsOwn(hosts),
    holderOf: ({ authorizations }) => findToken(authorizations),
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
