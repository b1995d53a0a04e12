import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { isObject } from '../decision/json.ts';
import { jwkThumbprint } from './jwk-thumbprint.ts';
import { parseKeySet } from './key-set.ts';
import { parseStrictJson } from './strict-json.ts';

/** A private key to sign with. */
export interface SigningKey {
  readonly privateKey: KeyObject;
  readonly published: PublishedJwk;
}

/** What a signing key's algorithm may be, and so that of its tokens. */
export const SIGNING_ALGORITHMS = ['ES256', 'EdDSA'] as const;

export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

/** A public key as it stands in a published JWK set; its `kid` is its thumbprint (RFC 7638). */
export type PublishedJwk = { readonly kid: string; readonly alg: SigningAlgorithm; readonly use: 'sig' } & {
  readonly [member: string]: string;
};

/** Reads a private key of P-256 or Ed25519, in PEM or as a JWK. Throws `SyntaxError`, which shows nothing of it. */
export function parseSigningKey(text: string): SigningKey {
  const key = readKey(text);
  if (key.type !== 'private') throw new SyntaxError('the signing key is no private key');
  return { privateKey: key, published: publish(key) };
}

/** Reads the public part of such a key; the private one suffices. Throws `SyntaxError`. */
export function parsePublishedKey(text: string): PublishedJwk {
  return publish(readKey(text));
}

function readKey(text: string): KeyObject {
  if (text.trimStart().startsWith('{')) return readJwk(parseStrictJson(text));
  try {
    return text.includes('PUBLIC KEY-----') ? createPublicKey(text) : createPrivateKey(text);
  } catch {
    // The cause could show a part of the file.
    throw new SyntaxError('the file holds no unencrypted key in PEM or JWK');
  }
}

function readJwk(jwk: unknown): KeyObject {
  if (!isObject(jwk)) throw new SyntaxError('a key is no JWK');
  // Node copies the members that it knows, and checks their types.
  const key = { ...jwk };
  try {
    return Object.hasOwn(jwk, 'd') ? createPrivateKey({ key, format: 'jwk' }) : createPublicKey({ key, format: 'jwk' });
  } catch {
    throw new SyntaxError('a key is malformed');
  }
}

function publish(key: KeyObject): PublishedJwk {
  const jwk = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' });
  const [published] = parseKeySet(JSON.stringify({ keys: [jwk] }));
  const alg = SIGNING_ALGORITHMS.find((one) => published?.algorithms.includes(one));
  if (published === undefined || alg === undefined) {
    throw new SyntaxError('a signing key is neither of P-256 nor of Ed25519');
  }
  return { ...published.jwk, kid: jwkThumbprint(published.jwk), alg, use: 'sig' };
}
