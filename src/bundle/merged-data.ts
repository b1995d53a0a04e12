import { type Bundle, bundleData } from './bundle.ts';
import { BundleError } from './errors.ts';

/** The data of a whole set: as text for an engine, with every digit of every number, and parsed. */
export interface MergedData {
  readonly text: Uint8Array;
  readonly value: { readonly [key: string]: unknown };
}

/** Joins the data of bundles. Throws a `BundleError` where two have members below one top-level key. */
export function mergeData(bundles: readonly Bundle[]): MergedData {
  const [only, ...others] = bundles;
  if (only !== undefined && others.length === 0) return { text: only.data, value: bundleData(only) };

  const values = new Map(bundles.map((bundle) => [bundle, bundleData(bundle)]));
  const owners = new Map<string, Bundle>();
  for (const bundle of bundles) {
    for (const key of Object.keys(values.get(bundle) ?? {})) {
      const owner = owners.get(key);
      if (owner !== undefined) {
        throw new BundleError(
          'bundle_conflict',
          `bundles \`${owner.name}\` and \`${bundle.name}\` both have data below \`${key}\`; give each a key of its own`,
        );
      }
      owners.set(key, bundle);
    }
  }
  // The members are spliced as text, because printing parsed numbers anew would change large ones.
  const members = bundles.map((bundle) => Buffer.from(bundle.data).toString('utf8').trim().slice(1, -1).trim());
  const text = `{${members.filter((member) => member !== '').join(',')}}`;
  return {
    text: Buffer.from(text),
    value: Object.fromEntries([...owners].map(([key, owner]) => [key, values.get(owner)?.[key]])),
  };
}
