import { isObject } from '../decision/json.ts';
import { CredentialFault } from './credential-fault.ts';
import { parseStrictJson } from './strict-json.ts';

/** A JWS in compact form, taken apart; proves nothing until its signature is verified. */
export interface CompactJws {
  readonly algorithm: string;
  readonly kid: string | undefined;
  /** The media type of `typ`, lower case and without `application/`. */
  readonly type: string | undefined;
  readonly payload: JsonMembers;
}

/** Header and payload of a JWS in compact form, before anything is made of their members. */
export interface JwsParts {
  readonly header: JsonMembers;
  readonly payload: JsonMembers;
}

export type JsonMembers = { readonly [name: string]: unknown };

/**
 * Reads an access token: a compact JWS with a header of nothing but `alg`, `typ`, `kid` and certificate thumbprints, so
 * that it can neither bring nor name the key it is verified with. Throws {@link CredentialFault}.
 */
export function parseCompactJws(token: string): CompactJws {
  const { header, payload } = readCompactJws(token);
  return { ...parseHeader(header), payload };
}

/**
 * Takes a JWS compact serialisation (RFC 7515 §7.1) apart, strictly: three canonical base64url parts, valid UTF-8, JSON
 * objects without duplicate keys, a signature. The header's members are for the caller to judge. Throws
 * {@link CredentialFault}.
 */
export function readCompactJws(token: string): JwsParts {
  const parts = token.split('.', 6);
  if (parts.length === 5) throw new CredentialFault('the token is encrypted (JWE), not signed');
  const [header, payload, signature] = parts;
  if (parts.length !== 3 || header === undefined || payload === undefined || signature === undefined) {
    throw new CredentialFault('the token is no JWS in compact form');
  }
  if (decode(signature, 'signature').length === 0) throw new CredentialFault('the token has no signature');
  return { header: parseObject(header, 'header'), payload: parseObject(payload, 'payload') };
}

/** Whether a token has the three parts of a signed JWT; one that has not is opaque, and for its issuer to explain. */
export function hasJwsForm(token: string): boolean {
  const first = token.indexOf('.');
  const second = token.indexOf('.', first + 1);
  return first !== -1 && second !== -1 && token.indexOf('.', second + 1) === -1;
}

function decode(part: string, name: string): Buffer {
  const bytes = Buffer.from(part, 'base64url');
  // RFC 7515 §2: no padding, no whitespace; the re-encoding also catches stray trailing bits and foreign characters.
  if (bytes.toString('base64url') !== part) throw new CredentialFault(`the token's ${name} is no canonical base64url`);
  return bytes;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function parseObject(part: string, name: string): JsonMembers {
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
const MAX_KID_LENGTH = 256;

function parseHeader(header: JsonMembers): Omit<CompactJws, 'payload'> {
  for (const name of Object.keys(header)) {
    if (!HEADER_MEMBERS.has(name)) throw new CredentialFault('the token header has a member that is not accepted');
  }
  const { alg } = header;
  if (typeof alg !== 'string') throw new CredentialFault('the token header names no algorithm');
  return { algorithm: alg, kid: parseKid(header), type: parseType(header) };
}

function parseKid(header: JsonMembers): string | undefined {
  if (!Object.hasOwn(header, 'kid')) return undefined;
  const { kid } = header;
  if (typeof kid !== 'string' || kid.length > MAX_KID_LENGTH) {
    throw new CredentialFault('the token has no usable `kid`');
  }
  return kid;
}

function parseType(header: JsonMembers): string | undefined {
  if (!Object.hasOwn(header, 'typ')) return undefined;
  const { typ } = header;
  if (typeof typ !== 'string') throw new CredentialFault('the token is of a type that is not accepted');
  return mediaType(typ);
}

/** RFC 7515 §4.1.9: `application/` may be left out where no other `/` follows; case does not count. */
export function mediaType(typ: string): string {
  const type = typ.toLowerCase();
  return type.startsWith(PREFIX) && !type.includes('/', PREFIX.length) ? type.slice(PREFIX.length) : type;
}

const PREFIX = 'application/';
