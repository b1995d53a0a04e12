import { isObject } from '../decision/json.ts';
import { BundleError } from './errors.ts';

/** A bundle's `.manifest`: which part of `data` it owns, and what it calls itself. */
export interface BundleManifest {
  /** Empty when the maker named none. */
  readonly revision: string;
  /** Paths below `data`, without slashes at the ends; `['']` owns everything. */
  readonly roots: readonly string[];
  readonly metadata: { readonly [key: string]: unknown };
  /** Which Rego the packed sources are in. */
  readonly regoVersion?: number;
}

/** Reads a manifest; an absent one owns everything, as in OPA. A key it does not know might matter, so it is refused. */
export function parseManifest(value: unknown): BundleManifest {
  if (value === undefined) return { revision: '', roots: [''], metadata: {} };
  if (!isObject(value)) throw invalid('`.manifest` is not an object');
  for (const key of Object.keys(value)) {
    if (!KNOWN_KEYS.has(key)) throw invalid(`\`.manifest\` has the unknown key \`${key.slice(0, 64)}\``);
  }
  const revision = value['revision'] ?? '';
  if (typeof revision !== 'string' || !REVISION.test(revision))
    throw invalid('`.manifest` has a revision that is no short text');
  const metadata = value['metadata'] ?? {};
  if (!isObject(metadata)) throw invalid('`.manifest` has metadata that are not an object');
  const regoVersion = value['rego_version'];
  if (regoVersion !== undefined && regoVersion !== 0 && regoVersion !== 1) {
    throw invalid('`.manifest` has a `rego_version` that is neither 0 nor 1');
  }
  const roots = parseRoots(value['roots'] ?? ['']);
  return { revision, roots, metadata, ...(regoVersion === undefined ? {} : { regoVersion }) };
}

/** Whether two roots share a part of `data`: the same path, or one inside the other. */
export function rootsOverlap(a: string, b: string): boolean {
  return rootCovers(a, b) || rootCovers(b, a);
}

/** Whether `path` (slashes between its steps) lies at or below `root`. */
export function rootCovers(root: string, path: string): boolean {
  return root === '' || root === path || path.startsWith(`${root}/`);
}

/** `wasm` and `file_rego_versions` are OPA's own notes about the members; nothing here depends on them. */
const KNOWN_KEYS = new Set(['revision', 'roots', 'metadata', 'rego_version', 'wasm', 'file_rego_versions']);

const REVISION = /^[\x20-\x7e]{0,256}$/;
/** Each is compared with each, and with every key above them. */
const MAX_ROOTS = 1_000;
const MAX_ROOT_LENGTH = 1_024;

function parseRoots(value: unknown): readonly string[] {
  if (!Array.isArray(value)) throw invalid('`.manifest` has roots that are not a list');
  if (value.length > MAX_ROOTS) throw invalid(`\`.manifest\` has more than ${MAX_ROOTS} roots`);
  const roots = value.map((root: unknown) => {
    if (typeof root !== 'string' || root.length > MAX_ROOT_LENGTH) {
      throw invalid('`.manifest` has a root that is not a short text');
    }
    return root.replace(/^\//, '').replace(/\/$/, '');
  });
  for (const [index, root] of roots.entries()) {
    const other = roots.slice(index + 1).find((candidate) => rootsOverlap(root, candidate));
    if (other !== undefined) throw invalid(`\`.manifest\` has the roots \`${root}\` and \`${other}\`, which overlap`);
  }
  return roots;
}

function invalid(message: string): BundleError {
  return new BundleError('bundle_invalid', message);
}
