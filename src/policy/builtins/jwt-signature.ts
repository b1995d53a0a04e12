import { constants, createHmac, createPublicKey, type KeyObject, sign, timingSafeEqual, verify } from 'node:crypto';
import type { BuiltinContext } from './builtin.ts';
import { toBytes } from './bytes.ts';

export type Digest = 'sha256' | 'sha384' | 'sha512';

/** How a token may be signed: the families of RFC 7518 §3.1 and EdDSA. */
export type SignatureFamily = 'RS' | 'PS' | 'ES' | 'HS' | 'EdDSA';

export interface SignatureAlgorithm {
  readonly family: SignatureFamily;
  readonly digest: Digest;
}

/** What an `alg` names; `undefined` for one that is not known. */
export function algorithmOf(alg: string): SignatureAlgorithm | undefined {
  return ALGORITHMS.get(alg);
}

const ALGORITHMS: ReadonlyMap<string, SignatureAlgorithm> = new Map<string, SignatureAlgorithm>([
  ...(['RS', 'PS', 'ES', 'HS'] as const).flatMap((family) =>
    (['256', '384', '512'] as const).map((size) => [family + size, { family, digest: `sha${size}` as const }] as const),
  ),
  ['EdDSA', { family: 'EdDSA', digest: 'sha512' }],
  ['Ed25519', { family: 'EdDSA', digest: 'sha512' }],
]);

/** Go refuses to verify with RSA keys below this. */
const MIN_RSA_BITS = 1_024;

/**
 * Whether the key is of the algorithm's family and the signature its own over the text. The salt of a PSS signature may
 * have any length or, strictly, the digest's; an ECDSA signature any leading zeros or, strictly, the curve's length.
 */
export function verifySignature(
  context: BuiltinContext,
  { family, digest }: SignatureAlgorithm,
  key: KeyObject | undefined,
  signed: string,
  signature: Buffer,
  strict: boolean,
): boolean {
  if (key === undefined || !isOfFamily(key, family)) return false;
  context.charge((signed.length >> 3) + verifySteps(key));
  if (family === 'HS') return verifyHmac(digest, key, signed, signature);
  const data = toBytes(signed);
  try {
    switch (family) {
      case 'RS':
        return (
          isWhole(key, signature) && verify(digest, data, { key, padding: constants.RSA_PKCS1_PADDING }, signature)
        );
      case 'PS':
        return isWhole(key, signature) && verify(digest, data, pssOptions(key, strict), signature);
      case 'ES': {
        const fixed = strict ? signature : toCurveLength(key, signature);
        return fixed !== undefined && verify(digest, data, { key, dsaEncoding: 'ieee-p1363' }, fixed);
      }
      case 'EdDSA':
        return verify(null, data, key, signature);
    }
  } catch {
    return false;
  }
}

/** OpenSSL also takes an RSA signature without its leading zeros; Go, and RFC 8017 §8, take all of its bytes only. */
function isWhole(key: KeyObject, signature: Buffer): boolean {
  return signature.length === Math.ceil(rsaBits(key) / 8);
}

function pssOptions(key: KeyObject, strict: boolean): { key: KeyObject; padding: number; saltLength: number } {
  const saltLength = strict ? constants.RSA_PSS_SALTLEN_DIGEST : constants.RSA_PSS_SALTLEN_AUTO;
  return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
}

/** In a time that does not depend on where they differ. */
export function verifyHmac(digest: Digest, secret: string | KeyObject, signed: string, signature: Buffer): boolean {
  const expected = createHmac(digest, secret).update(toBytes(signed)).digest();
  return expected.length === signature.length && timingSafeEqual(expected, signature);
}

/** The signature over the text; `undefined` when the key is not of the algorithm's family, or public. */
export function signText(
  context: BuiltinContext,
  { family, digest }: SignatureAlgorithm,
  key: KeyObject | undefined,
  text: string,
): Buffer | undefined {
  if (key === undefined || !isOfFamily(key, family)) return undefined;
  context.charge((text.length >> 3) + signSteps(key));
  if (family === 'HS') return createHmac(digest, key).update(toBytes(text)).digest();
  if (key.type !== 'private') return undefined;
  const data = toBytes(text);
  try {
    switch (family) {
      case 'RS':
        return sign(digest, data, { key, padding: constants.RSA_PKCS1_PADDING });
      case 'PS':
        return sign(digest, data, pssOptions(key, true));
      case 'ES':
        return sign(digest, data, { key, dsaEncoding: 'ieee-p1363' });
      case 'EdDSA':
        return sign(null, data, key);
    }
  } catch {
    return undefined;
  }
}

function isOfFamily(key: KeyObject, family: SignatureFamily): boolean {
  switch (family) {
    case 'HS':
      return key.type === 'secret';
    case 'RS':
    case 'PS':
      return key.asymmetricKeyType === 'rsa' && rsaBits(key) >= MIN_RSA_BITS;
    case 'ES':
      return key.asymmetricKeyType === 'ec';
    case 'EdDSA':
      return key.asymmetricKeyType === 'ed25519';
  }
}

function rsaBits(key: KeyObject): number {
  return key.asymmetricKeyDetails?.modulusLength ?? 0;
}

/** What a check costs, in steps of some 10 ns. */
function verifySteps(key: KeyObject): number {
  if (key.type === 'secret') return 1_000;
  return key.asymmetricKeyType === 'rsa' ? 1_500 + (rsaBits(key) / 1_024) ** 2 * 1_000 : curveSteps(key);
}

function signSteps(key: KeyObject): number {
  if (key.type === 'secret') return 1_000;
  return key.asymmetricKeyType === 'rsa' ? (rsaBits(key) / 1_024) ** 3 * 9_000 : curveSteps(key);
}

function curveSteps(key: KeyObject): number {
  switch (key.asymmetricKeyDetails?.namedCurve ?? '') {
    case 'secp384r1':
      return 120_000;
    case 'secp521r1':
      return 120_000;
    default:
      return 15_000;
  }
}

const CURVE_BYTES: ReadonlyMap<string, number> = new Map([
  ['secp224r1', 28],
  ['prime256v1', 32],
  ['secp384r1', 48],
  ['secp521r1', 66],
]);

/** Both halves of a signature with as many bytes as the curve wants; `undefined` when they are larger numbers. */
function toCurveLength(key: KeyObject, signature: Buffer): Buffer | undefined {
  const size = CURVE_BYTES.get(key.asymmetricKeyDetails?.namedCurve ?? '');
  if (size === undefined || signature.length === 2 * size) return signature;
  const half = signature.length >> 1;
  const fixed = Buffer.alloc(2 * size);
  for (const [number, bytes] of [signature.subarray(0, half), signature.subarray(half)].entries()) {
    const first = bytes.findIndex((byte) => byte !== 0);
    const significant = first < 0 ? bytes.subarray(bytes.length) : bytes.subarray(first);
    if (significant.length > size) return undefined;
    significant.copy(fixed, (number + 1) * size - significant.length);
  }
  return fixed;
}

/** The half of a private key that verifies; every other key as it is. */
export function verifyingHalf(key: KeyObject | undefined): KeyObject | undefined {
  return key?.type === 'private' ? createPublicKey(key) : key;
}
