import { createHmac } from 'node:crypto';
import { lengthPrefixed, principalKey } from '../decision/charges.ts';
import type { Principal } from '../decision/principal.ts';

/** Where a caller stands in [0, 100) for one candidate: below the percentage, the candidate decides for him. */
export type Share = (principal: Principal) => number;

/**
 * By the verified tenant, else by issuer and subject, under a secret salt: a tenant is wholly in or out, nobody can find
 * or choose his arm, whoever is in at 10 % is in at 50 %, and each candidate begins with others.
 */
export function createShare(salt: string, candidateSha256: string): Share {
  // Requests with one credential share its principal.
  const known = new WeakMap<Principal, number>();
  return (principal) => {
    const before = known.get(principal);
    if (before !== undefined) return before;
    const { tenant } = principal;
    const unit = tenant === undefined ? ['principal', principalKey(principal)] : ['tenant', tenant];
    const digest = createHmac('sha256', salt)
      .update(lengthPrefixed([candidateSha256, ...unit]))
      .digest();
    const share = (digest.readUIntBE(0, 6) / 2 ** 48) * 100;
    known.set(principal, share);
    return share;
  };
}
