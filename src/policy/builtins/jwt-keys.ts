import { createPublicKey, createSecretKey, type JsonWebKey, type KeyObject, X509Certificate } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { isObject } from '../../decision/json.ts';
import { FAILED } from './builtin.ts';

export interface VerificationKey {
  /** The algorithm that a key set declares for it. */
  readonly alg: string | undefined;
  readonly kid: string | undefined;
  readonly key: KeyObject;
}

export const ALGORITHMS: ReadonlySet<string> = new Set(
  ['RS', 'PS', 'ES', 'HS'].flatMap((family) => ['256', '384', '512'].map((size) => family + size)).concat('EdDSA'),
);

/** Parsed keys by their text, which policies take from their data: they never change. */
const parsed = new LRUCache<string, readonly VerificationKey[]>({ max: 100 });

/** The keys of a PEM certificate, a PEM public key, a JWK or a JWK set. Throws {@link FAILED}. */
export function parseKeys(text: string): readonly VerificationKey[] {
  const known = parsed.get(text);
  if (known !== undefined) return known;
  let keys: readonly VerificationKey[];
  try {
    keys = text.includes('-----BEGIN ') ? [parsePem(text)] : parseJwks(text);
  } catch {
    throw FAILED;
  }
  parsed.set(text, keys);
  return keys;
}

const PEM = /-----BEGIN (CERTIFICATE|PUBLIC KEY)-----[A-Za-z0-9+/=\s]+-----END \1-----\r?\n?$/;

function parsePem(text: string): VerificationKey {
  const match = PEM.exec(text);
  if (match === null || text.indexOf('-----BEGIN ') !== match.index) throw FAILED;
  const key = match[1] === 'CERTIFICATE' ? new X509Certificate(match[0]).publicKey : createPublicKey(match[0]);
  return { alg: undefined, kid: undefined, key };
}

function parseJwks(text: string): readonly VerificationKey[] {
  const document: unknown = JSON.parse(text);
  if (!isObject(document)) throw FAILED;
  const jwks = 'keys' in document ? document['keys'] : [document];
  if (!Array.isArray(jwks)) throw FAILED;
  const keys: VerificationKey[] = [];
  for (const jwk of jwks) {
    if (!isObject(jwk)) throw FAILED;
    const key = importJwk(jwk);
    const alg = optionalText(jwk['alg']);
    // A key for an algorithm that nobody here knows is no key.
    if (alg === undefined || alg === '' || ALGORITHMS.has(alg)) {
      keys.push({ alg: alg === '' ? undefined : alg, kid: optionalText(jwk['kid']), key });
    }
  }
  return keys;
}

function importJwk(jwk: { readonly [member: string]: unknown }): KeyObject {
  if (jwk['kty'] === 'oct') {
    const secret = jwk['k'];
    if (typeof secret !== 'string') throw FAILED;
    return createSecretKey(Buffer.from(secret, 'base64url'));
  }
  // A private key yields its public half; node checks the members.
  return createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' });
}

function optionalText(value: unknown): string | undefined {
  if (value !== undefined && typeof value !== 'string') throw FAILED;
  return value;
}
