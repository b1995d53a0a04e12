import { lengthPrefixed, principalKey } from '../decision/charges.ts';
import type { Principal } from '../decision/principal.ts';

/** Whose vote a compared request is: everything here was verified. */
export interface Voter {
  /** The tenant; of those without one, the issuer. */
  readonly group: string;
  readonly hasTenant: boolean;
  readonly principal: string;
}

export function voterOf(principal: Principal): Voter {
  const known = VOTERS.get(principal);
  if (known !== undefined) return known;
  const { tenant, issuer = '', kind } = principal;
  const hasTenant = tenant !== undefined;
  const group = hasTenant ? lengthPrefixed(['tenant', tenant]) : lengthPrefixed(['issuer', kind, issuer]);
  const voter = { group, hasTenant, principal: principalKey(principal) };
  VOTERS.set(principal, voter);
  return voter;
}

/** Requests with one credential share its principal. */
const VOTERS = new WeakMap<Principal, Voter>();
