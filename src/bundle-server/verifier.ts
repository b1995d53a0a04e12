import { BundleError } from '../bundle/errors.ts';
import { verifyBundleSignature } from '../bundle/signing/bundle-signature.ts';
import type { BundleClaims, RolloutOrder } from '../bundle/signing/claims.ts';
import { verifyRolloutOrder } from '../bundle/signing/rollout-order.ts';
import { loadTrustKeys, type TrustKeys } from '../bundle/signing/trust-keys.ts';
import type { ServedBundle } from './config.ts';

/** Claims that name the archive they are about: what a detached signature always does. */
export type SignedClaims = BundleClaims & { readonly sha256: string };

/** Believes signatures of the authors that the config names for each bundle; holds no key that could make one. */
export interface Verifier {
  /** Over exactly these bytes; throws a `BundleError` with what is wrong. Times are the caller's to judge. */
  bundle(name: string, bytes: Uint8Array, jws: string, kind: BundleClaims['kind']): SignedClaims;
  order(name: string, jws: string): RolloutOrder;
}

/** Reads the key files; throws a `BundleError` that names the one at fault. */
export async function loadVerifier(bundles: { readonly [name: string]: ServedBundle }): Promise<Verifier> {
  const trusted = new Map<string, { readonly keys: TrustKeys; readonly scope: string }>();
  for (const [name, { keys, scope }] of Object.entries(bundles)) {
    trusted.set(name, { keys: await loadTrustKeys(keys), scope });
  }
  const expected = (name: string) => {
    const trust = trusted.get(name);
    if (trust === undefined) throw new BundleError('bundle_untrusted', 'nobody is trusted for it');
    return { ...trust, name };
  };
  return {
    bundle: (name, bytes, jws, kind) => {
      const claims = verifyBundleSignature(bytes, jws, expected(name), kind);
      const { sha256 } = claims;
      if (sha256 === undefined) throw new BundleError('bundle_untrusted', 'its signature names no digest');
      return { ...claims, sha256 };
    },
    order: (name, jws) => verifyRolloutOrder(jws, expected(name)),
  };
}

/** The digest that a signature is about, before it is believed: tells which file to read, and nothing else. */
export function peekDigest(jws: string): string | undefined {
  const payload = jws.split('.')[1];
  if (payload === undefined || payload.length > MAX_PAYLOAD) return undefined;
  const match = /"sha256":"([0-9a-f]{64})"/.exec(Buffer.from(payload, 'base64url').toString('utf8'));
  return match?.[1];
}

/** Of a compact JWS as it is stored or sent, in characters. */
export const MAX_JWS = 8192;
const MAX_PAYLOAD = MAX_JWS;
