import { generateKeyPairSync } from 'node:crypto';
import { packArchive, readArchive } from '../../src/bundle/archive.ts';
import { signBundle } from '../../src/bundle/signing/bundle-signature.ts';
import type { BundleClaims, RolloutOrder } from '../../src/bundle/signing/claims.ts';
import { signForOpa } from '../../src/bundle/signing/opa-signature.ts';
import { createSigner, type Signer } from '../../src/bundle/signing/signer.ts';
import { parseTrustKeys, type SigningAlgorithm, type TrustKeys } from '../../src/bundle/signing/trust-keys.ts';

/** Noon of a day, in epoch seconds: what test documents are signed at. */
export const SIGNED_AT_S = Date.UTC(2026, 10, 22, 12) / 1000;

/** A fresh key pair as an author has it. */
export function newSigner(kid: string, alg: SigningAlgorithm = 'ES256'): Signer {
  const { privateKey } =
    alg === 'EdDSA' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return createSigner({ pem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), kid });
}

export function trustOf(...signers: readonly Signer[]): TrustKeys {
  return parseTrustKeys(new Map(signers.map(({ kid, publicPem }) => [kid, publicPem])));
}

/** Claims for `authz` in `prod`, valid for an hour. */
export function claimsOf(changes: Partial<BundleClaims> = {}): BundleClaims {
  return {
    kind: 'bundle',
    name: 'authz',
    scope: 'prod',
    version: 7,
    revision: 'r7',
    issuedAtEpochS: SIGNED_AT_S,
    notBeforeEpochS: SIGNED_AT_S,
    expiresEpochS: SIGNED_AT_S + 3600,
    minRollbackVersion: 5,
    security: false,
    ...changes,
  };
}

export function orderOf(changes: Partial<RolloutOrder> = {}): RolloutOrder {
  return {
    bundle: 'authz',
    scope: 'prod',
    version: 3,
    issuedAtEpochS: SIGNED_AT_S,
    expiresEpochS: SIGNED_AT_S + 3600,
    candidate: { sha256: 'ab'.repeat(32), version: 8, revision: 'r8' },
    mode: 'canary',
    percent: 10,
    labels: {},
    paused: false,
    aborted: false,
    ...changes,
  };
}

/** An archive as it would be downloaded, signed in both ways. */
export function signedDownload(archive: Uint8Array, signer: Signer, changes: Partial<BundleClaims> = {}) {
  const claims = claimsOf(changes);
  const bytes = packArchive(signForOpa(readArchive(archive), claims, signer));
  return { bytes, signature: signBundle(bytes, claims, signer) };
}

/** The message of what a step throws, or `believed`. */
export async function refusalOf(step: () => unknown): Promise<string> {
  try {
    await step();
    return 'believed';
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'a bug';
    return `${code}: ${error instanceof Error ? error.message : String(error)}`;
  }
}
