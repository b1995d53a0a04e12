import { REPEATED, type RequestHeaders, singleHeader } from '../decision/access-request.ts';
import { CredentialFault } from './credential-fault.ts';

/** The header's whole value and the token in it, as presented: nothing is verified. */
export interface Bearer {
  readonly header: string;
  readonly token: string;
}

/**
 * Reads a bearer token (RFC 6750 §2.1) from `Authorization`: `undefined` when the header is absent. Anything but one
 * `Bearer` credential of at most `maxBytes` throws {@link CredentialFault}, two joined by a comma (Envoy) included.
 */
export function parseBearer(headers: RequestHeaders, maxBytes: number): Bearer | undefined {
  const header = singleHeader(headers, 'authorization');
  if (header === undefined) return undefined;
  if (header === REPEATED) throw new CredentialFault('more than one `authorization` header');
  if (header.length > SCHEME.length + maxBytes) throw new CredentialFault('the credential is too long');
  if (header.slice(0, SCHEME.length).toLowerCase() !== SCHEME) {
    throw new CredentialFault('the `authorization` header is no bearer credential');
  }
  return { header, token: header.slice(SCHEME.length) };
}

const SCHEME = 'bearer ';

/** Whether a text is a `token68` (RFC 9110 §11.2): one credential, without comma or white space. */
export function isToken68(text: string): boolean {
  return TOKEN68.test(text);
}

const TOKEN68 = /^[A-Za-z0-9._~+/-]+=*$/;
