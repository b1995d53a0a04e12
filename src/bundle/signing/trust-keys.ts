import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { BundleError } from '../errors.ts';
import { parseCanonicalJson } from './canonical-json.ts';

/** The two algorithms that a bundle may be signed with; a key is good for exactly one of them. */
export type SigningAlgorithm = 'ES256' | 'EdDSA';

/** A public key that local config believes, pinned to its algorithm. */
export interface TrustKey {
  readonly kid: string;
  readonly alg: SigningAlgorithm;
  readonly key: KeyObject;
}

/** By kid. */
export type TrustKeys = ReadonlyMap<string, TrustKey>;

/** Reads `trust.keys`: kid → path of a PEM public key or a JWK. Throws a `BundleError` that names the file. */
export async function loadTrustKeys(files: { readonly [kid: string]: string }): Promise<TrustKeys> {
  const texts = new Map<string, string>();
  for (const [kid, path] of Object.entries(files)) texts.set(kid, await readKeyFile(path));
  return parseTrustKeys(texts, (kid) => `\`${files[kid] ?? kid}\``);
}

/** Reads public keys, each the text of a PEM or a JWK, by kid. Private, symmetric and other keys are refused. */
export function parseTrustKeys(
  texts: ReadonlyMap<string, string>,
  nameOf: (kid: string) => string = (kid) => `key \`${kid}\``,
): TrustKeys {
  if (texts.size === 0) throw untrusted('no key is configured: name at least one in `trust.keys`');
  return new Map([...texts].map(([kid, text]) => [kid, parseTrustKey(kid, text, nameOf(kid))]));
}

/** What signs with this key: P-256 is ES256, Ed25519 is EdDSA, anything else is refused. */
export function algorithmOf(key: KeyObject): SigningAlgorithm | undefined {
  if (key.asymmetricKeyType === 'ed25519') return 'EdDSA';
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'ES256';
  return undefined;
}

/** What a kid may look like: it becomes a file name and stands in messages. */
export const KID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

const MAX_KEY_FILE_LENGTH = 16_384;

async function readKeyFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new BundleError('bundle_untrusted', `cannot read the key file \`${path}\`; \`trust.keys\` names it`, {
      cause: error,
    });
  }
}

function parseTrustKey(kid: string, text: string, name: string): TrustKey {
  if (!KID.test(kid)) throw untrusted(`\`${kid.slice(0, 64)}\` is no kid: use letters, digits, \`.\`, \`_\` and \`-\``);
  const key = text.trimStart().startsWith('{') ? fromJwk(kid, text, name) : fromPem(text, name);
  const alg = algorithmOf(key);
  if (alg === undefined) throw untrusted(`${name} is neither a P-256 nor an Ed25519 key`);
  return { kid, alg, key };
}

function fromPem(text: string, name: string): KeyObject {
  if (text.length > MAX_KEY_FILE_LENGTH || !/^-----BEGIN PUBLIC KEY-----\r?\n/.test(text.trimStart())) {
    throw untrusted(`${name} is no PEM public key (\`BEGIN PUBLIC KEY\`); a private key or a secret has no place here`);
  }
  try {
    return createPublicKey(text);
  } catch (error) {
    throw untrusted(`${name} holds no public key that can be read`, error);
  }
}

const JWK_MEMBERS = new Set(['kty', 'crv', 'x', 'y', 'kid', 'alg', 'use', 'exp']);

function fromJwk(kid: string, text: string, name: string): KeyObject {
  const jwk = text.length > MAX_KEY_FILE_LENGTH ? undefined : parseLooseObject(text);
  if (jwk === undefined) throw untrusted(`${name} is no JWK`);
  if (Object.keys(jwk).some((member) => !JWK_MEMBERS.has(member))) {
    throw untrusted(
      `${name} has members that a public JWK of P-256 or Ed25519 has not; a private key has no place here`,
    );
  }
  if (jwk['kid'] !== undefined && jwk['kid'] !== kid) throw untrusted(`${name} has another kid than \`${kid}\``);
  if (jwk['use'] !== undefined && jwk['use'] !== 'sig') throw untrusted(`${name} is not for signatures`);
  let key: KeyObject;
  try {
    // The members were checked; what is in them is for createPublicKey to refuse.
    key = createPublicKey({ key: jwk as Record<string, string>, format: 'jwk' });
  } catch (error) {
    throw untrusted(`${name} holds no public key that can be read`, error);
  }
  if (jwk['alg'] !== undefined && jwk['alg'] !== algorithmOf(key)) throw untrusted(`${name} names another algorithm`);
  return key;
}

/** People write key files with blanks and line feeds; the keys in it may still be there only once. */
function parseLooseObject(text: string): { readonly [member: string]: unknown } | undefined {
  if (text.includes('\\')) return undefined;
  return parseCanonicalJson(text.replaceAll(/[\s]+/g, ''));
}

function untrusted(message: string, cause?: unknown): BundleError {
  return new BundleError('bundle_untrusted', message, { cause });
}
