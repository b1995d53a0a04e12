import { createPrivateKey, type KeyObject } from 'node:crypto';
import { numberOfBigInt } from '../../values/number.ts';
import type { PlainObject, Value } from '../../values/value.ts';
import type { PemBlock } from '../pem.ts';
import { contextTag, DerReader, TAG, toUnsigned } from './der.ts';
import { fail } from './x509-error.ts';

/** How a private key is wrapped. */
export type KeyFormat = 'pkcs1' | 'pkcs8' | 'sec1';

const FORMATS: ReadonlyMap<string, KeyFormat> = new Map([
  ['RSA PRIVATE KEY', 'pkcs1'],
  ['PRIVATE KEY', 'pkcs8'],
  ['EC PRIVATE KEY', 'sec1'],
]);

/** The private key of a PEM block; `undefined` for blocks of other types. Throws an `X509Error`. */
export function readPrivateKey({ type, bytes }: PemBlock): KeyObject | undefined {
  const format = FORMATS.get(type);
  return format && importPrivateKey(bytes, format);
}

/** An RSA key of 16,384 bits is shorter. */
const MAX_BYTES = 16_384;

const CURVES = new Set(['secp224r1', 'prime256v1', 'secp384r1', 'secp521r1']);

/** A key of RSA, an elliptic curve that Go knows, Ed25519 or X25519, in DER. Throws an `X509Error`. */
export function importPrivateKey(der: Buffer, format: KeyFormat): KeyObject {
  if (der.length > MAX_BYTES) fail(`x509: private key is longer than ${MAX_BYTES} bytes`);
  if (new DerReader(der).element(TAG.sequence) === undefined) {
    fail(der[0] === TAG.sequence ? 'asn1: syntax error: data truncated' : "asn1: structure error: tags don't match");
  }
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: der, format: 'der', type: format });
  } catch {
    return fail('x509: failed to parse private key');
  }
  const kind = key.asymmetricKeyType;
  if (kind === 'rsa') checkRsa(key);
  else if (kind === 'ec') {
    if (!CURVES.has(key.asymmetricKeyDetails?.namedCurve ?? '')) fail('x509: unknown elliptic curve');
  } else if (kind !== 'ed25519' && kind !== 'x25519') {
    fail('x509: PKCS#8 wrapping contained private key with unknown algorithm');
  }
  return key;
}

/** A private key's members as a JWK (RFC 7517), without what is not of the key itself. Throws an `X509Error`. */
export function privateJwk(key: KeyObject): PlainObject {
  return members(key);
}

/** A private key as Go writes it as JSON. Throws an `X509Error`. */
export function privateKeyValue(key: KeyObject): Value {
  if (key.asymmetricKeyType === 'ec') return ecValue(key);
  const jwk = members(key);
  if (key.asymmetricKeyType === 'ed25519') return join(jwk['d'], jwk['x']).toString('base64');
  // Go shows nothing of a key of X25519.
  if (key.asymmetricKeyType !== 'rsa') return {};
  const number = (name: string): Value => numberOfBigInt(toUnsigned(Buffer.from(jwk[name] ?? '', 'base64url')));
  return {
    D: number('d'),
    E: number('e'),
    N: number('n'),
    Precomputed: { CRTValues: [], Dp: number('dp'), Dq: number('dq'), Qinv: number('qi') },
    Primes: [number('p'), number('q')],
  };
}

/** By way of SEC 1, which knows a curve that JWKs do not. */
function ecValue(key: KeyObject): Value {
  const der = new DerReader(key.export({ format: 'der', type: 'sec1' })).open(TAG.sequence);
  der?.integer();
  const secret = der?.content(TAG.octetString);
  der?.element(contextTag(0, true));
  const point = der?.open(contextTag(1, true))?.bitString();
  if (secret === undefined || point === undefined) return fail('x509: unsupported private key');
  const size = (point.length - 1) / 2;
  return {
    Curve: {},
    D: numberOfBigInt(toUnsigned(secret)),
    X: numberOfBigInt(toUnsigned(point.subarray(1, 1 + size))),
    Y: numberOfBigInt(toUnsigned(point.subarray(1 + size))),
  };
}

function join(seed = '', point = ''): Buffer {
  return Buffer.concat([Buffer.from(seed, 'base64url'), Buffer.from(point, 'base64url')]);
}

function members(key: KeyObject): { readonly [name: string]: string } {
  try {
    // All members of a private JWK that node writes are texts.
    return key.export({ format: 'jwk' }) as { [name: string]: string };
  } catch {
    return fail('x509: unsupported private key');
  }
}

/** Whether the numbers of an RSA key belong together, as Go checks it. */
function checkRsa(key: KeyObject): void {
  const jwk = members(key);
  const [n = 0n, e = 0n, d = 0n, p = 0n, q = 0n] = ['n', 'e', 'd', 'p', 'q'].map((name) =>
    toUnsigned(Buffer.from(jwk[name] ?? '', 'base64url')),
  );
  if (p <= 1n || q <= 1n) fail('x509: private key contains zero or negative value');
  if (p * q !== n) fail('crypto/rsa: invalid modulus');
  if ((d * e) % (p - 1n) !== 1n || (d * e) % (q - 1n) !== 1n) fail('crypto/rsa: invalid exponents');
}
