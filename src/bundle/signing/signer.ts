import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { BundleError } from '../errors.ts';
import { type DocumentType, MAX_JWS_LENGTH, signJws } from './jws.ts';
import { algorithmOf, KID, type SigningAlgorithm } from './trust-keys.ts';

/** An author's private key at work; the key itself never leaves it. */
export interface Signer {
  readonly kid: string;
  readonly alg: SigningAlgorithm;
  /** SPKI in PEM, for whoever is to verify. */
  readonly publicPem: string;
  /** The compact JWS of a payload, its members written in their order. */
  sign(type: DocumentType, payload: object): string;
  /** As OPA wants it inside `.signatures.json`: type `JWT`. */
  signToken(payload: object): string;
}

/** A signer of a PEM private key (PKCS #8; P-256 or Ed25519). Throws a `BundleError` for another key. */
export function createSigner({ pem, kid }: { readonly pem: string; readonly kid: string }): Signer {
  if (!KID.test(kid)) throw unusable(`\`${kid.slice(0, 64)}\` is no kid: use letters, digits, \`.\`, \`_\` and \`-\``);
  const key = readPrivateKey(pem, kid);
  const alg = algorithmOf(key);
  if (alg === undefined) throw unusable(`the signing key \`${kid}\` is neither of P-256 nor of Ed25519`);
  return {
    kid,
    alg,
    publicPem: createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString(),
    sign: (typ, payload) => {
      const jws = signJws({ alg, kid, typ }, payload, { key, alg });
      if (jws.length > MAX_JWS_LENGTH) throw unusable(`the signed document is longer than ${MAX_JWS_LENGTH} bytes`);
      return jws;
    },
    signToken: (payload) => signJws({ alg, kid, typ: 'JWT' }, payload, { key, alg }),
  };
}

/** The same of a file. */
export async function loadSigner({
  keyFile,
  kid,
}: {
  readonly keyFile: string;
  readonly kid: string;
}): Promise<Signer> {
  let pem: string;
  try {
    pem = await readFile(keyFile, 'utf8');
  } catch (error) {
    throw unusable(`cannot read the signing key \`${keyFile}\`; \`sallyport keys bundle create\` makes one`, error);
  }
  return createSigner({ pem, kid });
}

function readPrivateKey(pem: string, kid: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw unusable(`the signing key \`${kid}\` is no PEM private key`, error);
  }
}

function unusable(message: string, cause?: unknown): BundleError {
  return new BundleError('bundle_untrusted', message, { cause });
}
