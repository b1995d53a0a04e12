import { sign, verify } from 'node:crypto';
import { isObject } from '../../decision/json.ts';
import { BundleError } from '../errors.ts';
import { decodeBase64url, decodeUtf8, parseCanonicalJson } from './canonical-json.ts';
import type { SigningAlgorithm, TrustKey, TrustKeys } from './trust-keys.ts';

/** What a document is; a signature for one is none for another. */
export type DocumentType = 'sallyport-bundle+jws' | 'sallyport-delta+jws' | 'sallyport-rollout+jws';

/** A JWS in compact form whose parts are well formed; proves nothing until {@link verifyParts} did not throw. */
export interface JwsParts {
  readonly header: { readonly [member: string]: unknown };
  readonly payload: { readonly [member: string]: unknown };
  readonly signedText: string;
  readonly signature: Uint8Array;
}

export const MAX_JWS_LENGTH = 4096;

/**
 * Verifies a document of Sallyport: ES256 or EdDSA, a header of exactly `alg`, `kid` and `typ`, a configured kid whose
 * key is for that algorithm. Answers the payload. Throws a `BundleError` `bundle_untrusted`.
 */
export function verifyJws(jws: string, type: DocumentType, keys: TrustKeys): { readonly [member: string]: unknown } {
  const parts = splitJws(jws, MAX_JWS_LENGTH);
  const { header } = parts;
  if (Object.keys(header).sort().join() !== 'alg,kid,typ') {
    throw untrusted('the header of its signature has not exactly `alg`, `kid` and `typ`');
  }
  if (header['typ'] !== type) throw untrusted(`its signature is not of the type \`${type}\``);
  verifyParts(parts, knownKey(header['kid'], keys));
  return parts.payload;
}

/** Takes a compact JWS apart, strictly: three canonical base64url parts, canonical JSON, 64 bytes of signature. */
export function splitJws(jws: string, maxLength: number): JwsParts {
  if (jws.length > maxLength) throw untrusted(`its signature is longer than ${maxLength} bytes`);
  const [header, payload, signature, ...more] = jws.split('.');
  if (header === undefined || payload === undefined || signature === undefined || more.length > 0) {
    throw untrusted('its signature is no JWS in compact form');
  }
  const bytes = decodeBase64url(signature);
  if (bytes?.length !== SIGNATURE_BYTES) throw untrusted('its signature is not of ES256 or EdDSA');
  return {
    header: memberOf(header, 'header'),
    payload: memberOf(payload, 'payload'),
    signedText: `${header}.${payload}`,
    signature: bytes,
  };
}

/** The key of that kid; throws for a kid that is not configured. */
export function knownKey(kid: unknown, keys: TrustKeys): TrustKey {
  const key = typeof kid === 'string' ? keys.get(kid) : undefined;
  if (key === undefined) throw untrusted('it is signed by a key that is not in `trust.keys`');
  return key;
}

/** Throws unless the key made the signature, by the key's own algorithm, and the header says that algorithm. */
export function verifyParts({ header, signedText, signature }: JwsParts, { alg, key, kid }: TrustKey): void {
  if (header['alg'] !== alg) throw untrusted(`its signature is not by ${alg}, which key \`${kid}\` is for`);
  if (!verify(hashOf(alg), Buffer.from(signedText), { key, dsaEncoding: 'ieee-p1363' }, signature)) {
    throw untrusted(`its signature is not by key \`${kid}\`, or something was changed after it was signed`);
  }
}

/** Makes a compact JWS; the header is written as it is given. */
export function signJws(
  header: { readonly [member: string]: string },
  payload: unknown,
  { alg, key }: Pick<TrustKey, 'key' | 'alg'>,
): string {
  if (!isObject(payload)) throw new TypeError('the payload of a JWS is an object');
  const signedText = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const signature = sign(hashOf(alg), Buffer.from(signedText), { key, dsaEncoding: 'ieee-p1363' });
  return `${signedText}.${signature.toString('base64url')}`;
}

const SIGNATURE_BYTES = 64;

function hashOf(alg: SigningAlgorithm): string | undefined {
  return alg === 'ES256' ? 'sha256' : undefined;
}

function memberOf(part: string, name: string): { readonly [member: string]: unknown } {
  const bytes = decodeBase64url(part);
  const text = bytes && decodeUtf8(bytes);
  const value = text === undefined ? undefined : parseCanonicalJson(text);
  if (value === undefined) throw untrusted(`the ${name} of its signature is no strict JSON in base64url`);
  return value;
}

function untrusted(message: string): BundleError {
  return new BundleError('bundle_untrusted', message);
}
