import { REPEATED, type RequestHeaders, singleHeader } from '../decision/access-request.ts';
import { CredentialFault } from './credential-fault.ts';

/** The header's whole value and the token in it, as presented: nothing is verified. */
export interface Bearer {
  readonly header: string;
  readonly token: string;
  /** Whether the scheme was `DPoP`: the token is presented as one that is bound to a key. */
  readonly dpop: boolean;
}

/**
 * Reads a bearer token (RFC 6750 §2.1) from `Authorization`: `undefined` when the header is absent. Anything but one
 * `Bearer` credential of at most `maxBytes` throws {@link CredentialFault}, two joined by a comma (Envoy) included. The
 * scheme `DPoP` (RFC 9449 §7.1) is read only where `acceptsDpop`.
 */
export function parseBearer(headers: RequestHeaders, maxBytes: number, acceptsDpop = false): Bearer | undefined {
  const header = singleHeader(headers, 'authorization');
  if (header === undefined) return undefined;
  if (header === REPEATED) throw new CredentialFault('more than one `authorization` header');
  if (header.length > BEARER.length + maxBytes) throw new CredentialFault('the credential is too long');
  if (header.startsWith(USUAL_BEARER) || header.slice(0, BEARER.length).toLowerCase() === BEARER) {
    return { header, token: header.slice(BEARER.length), dpop: false };
  }
  if (acceptsDpop && header.slice(0, DPOP.length).toLowerCase() === DPOP) {
    return { header, token: header.slice(DPOP.length), dpop: true };
  }
  throw new CredentialFault('the `authorization` header is no bearer credential');
}

const BEARER = 'bearer ';
const USUAL_BEARER = 'Bearer ';
const DPOP = 'dpop ';

/** Whether a text is a `token68` (RFC 9110 §11.2): one credential, without comma or white space. */
export function isToken68(text: string): boolean {
  return TOKEN68.test(text);
}

const TOKEN68 = /^[A-Za-z0-9._~+/-]+=*$/;
