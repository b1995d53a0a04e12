import type { Bundle } from './bundle/bundle.ts';
import { mergeData } from './bundle/merged-data.ts';
import { toShared } from './bundle/shared-bytes.ts';
import { isObject } from './decision/json.ts';
import { CatalogError } from './inspection/catalog-error.ts';
import type { PolicyConfig } from './policy/config.ts';
import { type PreparedPolicy, preparePolicy } from './policy/prepared-policy.ts';
import { plainData } from './policy/values/plain-data.ts';
import { type StoredData, storeData } from './policy/values/stored-data.ts';
import { checkLimitsData } from './quota/limits-data.ts';

/** What is made of a set of bundles before it is loaded: in another thread, so that loading it takes next to nothing. */
export interface PreparedSet {
  /** In the order of the bundles; none where the engine needs none. */
  readonly policies: readonly PreparedPolicy[];
  /** Of all bundles. */
  readonly data: StoredData;
  /** What of `data.catalog` is compiled: routes, schemas, descriptors, and the names of limits. */
  readonly catalog: unknown;
}

/** Parses data and, for the engine that wants it, translates plans. Throws `PolicyLoadError`, `BundleError` or `CatalogError`. */
export function prepareSet(bundles: readonly Bundle[], { engine }: Pick<PolicyConfig, 'engine'>): PreparedSet {
  const { data, catalog } = readData(bundles);
  const faults = checkLimitsData(catalog);
  if (faults.length > 0) throw new CatalogError([...faults]);
  return {
    policies: engine === 'js' ? bundles.map(({ plan }) => preparePolicy(plan)) : [],
    data,
    catalog: compiledParts(catalog),
  };
}

/** Of one bundle only the parts that are looked at are parsed: that its data are JSON was seen when it was read. */
function readData(bundles: readonly Bundle[]): { readonly data: StoredData; readonly catalog: unknown } {
  const [only, ...others] = bundles;
  if (only !== undefined && others.length === 0) {
    const data = storeData(toShared(only.data));
    const value = plainData(data);
    if (isObject(value)) return { data, catalog: value['catalog'] };
  }
  const { text, value } = mergeData(bundles);
  return { data: storeData(toShared(text)), catalog: value['catalog'] };
}

/** What was made of sets in their trials, until they are loaded. */
export interface PreparedSets {
  keep(bundles: readonly Bundle[], prepared: PreparedSet): void;
  /** Once; `undefined` where nothing was made of exactly these. */
  take(bundles: readonly Bundle[]): PreparedSet | undefined;
}

export function createPreparedSets(): PreparedSets {
  const kept = new WeakMap<Bundle, { readonly bundles: readonly Bundle[]; readonly prepared: PreparedSet }>();
  return {
    keep: (bundles, prepared) => {
      const [first] = bundles;
      if (first !== undefined) kept.set(first, { bundles, prepared });
    },
    take: (bundles) => {
      const [first] = bundles;
      const found = first && kept.get(first);
      if (first === undefined || found === undefined) return undefined;
      const { bundles: others, prepared } = found;
      if (others.length !== bundles.length || !others.every((bundle, at) => bundle === bundles[at])) return undefined;
      kept.delete(first);
      return prepared;
    },
  };
}

/** What can be handed to another thread instead of copied to it; the rest of what is large is shared. */
export function movedParts({ data }: PreparedSet): ArrayBuffer[] {
  const arrays = data.large.flatMap(({ members }) => [members.offsets, members.slots]);
  return arrays.flatMap(({ buffer }) => (buffer instanceof ArrayBuffer ? [buffer] : []));
}

const COMPILED = ['routes', 'schemas', 'ratelimit', 'limits'];

function compiledParts(catalog: unknown): unknown {
  if (!isObject(catalog)) return catalog;
  return Object.fromEntries(COMPILED.flatMap((key) => (Object.hasOwn(catalog, key) ? [[key, catalog[key]]] : [])));
}
