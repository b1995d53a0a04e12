import { createHash, createPublicKey } from 'node:crypto';
import { type CryptoKey, importJWK } from 'jose';
import { isObject } from '../decision/json.ts';
import type { SignatureAlgorithm } from './config.ts';
import { parseStrictJson } from './strict-json.ts';

/** The public keys of one issuer, imported for the algorithms that config pins to it. */
export interface KeySet {
  /** SHA-256 over the keys that are used; equal content, equal digest. */
  readonly digest: string;
  readonly keys: readonly VerificationKey[];
  /** Caller-chosen names are looked up here, so this is a Map. */
  readonly byKid: ReadonlyMap<string, VerificationKey>;
}

export interface VerificationKey {
  readonly kid: string | undefined;
  /** One imported key for each algorithm it may verify. */
  readonly byAlgorithm: ReadonlyMap<string, CryptoKey>;
}

/** A key as published, checked but not yet imported. */
export interface PublishedKey {
  readonly kid: string | undefined;
  readonly jwk: PublicJwk;
  /** What its type, curve, size and `alg` allow. */
  readonly algorithms: readonly SignatureAlgorithm[];
}

type PublicJwk = { readonly kty: string } & { readonly [member: string]: string };

const MAX_KEYS = 64;

/**
 * Parses a JWK set (RFC 7517 §5). Keys for encryption, of unknown type and RSA keys beyond 2048 to 8192 bits are
 * skipped; a `kid` that appears twice, a private, symmetric or malformed key refuses the whole set: whoever publishes a
 * secret has none. Throws `SyntaxError`.
 */
export function parseKeySet(text: string): readonly PublishedKey[] {
  const value = parseStrictJson(text);
  const keys = isObject(value) && Object.hasOwn(value, 'keys') ? value['keys'] : undefined;
  if (!Array.isArray(keys)) throw new SyntaxError('the key set has no list `keys`');
  if (keys.length > MAX_KEYS) throw new SyntaxError(`the key set has more than ${MAX_KEYS} keys`);
  const kids = new Set<string>();
  const published: PublishedKey[] = [];
  for (const key of keys) {
    if (!isObject(key)) throw new SyntaxError('a key of the set is no object');
    const kid = optionalText(key, 'kid');
    if (kid !== undefined && kids.has(kid)) throw new SyntaxError('a `kid` appears twice in the key set');
    if (kid !== undefined) kids.add(kid);
    const parsed = parseKey(key, kid);
    if (parsed !== undefined) published.push(parsed);
  }
  return published;
}

/** Imports the keys for the pinned algorithms; keys that fit none of them are left out. */
export async function importKeySet(
  published: readonly PublishedKey[],
  pinned: readonly SignatureAlgorithm[],
): Promise<KeySet> {
  const keys: VerificationKey[] = [];
  const contents: string[] = [];
  for (const { kid, jwk, algorithms } of published) {
    const byAlgorithm = new Map<string, CryptoKey>();
    for (const algorithm of algorithms) {
      if (!pinned.includes(algorithm)) continue;
      const key = await importJWK({ ...jwk }, algorithm);
      if (!(key instanceof Uint8Array)) byAlgorithm.set(algorithm, key);
    }
    if (byAlgorithm.size === 0) continue;
    keys.push({ kid, byAlgorithm });
    contents.push(JSON.stringify([kid ?? null, jwk, [...byAlgorithm.keys()]]));
  }
  const byKid = new Map(keys.flatMap((key) => (key.kid === undefined ? [] : [[key.kid, key] as const])));
  return { digest: digestOf(contents), keys, byKid };
}

function digestOf(contents: readonly string[]): string {
  const hash = createHash('sha256');
  for (const content of [...contents].sort()) hash.update(`${Buffer.byteLength(content)}:`).update(content);
  return hash.digest('base64url');
}

type Jwk = { readonly [member: string]: unknown };

function parseKey(key: Jwk, kid: string | undefined): PublishedKey | undefined {
  const kty = optionalText(key, 'kty');
  if (kty === undefined) throw new SyntaxError('a key of the set has no `kty`');
  if (SECRET_MEMBERS.some((name) => Object.hasOwn(key, name))) {
    throw new SyntaxError('the key set holds a private key or a shared secret: publish public keys only');
  }
  const algorithms = algorithmsOf(key, kty);
  if (algorithms.length === 0 || !forVerifying(key)) return undefined;
  const jwk = publicPart(key, kty);
  const { asymmetricKeyDetails } = publicKey(jwk);
  if (kty === 'RSA' && !soundRsa(asymmetricKeyDetails)) return undefined;
  return { kid, jwk, algorithms };
}

/** RFC 7518 §6.2.2, §6.3.2, §6.4 and RFC 8037 §2; `priv` of the post-quantum drafts. */
const SECRET_MEMBERS = ['k', 'd', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'priv'] as const;

const RSA_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const;

function algorithmsOf(key: Jwk, kty: string): readonly SignatureAlgorithm[] {
  const byType = algorithmsOfType(kty, optionalText(key, 'crv'));
  const alg = optionalText(key, 'alg');
  return alg === undefined ? byType : byType.filter((algorithm) => algorithm === alg);
}

function algorithmsOfType(kty: string, crv: string | undefined): readonly SignatureAlgorithm[] {
  if (kty === 'RSA') return RSA_ALGORITHMS;
  switch (`${kty} ${crv}`) {
    case 'EC P-256':
      return ['ES256'];
    case 'EC P-384':
      return ['ES384'];
    case 'EC P-521':
      return ['ES512'];
    case 'OKP Ed25519':
      return ['EdDSA', 'Ed25519'];
    default:
      return [];
  }
}

function forVerifying(key: Jwk): boolean {
  const use = optionalText(key, 'use');
  if (use !== undefined && use !== 'sig') return false;
  if (!Object.hasOwn(key, 'key_ops')) return true;
  const { key_ops: operations } = key;
  if (!Array.isArray(operations) || !operations.every((one) => typeof one === 'string')) {
    throw new SyntaxError('`key_ops` of a key is no list of texts');
  }
  // RFC 7517 §4.3
  if (new Set(operations).size !== operations.length) throw new SyntaxError('`key_ops` of a key names one twice');
  return operations.includes('verify');
}

/** The members that make the key, and no others: nothing else of the set reaches an importer. */
const MEMBERS: ReadonlyMap<string, readonly string[]> = new Map([
  ['RSA', ['n', 'e']],
  ['EC', ['crv', 'x', 'y']],
  ['OKP', ['crv', 'x']],
]);

function publicPart(key: Jwk, kty: string): PublicJwk {
  const coordinateBytes = kty === 'RSA' ? undefined : COORDINATE_BYTES.get(optionalText(key, 'crv') ?? '');
  const members = (MEMBERS.get(kty) ?? []).map((name) => {
    const value = optionalText(key, name);
    if (value === undefined) throw new SyntaxError(`a key of the set has no \`${name}\``);
    if (name !== 'crv') checkNumber(value, name, coordinateBytes);
    return [name, value] as const;
  });
  return { kty, ...Object.fromEntries(members) };
}

/** RFC 7518 §6.2.1.2 and RFC 8037 §2: a coordinate has the full size of its curve. */
const COORDINATE_BYTES: ReadonlyMap<string, number> = new Map([
  ['P-256', 32],
  ['P-384', 48],
  ['P-521', 66],
  ['Ed25519', 32],
]);

/** Importers read sloppy base64url, each in its own way; RSA numbers may begin with the zero byte that some issuers send. */
function checkNumber(text: string, name: string, wantedBytes: number | undefined): void {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length === 0 || bytes.toString('base64url') !== text) {
    throw new SyntaxError(`\`${name}\` of a key is no canonical base64url`);
  }
  if (wantedBytes !== undefined && bytes.length !== wantedBytes) {
    throw new SyntaxError(`\`${name}\` of a key has not the size of its curve`);
  }
}

function publicKey(jwk: PublicJwk): ReturnType<typeof createPublicKey> {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' });
  } catch (cause) {
    throw new SyntaxError('a key of the set is malformed', { cause });
  }
}

const MIN_RSA_BITS = 2048;
/** Larger moduli and exponents only make verifying slow. */
const MAX_RSA_BITS = 8192;
const MAX_RSA_EXPONENT = 2n ** 32n;

function soundRsa(details: ReturnType<typeof createPublicKey>['asymmetricKeyDetails']): boolean {
  const { modulusLength = 0, publicExponent = 0n } = details ?? {};
  if (modulusLength < MIN_RSA_BITS || modulusLength > MAX_RSA_BITS) return false;
  return publicExponent >= 3n && publicExponent <= MAX_RSA_EXPONENT && publicExponent % 2n === 1n;
}

function optionalText(key: Jwk, name: string): string | undefined {
  if (!Object.hasOwn(key, name)) return undefined;
  const value = key[name];
  if (typeof value !== 'string') throw new SyntaxError(`\`${name}\` of a key is no text`);
  return value;
}
