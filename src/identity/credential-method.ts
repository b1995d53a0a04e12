import type { AccessRequest } from '../decision/access-request.ts';
import type { Instant } from '../decision/ports.ts';
import type { Authentication, Peer } from '../decision/principal.ts';

/** One way to prove who asks: a bearer token now, API keys and client certificates beside it. */
export interface CredentialMethod {
  /**
   * `undefined` when the request presents no credential of this kind; never throws for a bad one. `peer` is the verified
   * mTLS identity of this very request, found before: what a bound credential must match.
   */
  authenticate(request: AccessRequest, at: Instant, peer?: Peer | null): Found | Promise<Found>;
  /** Resolves when the first attempt to load what it verifies with is over, well or not. */
  start(): Promise<void>;
  stop(): void;
  /** What keeps it from verifying at this moment, a line each. */
  faults(at: Instant): readonly string[];
}

export type Found = Exclude<Authentication, { readonly kind: 'anonymous' }> | undefined;
