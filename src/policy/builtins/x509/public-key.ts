import { createPublicKey, type KeyObject } from 'node:crypto';
import { numberOfBigInt } from '../../values/number.ts';
import type { Value } from '../../values/value.ts';
import { DerReader, TAG, toUnsigned } from './der.ts';
import { fail } from './x509-error.ts';

/** Go's numbers of public key algorithms. */
export const KEY_ALGORITHM = { unknown: 0, rsa: 1, dsa: 2, ecdsa: 3, ed25519: 4 } as const;

export interface PublicKey {
  readonly algorithm: number;
  /** As the policy sees it: numbers, base64, or `null` for an algorithm that is not known. */
  readonly value: Value;
  /** `undefined` for what checks no signature here: unknown algorithms, DSA, impossible numbers of RSA. */
  readonly key: KeyObject | undefined;
}

const NULL = '0500';
const MAX_INT64 = 2n ** 63n - 1n;

/** Object identifiers of curves, with the bytes of a coordinate. */
const CURVES: ReadonlyMap<string, number> = new Map([
  ['1.3.132.0.33', 28],
  ['1.2.840.10045.3.1.7', 32],
  ['1.3.132.0.34', 48],
  ['1.3.132.0.35', 66],
]);

/** What a SubjectPublicKeyInfo holds (RFC 5280 §4.1.2.7). Throws an `X509Error`. */
export function readPublicKey(whole: Buffer): PublicKey {
  const info = new DerReader(whole).open(TAG.sequence) ?? fail('x509: malformed spki');
  const identifier = info.open(TAG.sequence) ?? fail('x509: malformed public key algorithm identifier');
  const oid = (identifier.oid() ?? fail('x509: malformed OID')).join('.');
  const parameters = identifier.empty
    ? Buffer.alloc(0)
    : (identifier.element() ?? fail('x509: malformed parameters')).whole;
  const bits = info.bitString() ?? fail('x509: malformed subjectPublicKey');
  switch (oid) {
    case '1.2.840.113549.1.1.1':
      return rsaKey(whole, parameters, bits);
    case '1.2.840.10040.4.1':
      return dsaKey(parameters, bits);
    case '1.2.840.10045.2.1':
      return ecKey(whole, parameters, bits);
    case '1.3.101.112':
      return ed25519Key(whole, parameters, bits);
    default:
      return { algorithm: KEY_ALGORITHM.unknown, value: null, key: undefined };
  }
}

function rsaKey(whole: Buffer, parameters: Buffer, bits: Buffer): PublicKey {
  if (parameters.toString('hex') !== NULL) fail('x509: RSA key missing NULL parameters');
  const der = new DerReader(bits).open(TAG.sequence) ?? fail('x509: invalid RSA public key');
  const modulus = der.integer() ?? fail('x509: invalid RSA modulus');
  const exponent = der.integer() ?? fail('x509: invalid RSA public exponent');
  if (exponent > MAX_INT64 || exponent < -MAX_INT64) fail('x509: invalid RSA public exponent');
  if (modulus <= 0n) fail('x509: RSA modulus is not a positive number');
  if (exponent <= 0n) fail('x509: RSA public exponent is not a positive number');
  const value = { E: numberOfBigInt(exponent), N: numberOfBigInt(modulus) };
  // A number that OpenSSL takes for no modulus or exponent is one to Go; it verifies nothing.
  return { algorithm: KEY_ALGORITHM.rsa, value, key: tryImport(whole) };
}

function ecKey(whole: Buffer, parameters: Buffer, bits: Buffer): PublicKey {
  const curve = new DerReader(parameters).oid() ?? fail('x509: invalid ECDSA parameters');
  const size = CURVES.get(curve.join('.')) ?? fail('x509: unsupported elliptic curve');
  if (bits[0] !== 4 || bits.length !== 1 + 2 * size) fail('ecdsa: invalid uncompressed public key');
  const value = {
    Curve: {},
    X: numberOfBigInt(toUnsigned(bits.subarray(1, 1 + size))),
    Y: numberOfBigInt(toUnsigned(bits.subarray(1 + size))),
  };
  return { algorithm: KEY_ALGORITHM.ecdsa, value, key: importKey(whole, 'ecdsa: invalid public key') };
}

function ed25519Key(whole: Buffer, parameters: Buffer, bits: Buffer): PublicKey {
  if (parameters.length !== 0) fail('x509: Ed25519 key encoded with illegal parameters');
  if (bits.length !== 32) fail('x509: wrong Ed25519 public key size');
  const key = importKey(whole, 'x509: invalid Ed25519 public key');
  return { algorithm: KEY_ALGORITHM.ed25519, value: bits.toString('base64'), key };
}

function dsaKey(parameters: Buffer, bits: Buffer): PublicKey {
  const y = new DerReader(bits).integer() ?? fail('x509: invalid DSA public key');
  const der = new DerReader(parameters).open(TAG.sequence);
  const [p, q, g] = [der?.integer(), der?.integer(), der?.integer()];
  if (p === undefined || q === undefined || g === undefined) return fail('x509: invalid DSA parameters');
  if (y <= 0n || p <= 0n || q <= 0n || g <= 0n) fail('x509: zero or negative DSA parameter');
  const value = { G: numberOfBigInt(g), P: numberOfBigInt(p), Q: numberOfBigInt(q), Y: numberOfBigInt(y) };
  return { algorithm: KEY_ALGORITHM.dsa, value, key: undefined };
}

function importKey(der: Buffer, wrong: string): KeyObject {
  return tryImport(der) ?? fail(wrong);
}

function tryImport(der: Buffer): KeyObject | undefined {
  try {
    return createPublicKey({ key: der, format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}
