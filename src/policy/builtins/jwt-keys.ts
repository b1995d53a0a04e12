import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { parseJson } from '../values/json.ts';
import { isArray, isObject, memberOf } from '../values/object.ts';
import type { Value } from '../values/value.ts';
import type { BuiltinContext } from './builtin.ts';
import { type Jwk, readJwk, SIGNATURE_ALGORITHMS } from './jwk.ts';
import { KeyFault } from './jwt-key-fault.ts';
import { nextPemBlock } from './pem.ts';
import { readCertificate } from './x509/certificate.ts';
import { DerReader, TAG } from './x509/der.ts';
import { KEY_ALGORITHM, readPublicKey as readSubjectPublicKey } from './x509/public-key.ts';
import { X509Error } from './x509/x509-error.ts';

/** Keys beyond this are refused. */
const MAX_CHARACTERS = 1_048_576;
const MAX_KEYS = 1_000;

/** What reading a key costs, in steps of some 10 ns. */
const KEY_STEPS = 8_000;

/** Parsed keys by the SHA-256 of their whole text: what is in them follows from that alone. */
const parsed = new LRUCache<string, readonly Jwk[]>({ max: 100 });

/**
 * The keys that may have signed a token: of a PEM certificate, a PEM public key, a JWK or a JWK set. Those of a set
 * that are for anything else than signatures are left out. Throws a {@link KeyFault}.
 */
export function verificationKeys(context: BuiltinContext, text: string): readonly Jwk[] {
  if (text.length > MAX_CHARACTERS) throw new KeyFault(`keys are longer than ${MAX_CHARACTERS} characters`);
  context.charge(text.length >> 2);
  const id = hash('sha256', text, 'base64');
  const known = parsed.get(id);
  if (known !== undefined) return known;
  context.charge(text.length + KEY_STEPS);
  const block = nextPemBlock(text);
  const keys =
    block === undefined
      ? readKeySet(context, text).filter(({ alg }) => alg === undefined || SIGNATURE_ALGORITHMS.has(alg))
      : [{ alg: undefined, kid: undefined, key: readPem(block) }];
  parsed.set(id, keys);
  return keys;
}

/** The key that the token names, if there is one; else any whose declared algorithm does not contradict the token's. */
export function anyKey(
  keys: readonly Jwk[],
  { kid, alg }: { readonly kid: string; readonly alg: string },
  verifies: (key: KeyObject | undefined) => boolean,
): boolean {
  const named = kid === '' ? undefined : keys.find((key) => key.kid === kid);
  if (named !== undefined) return verifies(named.key);
  return keys.some((key) => (key.alg === undefined || key.alg === alg) && verifies(key.key));
}

/** The first key of a JWK or JWK set, to sign with. Throws a {@link KeyFault}. */
export function signingKey(context: BuiltinContext, text: string): Jwk {
  if (text.length > MAX_CHARACTERS) throw new KeyFault(`keys are longer than ${MAX_CHARACTERS} characters`);
  context.charge(text.length + KEY_STEPS);
  const [key] = readKeySet(context, text);
  if (key === undefined) throw new KeyFault('no keys found in JWK set');
  return key;
}

function readPem({ type, bytes, rest }: { type: string; bytes: Buffer; rest: string }): KeyObject | undefined {
  if (rest !== '') throw new KeyFault('extra data after a PEM certificate block');
  if (type === 'CERTIFICATE') return guard('certificate', () => readCertificate(bytes).publicKey.key);
  if (type === 'PUBLIC KEY') return guard('public key', () => readPublicKey(bytes));
  throw new KeyFault('failed to extract a Key from the PEM certificate');
}

function guard(what: string, read: () => KeyObject | undefined): KeyObject | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof X509Error)) throw error;
    throw new KeyFault(`failed to parse a PEM ${what}: ${error.message}`);
  }
}

function readPublicKey(bytes: Buffer): KeyObject | undefined {
  if (new DerReader(bytes).element(TAG.sequence)?.whole.length !== bytes.length) {
    throw new X509Error('x509: trailing data after ASN.1 of public-key');
  }
  const { algorithm, key } = readSubjectPublicKey(bytes);
  if (algorithm === KEY_ALGORITHM.unknown && !isX25519(bytes))
    throw new X509Error('x509: unknown public key algorithm');
  return key;
}

/** Which is a key, though one that signs nothing. */
function isX25519(bytes: Buffer): boolean {
  try {
    return createPublicKey({ key: bytes, format: 'der', type: 'spki' }).asymmetricKeyType === 'x25519';
  } catch {
    return false;
  }
}

function readKeySet(context: BuiltinContext, text: string): readonly Jwk[] {
  const document = parseJson(text);
  if (!isObject(document)) throw new KeyFault('failed to parse a JWK key (set): no JSON object');
  const keys: Value = memberOf(document, 'keys') ?? [document];
  if (!isArray(keys)) throw new KeyFault('failed to parse a JWK key (set): `keys` is no array');
  if (keys.length > MAX_KEYS) throw new KeyFault(`failed to parse a JWK key (set): more than ${MAX_KEYS} keys`);
  context.charge(keys.length * KEY_STEPS);
  return keys.map((key) => {
    if (!isObject(key)) throw new KeyFault('failed to parse a JWK key (set): a key is no object');
    try {
      return readJwk(key);
    } catch (error) {
      if (!(error instanceof KeyFault)) throw error;
      throw new KeyFault(`failed to parse a JWK key (set): ${error.message}`);
    }
  });
}
