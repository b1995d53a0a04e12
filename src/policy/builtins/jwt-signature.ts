import { constants, createHmac, type KeyObject, timingSafeEqual, verify } from 'node:crypto';

export type Digest = 'sha256' | 'sha384' | 'sha512';
export type SignatureFamily = 'RS' | 'PS' | 'ES' | 'EdDSA';

/** Go refuses to verify with RSA keys below this. */
const MIN_RSA_BITS = 1_024;

/** Whether the key is of the family and the signature is its own over the text. Never throws. */
export function verifySignature(
  family: SignatureFamily,
  digest: Digest,
  key: KeyObject,
  signed: string,
  signature: Uint8Array,
  saltLength: number = constants.RSA_PSS_SALTLEN_AUTO,
): boolean {
  const data = Buffer.from(signed);
  try {
    switch (family) {
      case 'RS':
        return isRsa(key) && verify(digest, data, { key, padding: constants.RSA_PKCS1_PADDING }, signature);
      case 'PS':
        return (
          isRsa(key) && verify(digest, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }, signature)
        );
      case 'ES':
        return key.asymmetricKeyType === 'ec' && verify(digest, data, { key, dsaEncoding: 'ieee-p1363' }, signature);
      case 'EdDSA':
        return key.asymmetricKeyType === 'ed25519' && verify(null, data, key, signature);
    }
  } catch {
    return false;
  }
}

function isRsa(key: KeyObject): boolean {
  return key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= MIN_RSA_BITS;
}

export function verifyHmac(digest: Digest, secret: string | KeyObject, signed: string, signature: Uint8Array): boolean {
  const expected = createHmac(digest, secret).update(signed).digest();
  return expected.length === signature.length && timingSafeEqual(expected, signature);
}

const CURVES: ReadonlyMap<Digest, string> = new Map([
  ['sha256', 'prime256v1'],
  ['sha384', 'secp384r1'],
  ['sha512', 'secp521r1'],
]);

/** The same by a JOSE algorithm's name, which binds an EC key to its curve and a PSS salt to the digest's length (RFC 7518 §3.4, §3.5). */
export function verifyByAlgorithm(
  alg: string,
  key: KeyObject | string,
  signed: string,
  signature: Uint8Array,
): boolean {
  if (alg === 'EdDSA') return typeof key !== 'string' && verifySignature('EdDSA', 'sha512', key, signed, signature);
  const digest = digestOf(alg);
  if (digest === undefined) return false;
  const family = alg.slice(0, 2);
  if (family === 'HS') {
    return (typeof key === 'string' || key.type === 'secret') && verifyHmac(digest, key, signed, signature);
  }
  if (typeof key === 'string') return false;
  if (family === 'ES' && key.asymmetricKeyDetails?.namedCurve !== CURVES.get(digest)) return false;
  if (family !== 'RS' && family !== 'PS' && family !== 'ES') return false;
  return verifySignature(family, digest, key, signed, signature, constants.RSA_PSS_SALTLEN_DIGEST);
}

function digestOf(alg: string): Digest | undefined {
  switch (alg.slice(2)) {
    case '256':
      return 'sha256';
    case '384':
      return 'sha384';
    case '512':
      return 'sha512';
    default:
      return undefined;
  }
}
