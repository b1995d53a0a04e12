import { isObject } from '../decision/json.ts';
import { CredentialFault } from './credential-fault.ts';
import { parseStrictJson } from './strict-json.ts';

/** A JWS in compact form, taken apart; proves nothing until its signature is verified. */
export interface CompactJws {
  readonly algorithm: string;
  readonly kid: string | undefined;
  readonly payload: { readonly [name: string]: unknown };
}

/**
 * Takes a JWS compact serialisation (RFC 7515 §7.1) apart, strictly: three canonical base64url parts, valid UTF-8,
 * JSON objects without duplicate keys, and a header of nothing but `alg`, `typ`, `kid` and certificate thumbprints, so
 * that a token can neither bring nor name the key it is verified with. Throws {@link CredentialFault}.
 */
export function parseCompactJws(token: string): CompactJws {
  const parts = token.split('.', 6);
  if (parts.length === 5) throw new CredentialFault('the token is encrypted (JWE), not signed');
  const [header, payload, signature] = parts;
  if (parts.length !== 3 || header === undefined || payload === undefined || signature === undefined) {
    throw new CredentialFault('the token is no JWS in compact form');
  }
  if (decode(signature, 'signature').length === 0) throw new CredentialFault('the token has no signature');
  const { algorithm, kid } = parseHeader(parseObject(header, 'header'));
  return { algorithm, kid, payload: parseObject(payload, 'payload') };
}

function decode(part: string, name: string): Buffer {
  const bytes = Buffer.from(part, 'base64url');
  // RFC 7515 §2: no padding, no whitespace; the re-encoding also catches stray trailing bits and foreign characters.
  if (bytes.toString('base64url') !== part) throw new CredentialFault(`the token's ${name} is no canonical base64url`);
  return bytes;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function parseObject(part: string, name: string): { readonly [name: string]: unknown } {
  const bytes = decode(part, name);
  let value: unknown;
  try {
    value = parseStrictJson(utf8.decode(bytes));
  } catch {
    throw new CredentialFault(`the token's ${name} is no strict JSON`);
  }
  if (!isObject(value)) throw new CredentialFault(`the token's ${name} is no JSON object`);
  return value;
}

/** Thumbprints are tolerated because issuers send them; they are not looked at. */
const HEADER_MEMBERS = new Set(['alg', 'typ', 'kid', 'x5t', 'x5t#S256']);
/** RFC 8725 §3.11: a JWT made for another purpose (logout, DPoP, secevent …) says so here. */
const TOKEN_TYPES = new Set(['jwt', 'at+jwt', 'application/jwt', 'application/at+jwt']);
const MAX_KID_LENGTH = 256;

function parseHeader(header: { readonly [name: string]: unknown }): { algorithm: string; kid: string | undefined } {
  for (const name of Object.keys(header)) {
    if (!HEADER_MEMBERS.has(name)) throw new CredentialFault('the token header has a member that is not accepted');
  }
  const { alg, typ, kid } = header;
  if (typeof alg !== 'string') throw new CredentialFault('the token header names no algorithm');
  if (Object.hasOwn(header, 'typ') && (typeof typ !== 'string' || !TOKEN_TYPES.has(typ.toLowerCase()))) {
    throw new CredentialFault('the token is of a type that is not accepted');
  }
  if (!Object.hasOwn(header, 'kid')) return { algorithm: alg, kid: undefined };
  if (typeof kid !== 'string' || kid.length > MAX_KID_LENGTH)
    throw new CredentialFault('the token has no usable `kid`');
  return { algorithm: alg, kid };
}
