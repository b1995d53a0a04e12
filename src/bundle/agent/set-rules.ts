import type { Bundle } from '../bundle.ts';
import { BundleError } from '../errors.ts';
import { rootsOverlap } from '../manifest.ts';

/** All of them, or `undefined` where one is not there. */
export function complete<T>(members: readonly (T | undefined)[]): readonly T[] | undefined {
  const there = members.filter((member) => member !== undefined);
  return there.length === members.length ? there : undefined;
}

/** INVARIANT: every path of `data` has one bundle that may say what is there. */
export function checkDisjoint(bundles: readonly Bundle[]): void {
  for (const [at, one] of bundles.entries()) {
    for (const other of bundles.slice(at + 1)) {
      const root = one.roots.find((mine) => other.roots.some((theirs) => rootsOverlap(mine, theirs)));
      if (root === undefined) continue;
      throw new BundleError(
        'bundle_conflict',
        `bundles \`${one.name}\` and \`${other.name}\` both own \`${root === '' ? 'data' : `data/${root}`}\`; give each its own roots`,
      );
    }
  }
}
