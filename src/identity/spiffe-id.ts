/** An identity of a workload, or of a trust domain itself where `path` is empty. */
export interface SpiffeId {
  /** The whole text, which is also its one canonical spelling. */
  readonly id: string;
  readonly trustDomain: string;
  /** Empty, or segments that each begin with `/`. */
  readonly path: string;
}

/**
 * Parses a SPIFFE ID by the standard (SPIFFE-ID, section 2): `undefined` for everything that is none, other spellings
 * of the scheme, ports, user info, queries, fragments, percent signs, empty and dot segments included.
 */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  if (text.length > MAX_BYTES) return undefined;
  const match = SPIFFE_ID.exec(text);
  if (match === null || DOT_SEGMENT.test(text)) return undefined;
  const [id, trustDomain = '', path = ''] = match;
  return { id, trustDomain, path };
}

/** Whether a text is a trust domain's name, without scheme (SPIFFE-ID, section 2.1). */
export function isTrustDomain(text: string): boolean {
  return TRUST_DOMAIN.test(text);
}

/** Whether a URI means to be a SPIFFE ID, however it is spelt: then it must be one. */
export function claimsSpiffe(uri: string): boolean {
  return SCHEME.test(uri);
}

/** Every character that a SPIFFE ID may have is one byte long. */
const MAX_BYTES = 2048;
const SPIFFE_ID = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)*)$/;
const DOT_SEGMENT = /\/\.{1,2}(?:\/|$)/;
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;
const SCHEME = /^\s*spiffe:/i;
