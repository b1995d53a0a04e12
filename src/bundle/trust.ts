import { createHash, timingSafeEqual } from 'node:crypto';
import { BundleError } from './errors.ts';

/** What local config believes of a bundle: the SHA-256 of the whole file, in lower-case hex. */
export interface BundleTrust {
  readonly sha256: string;
}

/**
 * Compares the file with its pin, in constant time, and answers its digest. It covers every byte of the file, so it is
 * to be called on the one buffer that is unpacked afterwards, before anything is unpacked.
 */
export function verifyTrust(bytes: Uint8Array, trust: BundleTrust): string {
  const actual = createHash('sha256').update(bytes).digest();
  const pinned = Buffer.from(trust.sha256, 'hex');
  if (pinned.length !== actual.length || !timingSafeEqual(pinned, actual)) {
    const found = actual.toString('hex');
    throw new BundleError(
      'bundle_untrusted',
      `its SHA-256 is \`${found}\`, not what \`trust.sha256\` pins; if this file is the one you mean, pin that digest`,
    );
  }
  return actual.toString('hex');
}
