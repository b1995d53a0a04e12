import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Clock } from '../../decision/ports.ts';
import { BundleError } from '../errors.ts';
import type { BundleClaims, RolloutOrder } from './claims.ts';
import {
  ANY_ARCHIVE,
  type BundleMark,
  checkClaims,
  checkOrderAgainst,
  isMarked,
  markDigest,
  type OrderMark,
} from './mark-check.ts';
import { type MarkDocument, markKey, readMarks, writeMarks } from './mark-file.ts';
import { fromRolloutOrder } from './rollout-order.ts';

/**
 * The newest versions that were in force here and the latest time that was seen, on disk: what is older is refused, also
 * after a restart or with the clock set back. A damaged file is a `BundleError`, never a fresh start.
 */
export interface HighWaterMark {
  /** What is on disk. */
  read(): Promise<MarkDocument>;
  /** The later of the clock and the latest time seen, in epoch seconds; keeps it. */
  now(): Promise<number>;
  /** Throws `bundle_untrusted` for a bundle that must not be activated now. `sha256` is of its archive. */
  check(claims: BundleClaims, sha256: string, question?: { readonly rollback?: boolean }): Promise<void>;
  /** To be called when it is in force. Never lowers. */
  raise(claims: BundleClaims, sha256: string): Promise<void>;
  checkOrder(order: RolloutOrder): Promise<void>;
  /** To be called when the order is followed. Never lowers. */
  raiseOrder(order: RolloutOrder): Promise<void>;
  /** An operator's deliberate step back. Answers what the marks were before. */
  lower(target: LoweredMark): Promise<{ readonly bundle?: BundleMark; readonly order?: OrderMark }>;
}

export interface LoweredMark {
  readonly name: string;
  readonly scope: string;
  /** The version that may come back: its archive may be any. 0 forgets the bundle; without it its mark stays. */
  readonly version?: number;
  /** Also forgets the newest order that was followed, so that older ones that are not yet expired are believed again. */
  readonly forgetOrders?: boolean;
  /** Also forgets the latest time seen, as after a clock that ran ahead. */
  readonly resetTime?: boolean;
}

/** One file, `bundle-marks.json`, in `folder`, which must be there. One process at a time is to raise it. */
export function createHighWaterMark({
  folder,
  clock,
}: {
  readonly folder: string;
  readonly clock: Clock;
}): HighWaterMark {
  const file = join(folder, MARK_FILE);
  let last: Promise<unknown> = Promise.resolve();

  /** Changes go one after the other, each on what is on disk by then, so that an operator's change is not lost. */
  const change = <T>(
    step: (marks: MarkDocument) => { readonly next: MarkDocument; readonly result: T },
  ): Promise<T> => {
    const turn = last.then(async () => {
      const marks = await readMarks(file);
      const { next, result } = step(marks);
      if (next !== marks) await writeMarks(file, next);
      return result;
    });
    last = turn.catch(() => undefined);
    return turn;
  };

  /** The marks with the time that counts, kept when it went on enough to matter. */
  const seen = (): Promise<{ readonly marks: MarkDocument; readonly nowEpochS: number }> =>
    change((marks) => {
      const nowEpochS = Math.max(Math.floor(clock.now().epochMs / 1000), marks.latestEpochS);
      const next = nowEpochS - marks.latestEpochS >= KEPT_EVERY_S ? { ...marks, latestEpochS: nowEpochS } : marks;
      return { next, result: { marks, nowEpochS } };
    });

  return {
    read: () => change((marks) => ({ next: marks, result: marks })),
    now: async () => (await seen()).nowEpochS,
    check: async (claims, sha256, question) => {
      const { marks, nowEpochS } = await seen();
      checkClaims(claims, sha256, marks.bundles.get(markKey(claims.scope, claims.name)), nowEpochS, question);
    },
    raise: (claims, sha256) =>
      change((marks) => {
        const key = markKey(claims.scope, claims.name);
        const { minRollbackVersion, version } = claims;
        const old = marks.bundles.get(key);
        if (old?.version === version && !isMarked(claims, sha256, old)) {
          throw new BundleError('bundle_untrusted', `version ${version} was another archive before`);
        }
        if (old !== undefined && old.version > version) return { next: marks, result: undefined };
        const mark = {
          version,
          sha256: markDigest(claims, sha256),
          minRollbackVersion: Math.max(minRollbackVersion, old?.minRollbackVersion ?? 0),
        };
        return { next: { ...marks, bundles: new Map(marks.bundles).set(key, mark) }, result: undefined };
      }),
    checkOrder: async (order) => {
      const { marks, nowEpochS } = await seen();
      checkOrderAgainst(order, digestOf(order), marks.orders.get(markKey(order.scope, order.bundle)), nowEpochS);
    },
    raiseOrder: (order) =>
      change((marks) => {
        const key = markKey(order.scope, order.bundle);
        if ((marks.orders.get(key)?.version ?? 0) >= order.version) return { next: marks, result: undefined };
        const mark = { version: order.version, digest: digestOf(order) };
        return { next: { ...marks, orders: new Map(marks.orders).set(key, mark) }, result: undefined };
      }),
    lower: ({ name, scope, version, forgetOrders = false, resetTime = false }) =>
      change((marks) => {
        const key = markKey(scope, name);
        const bundle = marks.bundles.get(key);
        const order = marks.orders.get(key);
        if (bundle !== undefined && version !== undefined && version > bundle.version) {
          throw new BundleError('bundle_untrusted', `the mark is ${bundle.version}; only a lower one can be set`);
        }
        const bundles = new Map(marks.bundles);
        if (version === 0) bundles.delete(key);
        if (version !== undefined && version > 0 && bundle !== undefined) {
          bundles.set(key, {
            version,
            sha256: ANY_ARCHIVE,
            minRollbackVersion: Math.min(bundle.minRollbackVersion, version),
          });
        }
        const orders = new Map(marks.orders);
        if (forgetOrders) orders.delete(key);
        const latestEpochS = resetTime ? 0 : marks.latestEpochS;
        const before = { ...(bundle === undefined ? {} : { bundle }), ...(order === undefined ? {} : { order }) };
        return { next: { bundles, orders, latestEpochS }, result: before };
      }),
  };
}

export const MARK_FILE = 'bundle-marks.json';

/** How often the time is written while nothing else changes, in seconds; well below the leeway. */
const KEPT_EVERY_S = 30;

function digestOf(order: RolloutOrder): string {
  return createHash('sha256')
    .update(JSON.stringify(fromRolloutOrder(order)))
    .digest('hex');
}
