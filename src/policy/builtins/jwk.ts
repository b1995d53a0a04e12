import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import { isArray, memberOf } from '../values/object.ts';
import type { ObjectValue, Value } from '../values/value.ts';
import { decodeBase64 } from './base64.ts';
import { KeyFault } from './jwt-key-fault.ts';
import { readCertificate } from './x509/certificate.ts';
import { X509Error } from './x509/x509-error.ts';

/** A key of a key set (RFC 7517). */
export interface Jwk {
  readonly alg: string | undefined;
  readonly kid: string | undefined;
  /** Public, private or secret. `undefined` for one of X25519, which signs nothing. */
  readonly key: KeyObject | undefined;
}

/** Key encryption and contents' encryption (RFC 7518 §4.1, §5.1): known, though of no use to tokens here. */
const ENCRYPTION_ALGORITHMS =
  'A128CBC-HS256 A128GCM A128GCMKW A128KW A192CBC-HS384 A192GCM A192GCMKW A192KW A256CBC-HS512 A256GCM A256GCMKW A256KW ECDH-ES ECDH-ES+A128KW ECDH-ES+A192KW ECDH-ES+A256KW PBES2-HS256+A128KW PBES2-HS384+A192KW PBES2-HS512+A256KW RSA-OAEP RSA-OAEP-256 RSA-OAEP-384 RSA-OAEP-512 RSA1_5 dir';

/** Algorithms that a token may be signed by here, as OPA names them. */
export const SIGNATURE_ALGORITHMS: ReadonlySet<string> = new Set(
  ['RS', 'PS', 'ES', 'HS'].flatMap((family) => ['256', '384', '512'].map((size) => family + size)).concat('EdDSA'),
);

const KNOWN_ALGORITHMS = new Set([
  ...SIGNATURE_ALGORITHMS,
  ...ENCRYPTION_ALGORITHMS.split(' '),
  'ES256K',
  'Ed25519',
  'none',
]);

const TEXT_MEMBERS = ['kid', 'use', 'x5t', 'x5t#S256', 'x5u'];

/** Reads one key. Throws a {@link KeyFault}. */
export function readJwk(jwk: ObjectValue): Jwk {
  const kind = optionalText(jwk, 'kty') ?? '';
  const alg = optionalText(jwk, 'alg');
  if (alg !== undefined && !KNOWN_ALGORITHMS.has(alg)) throw new KeyFault('invalid key algorithm');
  for (const name of TEXT_MEMBERS) optionalText(jwk, name);
  checkLists(jwk);
  return { alg, kid: optionalText(jwk, 'kid'), key: importKey(kind, jwk) };
}

/** What is of no use here, but has to be what it should be. */
function checkLists(jwk: ObjectValue): void {
  const operations = memberOf(jwk, 'key_ops') ?? null;
  if (operations !== null && !(isArray(operations) && operations.every(isTextOrNull))) {
    throw new KeyFault('failed to decode value for key key_ops: expected texts');
  }
  const chain = memberOf(jwk, 'x5c');
  if (chain === undefined) return;
  if (!isArray(chain)) throw new KeyFault('failed to decode value for key x5c: expected certificates');
  for (const text of chain) checkCertificate(text);
}

function isTextOrNull(value: Value): boolean {
  return value === null || typeof value === 'string';
}

function checkCertificate(text: Value): void {
  const der = typeof text === 'string' ? decodeBase64(text, 'standard') : 0;
  try {
    if (typeof der === 'number') throw new X509Error('it is no base64');
    readCertificate(der);
  } catch (error) {
    if (!(error instanceof X509Error)) throw error;
    throw new KeyFault(`failed to decode value for key x5c: ${error.message}`);
  }
}

function importKey(kind: string, jwk: ObjectValue): KeyObject | undefined {
  switch (kind) {
    case 'RSA':
      return importRsa(jwk);
    case 'EC':
      return importEc(jwk);
    case 'OKP':
      return importOkp(jwk);
    case 'oct': {
      const secret = bytesOf(jwk, 'k');
      if (secret.length === 0) throw new KeyFault('missing "k" field');
      return createSecretKey(secret);
    }
    default:
      throw new KeyFault(`invalid key type from JSON (${kind})`);
  }
}

type Members = { readonly [name: string]: Buffer };

function importRsa(jwk: ObjectValue): KeyObject {
  const isPrivate = memberOf(jwk, 'd') !== undefined;
  const n = bytesOf(jwk, 'n');
  const e = bytesOf(jwk, 'e');
  if (isZero(n)) throw new KeyFault('missing "n" value');
  if (((e[e.length - 1] ?? 0) & 1) === 0)
    throw new KeyFault('invalid rsa public exponent: must be a positive odd integer');
  if (n.length > MAX_RSA_BYTES || e.length > 8) throw new KeyFault('rsa key is too large');
  if (!isPrivate) return imported('RSA', {}, { n, e }, false);
  const [d, p, q] = [bytesOf(jwk, 'd'), bytesOf(jwk, 'p'), bytesOf(jwk, 'q')];
  return imported('RSA', {}, { n, e, d, p, q, ...remainders(jwk, d, p, q) }, true);
}

/** What OpenSSL takes. */
const MAX_RSA_BYTES = 2_048;

/** What speeds RSA up follows from its primes, and may be left out of a JWK. */
function remainders(jwk: ObjectValue, d: Buffer, p: Buffer, q: Buffer): Members {
  const names = ['dp', 'dq', 'qi'];
  if (names.every((name) => memberOf(jwk, name) !== undefined)) {
    return Object.fromEntries(names.map((name) => [name, bytesOf(jwk, name)]));
  }
  const [secret, first, second] = [toBigInt(d), toBigInt(p), toBigInt(q)];
  if (first <= 2n || second <= 2n) throw new KeyFault('rsa primes are too small');
  return {
    dp: toBytes(secret % (first - 1n)),
    dq: toBytes(secret % (second - 1n)),
    qi: toBytes(inverse(second, first)),
  };
}

function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b] = [value % modulus, modulus];
  let [x, y] = [1n, 0n];
  while (b !== 0n) {
    const quotient = a / b;
    [a, b] = [b, a - quotient * b];
    [x, y] = [y, x - quotient * y];
  }
  return ((x % modulus) + modulus) % modulus;
}

const CURVE_BYTES: ReadonlyMap<string, number> = new Map([
  ['P-256', 32],
  ['P-384', 48],
  ['P-521', 66],
]);

function importEc(jwk: ObjectValue): KeyObject {
  const crv = optionalText(jwk, 'crv') ?? '';
  const size = CURVE_BYTES.get(crv);
  if (size === undefined) throw new KeyFault(`invalid curve algorithm "${crv}"`);
  const isPrivate = memberOf(jwk, 'd') !== undefined;
  const members = { x: sized(jwk, 'x', size), y: sized(jwk, 'y', size) };
  return isPrivate
    ? imported('EC', { crv }, { ...members, d: sized(jwk, 'd', size) }, true)
    : imported('EC', { crv }, members, false);
}

function importOkp(jwk: ObjectValue): KeyObject | undefined {
  const crv = optionalText(jwk, 'crv') ?? '';
  if (crv !== 'Ed25519' && crv !== 'X25519') throw new KeyFault(`invalid curve algorithm ${crv}`);
  const isPrivate = memberOf(jwk, 'd') !== undefined;
  const x = sized(jwk, 'x', 32);
  const d = isPrivate ? sized(jwk, 'd', 32) : undefined;
  if (crv === 'X25519') return undefined;
  if (d === undefined) return imported('OKP', { crv }, { x }, false);
  const key = imported('OKP', { crv }, { x, d }, true);
  // Whose halves do not belong together is no key.
  if (createPublicKey(key).export({ format: 'jwk' }).x !== x.toString('base64url')) {
    throw new KeyFault('ed25519: invalid x value given d value');
  }
  return key;
}

function imported(kty: string, names: { readonly crv?: string }, members: Members, isPrivate: boolean): KeyObject {
  const texts = Object.entries(members).map(([name, bytes]) => [name, bytes.toString('base64url')] as const);
  const key = { kty, ...names, ...Object.fromEntries(texts) };
  try {
    return isPrivate ? createPrivateKey({ key, format: 'jwk' }) : createPublicKey({ key, format: 'jwk' });
  } catch {
    throw new KeyFault('invalid key');
  }
}

function sized(jwk: ObjectValue, name: string, size: number): Buffer {
  const bytes = bytesOf(jwk, name);
  if (bytes.length !== size) throw new KeyFault(`invalid "${name}" length (${bytes.length})`);
  return bytes;
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const BASE64_URL = /^[A-Za-z0-9_-]*={0,2}$/;

/** Either alphabet, with all of its padding or none. */
function bytesOf(jwk: ObjectValue, name: string): Buffer {
  const text = optionalText(jwk, name);
  if (text === undefined) throw new KeyFault(`required field ${name} is missing`);
  const rest = text.length % 4;
  if ((!BASE64_URL.test(text) && !BASE64.test(text)) || rest === 1 || (rest !== 0 && text.endsWith('='))) {
    throw new KeyFault(`failed to decode value for key ${name}: expected base64 encoded bytes`);
  }
  return Buffer.from(text, 'base64');
}

/** `null` stands for '', as Go reads it. */
function optionalText(jwk: ObjectValue, name: string): string | undefined {
  const value: Value | undefined = memberOf(jwk, name);
  if (value === null) return '';
  if (value !== undefined && typeof value !== 'string') {
    throw new KeyFault(`failed to decode value for key ${name}: expected a string`);
  }
  return value;
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}

function toBigInt(bytes: Buffer): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${bytes.toString('hex')}`);
}

function toBytes(value: bigint): Buffer {
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
}
