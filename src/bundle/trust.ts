import { createHash, timingSafeEqual } from 'node:crypto';
import { BundleError } from './errors.ts';
import { verifyArchiveSignature } from './signing/bundle-signature.ts';
import type { BundleClaims } from './signing/claims.ts';
import type { HighWaterMark } from './signing/high-water-mark.ts';
import { verifyOpaSignature } from './signing/opa-signature.ts';
import { loadTrustKeys, type TrustKeys } from './signing/trust-keys.ts';
import type { Download } from './source.ts';

/** What local config believes of a bundle: the SHA-256 of the whole file, in lower-case hex. */
export interface PinnedTrust {
  readonly sha256: string;
}

/** What local config believes of a bundle: who signed it, and for where. */
export interface SignedTrust {
  /** kid → path of a PEM public key or a JWK. Several: any of them, as while keys rotate. */
  readonly keys: { readonly [kid: string]: string };
  readonly scope: string;
  /** `jws`: beside the archive, over the whole file. `opa`: `.signatures.json` inside it. */
  readonly signature: 'jws' | 'opa';
}

/** `trust` of a bundle in the config. */
export type TrustConfig = PinnedTrust | SignedTrust;

/** A download that is believed. */
export interface Trusted {
  /** Of the whole file, lower-case hex. */
  readonly sha256: string;
  /** What its author signed; absent under a pin. */
  readonly claims?: BundleClaims;
}

export interface TrustQuestion {
  /** It was in force before and is to come back: versions down to the signed `min_rollback_version` are let through. */
  readonly rollback?: boolean;
}

/** The one place that decides whether a download is believed. */
export interface Trust {
  /**
   * Believes or throws a `BundleError` `bundle_untrusted`. Nothing of the archive is unpacked before its signature holds
   * (`jws`, `sha256`); it is to be called on the one buffer that is unpacked afterwards.
   */
  verify(download: Pick<Download, 'bytes' | 'signature'>, question?: TrustQuestion): Promise<Trusted>;
  /** To be called once it is in force: from then on nothing older is believed, also after a restart. */
  raise(trusted: Trusted): Promise<void>;
}

export interface TrustOptions {
  /** The bundle's name in config: what was signed for another name is refused. */
  readonly name: string;
  readonly trust: TrustConfig;
  readonly mark: HighWaterMark;
}

/** Reads the keys that `trust` names, then {@link createTrust}. Throws a `BundleError` that names a bad key file. */
export async function openTrust(options: TrustOptions): Promise<Trust> {
  const { trust } = options;
  return createTrust({ ...options, keys: 'keys' in trust ? await loadTrustKeys(trust.keys) : new Map() });
}

/** Trust by keys that were read already. */
export function createTrust({ name, trust, mark, keys }: TrustOptions & { readonly keys: TrustKeys }): Trust {
  if ('sha256' in trust) {
    return {
      verify: async ({ bytes }) => ({ sha256: verifyTrust(bytes, trust) }),
      raise: async () => {},
    };
  }
  const { scope, signature: form } = trust;
  const claimsOf = async ({ bytes, signature }: Pick<Download, 'bytes' | 'signature'>): Promise<BundleClaims> => {
    if (form === 'opa') return verifyOpaSignature(bytes, { keys, scope, name });
    if (signature === undefined)
      throw untrusted('no signature came with it; `sallyport build --sign` makes NAME.tar.gz.jws');
    return verifyArchiveSignature(bytes, signature, { keys, scope, name });
  };
  return {
    verify: async (download, { rollback = false } = {}) => {
      const claims = await claimsOf(download);
      const sha256 = createHash('sha256').update(download.bytes).digest('hex');
      await mark.check(claims, sha256, { rollback });
      return { sha256, claims };
    },
    raise: async ({ claims, sha256 }) => {
      if (claims !== undefined) await mark.raise(claims, sha256);
    },
  };
}

/**
 * Compares the file with its pin, in constant time, and answers its digest. It covers every byte of the file, so it is
 * to be called on the one buffer that is unpacked afterwards, before anything is unpacked.
 */
export function verifyTrust(bytes: Uint8Array, trust: PinnedTrust): string {
  const actual = createHash('sha256').update(bytes).digest();
  const pinned = Buffer.from(trust.sha256, 'hex');
  if (pinned.length !== actual.length || !timingSafeEqual(pinned, actual)) {
    const found = actual.toString('hex');
    throw untrusted(
      `its SHA-256 is \`${found}\`, not what \`trust.sha256\` pins; if this file is the one you mean, pin that digest`,
    );
  }
  return actual.toString('hex');
}

function untrusted(message: string): BundleError {
  return new BundleError('bundle_untrusted', message);
}
