import { type CryptoKey, compactVerify } from 'jose';

/**
 * Whether a JWS in compact form is signed by the key, under this algorithm. Never rejects. OpenSSL also takes an RSA
 * signature without its leading zeros, which would give one token several texts; RFC 8017 §8 takes whole ones only.
 */
export async function isSignedWith(jws: string, key: CryptoKey, algorithm: string): Promise<boolean> {
  const bits = 'modulusLength' in key.algorithm ? Number(key.algorithm.modulusLength) : undefined;
  if (bits !== undefined && signatureLength(jws) !== Math.ceil(bits / 8)) return false;
  try {
    await compactVerify(jws, key, { algorithms: [algorithm] });
    return true;
  } catch {
    return false;
  }
}

/** In bytes. */
function signatureLength(jws: string): number {
  return Math.floor(((jws.length - jws.lastIndexOf('.') - 1) * 3) / 4);
}
