import { createHash } from 'node:crypto';
import { BundleError } from '../errors.ts';
import type { BundleClaims, RolloutOrder } from './claims.ts';

/** How far clocks may differ, in seconds. */
export const LEEWAY_S = 60;

/** The digest of a mark that an operator lowered: nobody knows the archive of that version, so any will do, once. */
export const ANY_ARCHIVE = '0'.repeat(64);

/** The newest of a bundle and scope that was in force here. */
export interface BundleMark {
  readonly version: number;
  /** Of its archive, or what {@link markDigest} says. */
  readonly sha256: string;
  /** The highest that any version in force has signed. */
  readonly minRollbackVersion: number;
}

/**
 * What a mark remembers of an archive: its digest. Of a delta the revision that it leads to: the whole archive of that
 * version and revision says the same, as its author signed, and no digest tells that.
 */
export function markDigest({ kind, revision }: BundleClaims, sha256: string): string {
  return kind === 'delta' ? revisionDigest(revision) : sha256;
}

/** Whether a version is what the mark remembers of it. */
export function isMarked(claims: BundleClaims, sha256: string, mark: BundleMark): boolean {
  const known = [sha256, revisionDigest(claims.revision), ANY_ARCHIVE];
  return claims.version === mark.version && known.includes(mark.sha256);
}

function revisionDigest(revision: string): string {
  return createHash('sha256').update(`revision of a delta: ${revision}`).digest('hex');
}

/** The newest order of a bundle and scope that was followed here. */
export interface OrderMark {
  readonly version: number;
  /** Of its payload. */
  readonly digest: string;
}

/** Refuses a bundle that is older than the mark, expired, or not yet valid. Throws `bundle_untrusted`. */
export function checkClaims(
  claims: BundleClaims,
  sha256: string,
  mark: BundleMark | undefined,
  nowEpochS: number,
  { rollback = false }: { readonly rollback?: boolean } = {},
): void {
  const { version } = claims;
  if (nowEpochS >= claims.expiresEpochS + LEEWAY_S) throw refused(`expired at ${time(claims.expiresEpochS)}`);
  if (nowEpochS < claims.notBeforeEpochS - LEEWAY_S) {
    throw refused(`is not valid before ${time(claims.notBeforeEpochS)}; is this machine's clock right?`);
  }
  if (mark === undefined) return;
  if (version === mark.version && !isMarked(claims, sha256, mark)) {
    throw refused(`has the version ${version}, which was another archive before; a version is given once`);
  }
  if (version >= mark.version) return;
  if (!rollback) {
    throw refused(
      `has the version ${version}, older than ${mark.version}, which was in force; \`sallyport keys bundle mark\` lowers that mark`,
    );
  }
  if (version < mark.minRollbackVersion) {
    throw refused(`has the version ${version}, and none below ${mark.minRollbackVersion} may come back`);
  }
}

/** Refuses an order that is older than the mark or expired. Throws `bundle_untrusted`. */
export function checkOrderAgainst(
  order: RolloutOrder,
  digest: string,
  mark: OrderMark | undefined,
  nowEpochS: number,
): void {
  if (nowEpochS >= order.expiresEpochS + LEEWAY_S) throw refused(`expired at ${time(order.expiresEpochS)}`);
  if (nowEpochS < order.issuedAtEpochS - LEEWAY_S) {
    throw refused(`was signed at ${time(order.issuedAtEpochS)}, which is yet to come; is this machine's clock right?`);
  }
  if (mark === undefined || order.version > mark.version) return;
  if (order.version < mark.version) {
    throw refused(`is the order ${order.version}, older than ${mark.version}, which was followed`);
  }
  if (digest !== mark.digest) throw refused(`is the order ${order.version}, which was another one before`);
}

function time(epochS: number): string {
  const date = new Date(epochS * 1000);
  return Number.isNaN(date.getTime()) ? `${epochS}` : date.toISOString().replace('.000Z', 'Z');
}

function refused(fault: string): BundleError {
  return new BundleError('bundle_untrusted', `what was signed ${fault}`);
}
