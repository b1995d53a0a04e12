import type { CoreCode } from './errors.ts';
import type { JsonValue } from './json.ts';

/** Who asks, proven: every field comes from a credential that was verified for this request. */
export interface Principal {
  readonly kind: 'jwt' | 'api_key' | 'mtls';
  readonly subject?: string;
  readonly issuer?: string;
  readonly tenant?: string;
  readonly tier?: string;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  readonly claims: { readonly [name: string]: JsonValue };
  readonly keyId?: string;
  /** The models that the credential itself is good for; absent when it names none, which limits nothing. */
  readonly models?: readonly string[];
  readonly credentials: readonly Credential[];
  /** From the demo issuer: counted and logged as such. */
  readonly demo: boolean;
}

/** One verified credential; `presented` is the secret text itself and never leaves the process. */
export interface Credential {
  readonly kind: 'jwt' | 'api_key' | 'mtls';
  readonly issuer?: string;
  readonly keyId?: string;
  /** The header that carried it, and the header's whole value: masked wherever input or events are written. */
  readonly header?: string;
  readonly presented?: string;
}

/**
 * The mTLS identity of the last hop, where one may be believed. A SPIFFE ID of a configured trust domain, DNS names and
 * a subject are kept apart: none of them is ever read as another.
 */
export interface Peer {
  readonly spiffeId?: string;
  readonly trustDomain?: string;
  readonly dnsSans: readonly string[];
  /** RFC 4514 text of the certificate's subject, where that is all there is. */
  readonly subject?: string;
  /** SHA-256 of the certificate's DER, lower-case hex. */
  readonly fingerprintSha256?: string;
}

/**
 * What the identity step found. `anonymous`: no credential was presented. `refused`: one was and it does not hold;
 * that ends the request, it never falls back to anonymous.
 */
export type Authentication =
  | {
      readonly kind: 'verified';
      readonly principal: Principal;
      readonly peer: Peer | null;
      /** Credential headers that must not reach the upstream. */
      readonly stripHeaders: readonly string[];
    }
  | { readonly kind: 'anonymous'; readonly peer: Peer | null; readonly stripHeaders: readonly string[] }
  | {
      readonly kind: 'refused';
      readonly code: Extract<CoreCode, 'invalid_credential' | 'issuer_unavailable' | 'malformed_request'>;
      /** For logs: names the fault, never the token. */
      readonly cause: string;
      /** RFC 6750 §3 challenge parameters for `WWW-Authenticate`. */
      readonly challenge?: string;
      /** The id of an existing key that was presented with a wrong secret, or in a state that refuses it. */
      readonly keyId?: string;
      /** The verified peer, when it was the credential beside it that did not hold. */
      readonly peer?: Peer;
    };
