import { hash } from 'node:crypto';

/** RFC 7638 §3: SHA-256, base64url, over the members that make the public key, in the order of their names. */
export function jwkThumbprint(jwk: { readonly [member: string]: string }): string {
  const members = Object.entries(jwk).sort(([a], [b]) => (a < b ? -1 : 1));
  return hash('sha256', JSON.stringify(Object.fromEntries(members)), 'base64url');
}
