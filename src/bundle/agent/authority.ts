import type { Clock } from '../../decision/ports.ts';
import { BundleError } from '../errors.ts';
import type { RolloutOrder } from '../signing/claims.ts';
import type { HighWaterMark } from '../signing/high-water-mark.ts';
import { checkClaims } from '../signing/mark-check.ts';
import { markKey } from '../signing/mark-file.ts';
import { verifyRolloutOrder } from '../signing/rollout-order.ts';
import { loadTrustKeys, type TrustKeys } from '../signing/trust-keys.ts';
import type { Download } from '../source.ts';
import { createTrust, type SignedTrust, type Trust, type TrustConfig, type Trusted, verifyTrust } from '../trust.ts';

/**
 * As what a download is judged. `offered`: by everything. `kept`: it was in force here before, so that it may have expired
 * since. `base`: the first part of what is in force, so that its version is judged with the last part.
 */
export type Role = 'offered' | 'kept' | 'base';

/** What makes one bundle and the orders for it believed. */
export interface Authority {
  /** Reads the keys; throws a `BundleError` that names a bad one. Everything else does it by itself. */
  open(): Promise<void>;
  /** Before a byte is unpacked. Throws a `BundleError`. */
  verify(download: Download, role: Role): Promise<Trusted>;
  /** Once it is in force as stable: nothing older is believed from then on. */
  raise(trusted: Trusted): Promise<void>;
  /** Throws a `BundleError` for a forged, expired or older order; from then on nothing older is believed. */
  acceptOrder(jws: string): Promise<RolloutOrder>;
  /** The digest, where trust is a pin. */
  readonly pin?: () => string;
  /** A clock that does not go back. */
  nowEpochS(): number;
}

export interface AuthorityOptions {
  readonly name: string;
  readonly trust: TrustConfig;
  readonly clock: Clock;
  /** Where the newest versions are remembered; needed unless `trust` is a pin. */
  readonly mark?: HighWaterMark | undefined;
}

export function createAuthority({ name, trust, clock, mark }: AuthorityOptions): Authority {
  if ('sha256' in trust) return createPinAuthority(trust, clock);
  if (mark === undefined) {
    throw new BundleError('bundle_untrusted', `bundle \`${name}\`: \`trust.keys\` needs \`agent.data_dir\``);
  }
  return createKeysAuthority({ name, trust, mark, clock });
}

/** Believes the one file that a pin names, and no orders. The pin is read at each use. */
export function createPinAuthority(trust: { readonly sha256: string }, clock: Clock): Authority {
  return {
    open: async () => {},
    pin: () => trust.sha256,
    verify: async ({ bytes }) => ({ sha256: verifyTrust(bytes, trust) }),
    raise: async () => {},
    acceptOrder: () => Promise.reject(new BundleError('bundle_untrusted', 'orders are signed, and `trust` is a pin')),
    nowEpochS: () => clock.now().epochMs / 1000,
  };
}

interface Opened {
  readonly keys: TrustKeys;
  readonly trusts: { readonly [role in Role]: Trust };
}

/** Looks after the marks' clock too: it goes on from the latest time that was seen here, also before a restart. */
function createKeysAuthority({
  name,
  trust,
  mark,
  clock,
}: AuthorityOptions & { readonly trust: SignedTrust; readonly mark: HighWaterMark }): Authority {
  let opening: Promise<Opened> | undefined;
  let latest = { epochS: 0, monotonicMs: 0 };

  const open = async (): Promise<Opened> => {
    const keys = await loadTrustKeys(trust.keys);
    const { epochMs, monotonicMs } = clock.now();
    latest = { epochS: Math.max(epochMs / 1000, (await mark.read()).latestEpochS), monotonicMs };
    const by = (marks: HighWaterMark): Trust => createTrust({ name, trust, mark: marks, keys });
    const expiredToo: HighWaterMark = {
      ...mark,
      // Only reads: what was in force comes back also where the disk is full.
      check: async (claims, sha256, question) => {
        const { bundles, latestEpochS } = await mark.read();
        const nowEpochS = Math.max(Math.floor(clock.now().epochMs / 1000), latestEpochS);
        const expiresEpochS = Math.max(claims.expiresEpochS, nowEpochS + HOUR_S);
        const known = bundles.get(markKey(claims.scope, claims.name));
        checkClaims({ ...claims, expiresEpochS }, sha256, known, nowEpochS, question);
      },
    };
    const anyVersion: HighWaterMark = { ...mark, check: async () => {} };
    return { keys, trusts: { offered: by(mark), kept: by(expiredToo), base: by(anyVersion) } };
  };
  const opened = (): Promise<Opened> => {
    opening ??= open().catch((error: unknown) => {
      // A key file that was not there may be there at the next attempt.
      opening = undefined;
      throw error;
    });
    return opening;
  };

  return {
    open: async () => {
      await opened();
    },
    verify: async (download, role) => (await opened()).trusts[role].verify(download),
    raise: async (trusted) => (await opened()).trusts.offered.raise(trusted),
    acceptOrder: async (jws) => {
      const { keys } = await opened();
      const order = verifyRolloutOrder(jws, { keys, scope: trust.scope, name });
      await mark.checkOrder(order);
      await mark.raiseOrder(order);
      return order;
    },
    nowEpochS: () => {
      const { epochMs, monotonicMs } = clock.now();
      return Math.max(epochMs / 1000, latest.epochS + (monotonicMs - latest.monotonicMs) / 1000);
    },
  };
}

const HOUR_S = 3600;
