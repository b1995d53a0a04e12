import { constants, type KeyObject, verify } from 'node:crypto';
import { contextTag, DerReader, TAG, toInteger } from './der.ts';
import { KEY_ALGORITHM } from './public-key.ts';

/** How certificates are signed. */
export interface SignatureAlgorithm {
  /** Go's number for it. */
  readonly number: number;
  readonly keyAlgorithm: number;
  /** The digest of those that may sign certificates still; SHA-1 and MD5 may not. */
  readonly digest?: string;
  readonly pss?: boolean;
}

const { rsa, dsa, ecdsa, ed25519 } = KEY_ALGORITHM;

const BY_OID: ReadonlyMap<string, SignatureAlgorithm> = new Map([
  ['1.2.840.113549.1.1.4', { number: 2, keyAlgorithm: rsa }],
  ['1.2.840.113549.1.1.5', { number: 3, keyAlgorithm: rsa }],
  ['1.3.14.3.2.29', { number: 3, keyAlgorithm: rsa }],
  ['1.2.840.113549.1.1.11', { number: 4, keyAlgorithm: rsa, digest: 'sha256' }],
  ['1.2.840.113549.1.1.12', { number: 5, keyAlgorithm: rsa, digest: 'sha384' }],
  ['1.2.840.113549.1.1.13', { number: 6, keyAlgorithm: rsa, digest: 'sha512' }],
  ['1.2.840.10040.4.3', { number: 7, keyAlgorithm: dsa }],
  ['2.16.840.1.101.3.4.3.2', { number: 8, keyAlgorithm: dsa }],
  ['1.2.840.10045.4.1', { number: 9, keyAlgorithm: ecdsa }],
  ['1.2.840.10045.4.3.2', { number: 10, keyAlgorithm: ecdsa, digest: 'sha256' }],
  ['1.2.840.10045.4.3.3', { number: 11, keyAlgorithm: ecdsa, digest: 'sha384' }],
  ['1.2.840.10045.4.3.4', { number: 12, keyAlgorithm: ecdsa, digest: 'sha512' }],
  ['1.3.101.112', { number: 16, keyAlgorithm: ed25519 }],
]);

/** RSA-PSS by the object identifier of its digest, and the only salt length that is taken with it. */
const PSS: ReadonlyMap<string, { readonly number: number; readonly digest: string; readonly salt: number }> = new Map([
  ['2.16.840.1.101.3.4.2.1', { number: 13, digest: 'sha256', salt: 32 }],
  ['2.16.840.1.101.3.4.2.2', { number: 14, digest: 'sha384', salt: 48 }],
  ['2.16.840.1.101.3.4.2.3', { number: 15, digest: 'sha512', salt: 64 }],
]);

const UNKNOWN: SignatureAlgorithm = { number: 0, keyAlgorithm: KEY_ALGORITHM.unknown };

/** What an AlgorithmIdentifier names. */
export function signatureAlgorithm(oid: readonly number[], parameters: Buffer): SignatureAlgorithm {
  const name = oid.join('.');
  if (name === '1.2.840.113549.1.1.10') return pssAlgorithm(parameters);
  // RFC 8410 §3: Ed25519 has no parameters.
  if (name === '1.3.101.112' && parameters.length > 0) return UNKNOWN;
  return BY_OID.get(name) ?? UNKNOWN;
}

/** RFC 4055 §3.1; the mask is of the same digest, or it is not known. */
function pssAlgorithm(parameters: Buffer): SignatureAlgorithm {
  const der = new DerReader(parameters).open(TAG.sequence);
  const digest = algorithmOid(der?.open(contextTag(0, true))?.open(TAG.sequence));
  const mask = der?.open(contextTag(1, true))?.open(TAG.sequence);
  if (digest === undefined || mask?.oid()?.join('.') !== '1.2.840.113549.1.1.8') return UNKNOWN;
  if (algorithmOid(mask.open(TAG.sequence)) !== digest) return UNKNOWN;
  const salt = der?.open(contextTag(2, true))?.integer();
  const trailer = der?.open(contextTag(3, true))?.content(TAG.integer);
  if (trailer !== undefined && toInteger(trailer) !== 1n) return UNKNOWN;
  const known = PSS.get(digest);
  return known === undefined || salt !== BigInt(known.salt)
    ? UNKNOWN
    : { number: known.number, keyAlgorithm: rsa, digest: known.digest, pss: true };
}

/** The object identifier of an algorithm whose parameters are missing or NULL. */
function algorithmOid(identifier: DerReader | undefined): string | undefined {
  const oid = identifier?.oid()?.join('.');
  if (identifier === undefined || identifier.empty) return oid;
  return identifier.element()?.whole.toString('hex') === '0500' ? oid : undefined;
}

const MIN_RSA_BITS = 1_024;

/** Whether the signature over `signed` is the key's. Never throws. */
export function isSignedBy(
  algorithm: SignatureAlgorithm,
  key: KeyObject,
  keyAlgorithm: number,
  signed: Buffer,
  signature: Buffer,
): boolean {
  if (algorithm.keyAlgorithm !== keyAlgorithm) return false;
  try {
    if (keyAlgorithm === ed25519) return verify(null, signed, key, signature);
    if (algorithm.digest === undefined) return false;
    if (keyAlgorithm === ecdsa) return verify(algorithm.digest, signed, { key, dsaEncoding: 'der' }, signature);
    const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
    // OpenSSL also takes a signature without its leading zeros; Go does not.
    if (bits < MIN_RSA_BITS || signature.length !== Math.ceil(bits / 8)) return false;
    const padding = algorithm.pss
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
      : { padding: constants.RSA_PKCS1_PADDING };
    return verify(algorithm.digest, signed, { key, ...padding }, signature);
  } catch {
    return false;
  }
}
