import type { AccessRequest } from '../decision/access-request.ts';
import { isObject } from '../decision/json.ts';
import type { Instant } from '../decision/ports.ts';
import type { Peer } from '../decision/principal.ts';
import { CredentialFault } from './credential-fault.ts';

/** What the presenter of a token must prove beside it (RFC 7800 `cnf`); everything that is there must hold. */
export interface Confirmation {
  /** RFC 8705 `x5t#S256`, as lower-case hex: the client certificate that the request's own connection must show. */
  readonly certificateSha256?: string;
  /** RFC 9449 `jkt`, as in the token: the thumbprint of the key that signs the DPoP proof. */
  readonly jkt?: string;
}

/** Why the presenter of a token that is bound to a key did not prove to have it. */
export interface ConfirmationFault {
  /** For logs: names the fault, never the proof. */
  readonly cause: string;
  /** The `WWW-Authenticate` challenge; that of a bad token where there is none. */
  readonly challenge?: string;
}

/**
 * Judges a token with `jkt`, whose own signature and times hold: `undefined` when the request proves the key. Asked
 * once for every request, also for a token that is remembered, after everything else was judged.
 */
export type Confirm = (
  confirmation: Confirmation,
  request: AccessRequest,
  token: string,
  at: Instant,
) => Confirmed | Promise<Confirmed>;

export type Confirmed = ConfirmationFault | undefined;

/**
 * Reads a `cnf` claim: `undefined` when there is none. An empty one, or one with a member that is not understood, throws
 * {@link CredentialFault}: a token that is bound must never pass as one that is not.
 */
export function parseConfirmation(cnf: unknown): Confirmation | undefined {
  if (cnf === undefined) return undefined;
  if (!isObject(cnf)) throw new CredentialFault('`cnf` is no object');
  let confirmation: Confirmation | undefined;
  for (const [member, value] of Object.entries(cnf)) {
    switch (member) {
      case 'x5t#S256':
        confirmation = { ...confirmation, certificateSha256: thumbprint(value).toString('hex') };
        break;
      case 'jkt':
        confirmation = { ...confirmation, jkt: thumbprint(value).toString('base64url') };
        break;
      default:
        throw new CredentialFault('the token is bound by a `cnf` of a kind that is not known');
    }
  }
  if (confirmation === undefined) throw new CredentialFault('`cnf` is empty');
  return Object.freeze(confirmation);
}

/** Why the verified peer is not the one that the token is bound to (RFC 8705 §3), `undefined` when it is or need not be. */
export function certificateFault({ certificateSha256 }: Confirmation, peer: Peer | null): string | undefined {
  if (certificateSha256 === undefined) return undefined;
  const shown = peer?.fingerprintSha256;
  if (shown === undefined) return 'the token is bound to a client certificate and none was shown';
  return shown === certificateSha256 ? undefined : 'the token is bound to another client certificate';
}

const SHA256_BYTES = 32;

function thumbprint(value: unknown): Buffer {
  if (typeof value !== 'string') throw new CredentialFault('a thumbprint in `cnf` is no text');
  const bytes = Buffer.from(value, 'base64url');
  if (bytes.length !== SHA256_BYTES || bytes.toString('base64url') !== value) {
    throw new CredentialFault('a thumbprint in `cnf` is no SHA-256 in canonical base64url');
  }
  return bytes;
}
