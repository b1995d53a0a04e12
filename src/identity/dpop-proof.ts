import { hash } from 'node:crypto';
import { isObject } from '../decision/json.ts';
import type { Instant } from '../decision/ports.ts';
import { type JsonMembers, mediaType, readCompactJws } from './compact-jws.ts';
import { SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from './config-jwt.ts';
import { CredentialFault } from './credential-fault.ts';
import { normaliseTarget } from './dpop-target.ts';
import { jwkThumbprint } from './jwk-thumbprint.ts';
import { importKeySet, type PublishedKey, parseKeySet } from './key-set.ts';
import { isSignedWith } from './verify-jws.ts';

/** What a DPoP proof must prove: that it was made now, for this request and this token, with this key. */
export interface ProofWanted {
  readonly jkt: string;
  readonly token: string;
  readonly method: string;
  /** As {@link normaliseTarget} writes it. */
  readonly target: string;
  /** How far `iat` may lie from the clock, to either side. */
  readonly maxAgeMs: number;
}

/** What must not be seen again. */
export interface ProofSeen {
  readonly jti: string;
  readonly issuedAtMs: number;
}

/**
 * Verifies a proof by every rule of RFC 9449 §4.3 but the last: whether it was seen before. Throws
 * {@link CredentialFault}. Its key is believed only because the token names that key's thumbprint.
 */
export async function verifyProof(proof: string, wanted: ProofWanted, at: Instant): Promise<ProofSeen> {
  if (proof.length > MAX_PROOF_LENGTH) throw new CredentialFault('the DPoP proof is too long');
  const { header, payload } = readProof(proof);
  const { key, algorithm } = parseHeader(header, wanted);
  const seen = parsePayload(payload, wanted, at);
  await verifySignature(proof, key, algorithm);
  return seen;
}

/** Several times what the largest key accepted here needs. */
const MAX_PROOF_LENGTH = 8192;
const MAX_JTI_LENGTH = 128;

function readProof(proof: string): { readonly header: JsonMembers; readonly payload: JsonMembers } {
  try {
    return readCompactJws(proof);
  } catch (error) {
    // The messages are of a token; this one is not the token.
    const why = error instanceof CredentialFault ? error.message.replaceAll('the token', 'the proof') : 'unreadable';
    throw new CredentialFault(`no DPoP proof: ${why}`);
  }
}

const HEADER_MEMBERS = new Set(['typ', 'alg', 'jwk']);

function parseHeader(
  header: JsonMembers,
  { jkt }: ProofWanted,
): { readonly key: PublishedKey; readonly algorithm: SignatureAlgorithm } {
  for (const name of Object.keys(header)) {
    if (!HEADER_MEMBERS.has(name)) throw new CredentialFault('the header of the DPoP proof has a foreign member');
  }
  const { typ, alg, jwk } = header;
  if (typeof typ !== 'string' || mediaType(typ) !== 'dpop+jwt') {
    throw new CredentialFault('the DPoP proof is not of the type `dpop+jwt`');
  }
  const algorithm = SIGNATURE_ALGORITHMS.find((one) => one === alg);
  if (algorithm === undefined) throw new CredentialFault('the algorithm of the DPoP proof is not accepted');
  if (!isObject(jwk)) throw new CredentialFault('the DPoP proof brings no key');
  const key = publicKey(jwk);
  if (key === undefined || !key.algorithms.includes(algorithm)) {
    throw new CredentialFault('the key of the DPoP proof is not one for its algorithm');
  }
  if (jwkThumbprint(key.jwk) !== jkt) throw new CredentialFault('the DPoP proof is signed by another key');
  return { key, algorithm };
}

function publicKey(jwk: JsonMembers): PublishedKey | undefined {
  try {
    // Refuses private and symmetric ones too. A bigint has no JSON text, and belongs in no key.
    return parseKeySet(JSON.stringify({ keys: [jwk] }))[0];
  } catch {
    throw new CredentialFault('the key of the DPoP proof is malformed, private or symmetric');
  }
}

function parsePayload(payload: JsonMembers, wanted: ProofWanted, at: Instant): ProofSeen {
  const { htm, htu, iat, jti, ath } = ownMembers(payload);
  if (htm !== wanted.method) throw new CredentialFault('the DPoP proof is for another method');
  if (typeof htu !== 'string' || normaliseTarget(htu) !== wanted.target) {
    throw new CredentialFault('the DPoP proof is for another target');
  }
  if (typeof iat !== 'number') throw new CredentialFault('the DPoP proof does not say when it was made');
  const issuedAtMs = iat * 1000;
  // Written so that a NaN is a fault.
  if (!(Math.abs(at.epochMs - issuedAtMs) <= wanted.maxAgeMs)) {
    throw new CredentialFault('the DPoP proof is too old, or from the future');
  }
  if (typeof jti !== 'string' || jti === '' || jti.length > MAX_JTI_LENGTH) {
    throw new CredentialFault('the DPoP proof has no usable `jti`');
  }
  if (ath !== hash('sha256', wanted.token, 'base64url'))
    throw new CredentialFault('the DPoP proof is for another token');
  return { jti, issuedAtMs };
}

function ownMembers(payload: JsonMembers): JsonMembers {
  return { htm: undefined, htu: undefined, iat: undefined, jti: undefined, ath: undefined, ...payload };
}

async function verifySignature(proof: string, key: PublishedKey, algorithm: SignatureAlgorithm): Promise<void> {
  const { keys } = await importKeySet([key], [algorithm]);
  const imported = keys[0]?.byAlgorithm.get(algorithm);
  if (imported === undefined) throw new CredentialFault('the key of the DPoP proof is not one for its algorithm');
  if (!(await isSignedWith(proof, imported, algorithm))) {
    throw new CredentialFault('the signature of the DPoP proof does not verify');
  }
}
