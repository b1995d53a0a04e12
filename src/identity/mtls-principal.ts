import type { Peer, Principal } from '../decision/principal.ts';

/**
 * Who asks when nothing but an mTLS identity was presented: a service, without tenant, tier or roles. `undefined` for a
 * peer that is known by its fingerprint only.
 */
export function toMtlsPrincipal({ spiffeId, dnsSans, subject }: Peer): Principal | undefined {
  const name = spiffeId ?? dnsSans[0] ?? subject;
  if (name === undefined) return undefined;
  return {
    kind: 'mtls',
    subject: name,
    roles: NOTHING,
    scopes: NOTHING,
    claims: NO_CLAIMS,
    credentials: CREDENTIALS,
    demo: false,
  };
}

const NOTHING: readonly string[] = Object.freeze([]);
const NO_CLAIMS = Object.freeze({});
const CREDENTIALS: Principal['credentials'] = Object.freeze([Object.freeze({ kind: 'mtls' as const })]);
