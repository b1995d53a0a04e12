import type { Authentication } from '../decision/principal.ts';
import { CredentialFault } from './credential-fault.ts';

export type Refused = Extract<Authentication, { readonly kind: 'refused' }>;

/** RFC 6750 §3.1; the same for every fault, so that it tells nothing about what was wrong. */
export const INVALID_TOKEN = 'Bearer error="invalid_token"';

/** A bearer token that does not hold; where nobody can say so, there is nothing to challenge. */
export function refuseToken(cause: string, code: CredentialFault['code'] = 'invalid_credential'): Refused {
  if (code === 'issuer_unavailable') return { kind: 'refused', code, cause };
  return { kind: 'refused', code, cause, challenge: INVALID_TOKEN };
}

/** The refusal that a fault of a token is; rethrows what is none. */
export function toTokenRefusal(error: unknown): Refused {
  if (error instanceof CredentialFault) return refuseToken(error.message, error.code);
  throw error;
}
