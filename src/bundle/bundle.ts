import { createHash } from 'node:crypto';
import { isObject } from '../decision/json.ts';
import { type ArchiveFiles, type ArchiveLimits, DEFAULT_ARCHIVE_LIMITS, readArchive } from './archive.ts';
import { checkDataWithinRoots, mergeDocuments } from './documents.ts';
import { planEntrypoints } from './entrypoints.ts';
import { BundleError, nameBundle } from './errors.ts';
import { parseManifest, rootCovers } from './manifest.ts';
import { parseJson } from './member-json.ts';

/** One compiled bundle, read and found consistent. That it may be believed was settled before: see `verifyTrust`. */
export interface Bundle {
  readonly name: string;
  /** What the manifest says, else the start of the file's digest: never empty. */
  readonly revision: string;
  /** Paths below `data` that are this bundle's alone; `['']` is all of it. */
  readonly roots: readonly string[];
  /** JSON text of `data`, UTF-8; numbers keep every digit. */
  readonly data: Uint8Array;
  /** JSON text of OPA's intermediate representation. */
  readonly plan: Uint8Array;
  readonly wasm: Uint8Array;
  /** Sorted; as the plan says. That the module agrees shows when it is loaded. */
  readonly entrypoints: readonly string[];
  /** Packed sources by file name. */
  readonly rego: ReadonlyMap<string, string>;
  readonly metadata: { readonly [key: string]: unknown };
  /** The request cases that it must pass before it is activated, as `cases.json` in it has them; not yet parsed. */
  readonly cases: readonly unknown[];
  /** Of the whole file, lower-case hex. */
  readonly sha256: string;
}

/** Reads a compiled bundle; rejects with the `BundleError` that {@link parseBundle} throws. */
export type ReadBundle = (name: string, bytes: Uint8Array) => Promise<Bundle>;

/**
 * Reads a compiled bundle from one buffer; throws a `BundleError` that names the bundle and the fault. Nothing of its module
 * is compiled or run: that is for whoever loads it, first of all in the thread that examines it.
 */
export function parseBundle(name: string, bytes: Uint8Array, limits: ArchiveLimits = DEFAULT_ARCHIVE_LIMITS): Bundle {
  try {
    return toBundle(name, readArchive(bytes, limits), createHash('sha256').update(bytes).digest('hex'));
  } catch (error) {
    throw nameBundle(name, error, 'bundle_invalid');
  }
}

/** The data of a bundle parsed. A key such as `__proto__` is an own property of its object. */
export function bundleData({ data }: Pick<Bundle, 'data'>): { readonly [key: string]: unknown } {
  const value = parseJson('data.json', data);
  if (!isObject(value)) throw new BundleError('bundle_invalid', '`data.json` at the root is not an object');
  return value;
}

/** Demands that each entrypoint is in one of the bundles. */
export function requireEntrypoints(bundles: readonly Bundle[], entrypoints: readonly string[]): void {
  for (const entrypoint of entrypoints) {
    if (bundles.some((bundle) => bundle.entrypoints.includes(entrypoint))) continue;
    const [bundle] = bundles;
    const subject = bundles.length === 1 && bundle !== undefined ? `bundle \`${bundle.name}\` has` : 'no bundle has';
    const article = bundles.length === 1 ? 'no' : 'the';
    throw new BundleError(
      'bundle_lacks_entrypoint',
      `${subject} ${article} entrypoint \`${entrypoint}\`, which \`policy.decisions\` names; build it with \`-e ${entrypoint}\``,
    );
  }
}

function toBundle(name: string, files: ArchiveFiles, sha256: string): Bundle {
  refuseUnknownMembers(files);
  const manifestBytes = files.get('.manifest');
  const manifest = parseManifest(manifestBytes && parseJson('.manifest', manifestBytes));
  const plan = files.get('plan.json');
  const wasm = files.get('policy.wasm');
  if (plan === undefined || wasm === undefined) throw notCompiled(files, plan, wasm);

  const document = mergeDocuments(files);
  checkDataWithinRoots(document.value, manifest.roots);
  const entrypoints = planEntrypoints(parseJson('plan.json', plan));
  checkEntrypoints(entrypoints);
  checkModuleForm(wasm);
  for (const entrypoint of entrypoints) {
    if (!manifest.roots.some((root) => rootCovers(root, entrypoint))) {
      throw new BundleError('bundle_invalid', `entrypoint \`${entrypoint}\` lies outside the roots of \`.manifest\``);
    }
  }
  return {
    name,
    revision: manifest.revision === '' ? `sha256-${sha256.slice(0, 16)}` : manifest.revision,
    roots: manifest.roots,
    data: document.text,
    plan,
    wasm,
    entrypoints,
    rego: regoOf(files),
    metadata: manifest.metadata,
    cases: casesOf(files),
    sha256,
  };
}

/** `.signatures.json` belongs to OPA's signing, which covers less than the file; trust is settled without it. */
const KNOWN_MEMBERS = new Set(['.manifest', '.signatures.json', 'cases.json', 'plan.json', 'policy.wasm']);

function refuseUnknownMembers(files: ArchiveFiles): void {
  for (const name of files.keys()) {
    const last = name.slice(name.lastIndexOf('/') + 1);
    if (KNOWN_MEMBERS.has(name) || last === 'data.json' || last.endsWith('.rego')) continue;
    if (last === 'data.yaml' || last === 'data.yml') {
      throw new BundleError('bundle_invalid', `\`${name}\` is not read; \`sallyport build\` turns it into data.json`);
    }
    if (name === 'patch.json')
      throw new BundleError('bundle_invalid', 'it is a delta bundle; only whole bundles are read');
    throw new BundleError('bundle_invalid', `member \`${name}\` has no meaning in a bundle; leave it out`);
  }
}

function notCompiled(files: ArchiveFiles, plan: Uint8Array | undefined, wasm: Uint8Array | undefined): BundleError {
  const hasRego = [...files.keys()].some((file) => file.endsWith('.rego'));
  const missing = [plan === undefined ? 'plan.json' : '', wasm === undefined ? 'policy.wasm' : '']
    .filter((member) => member !== '')
    .map((member) => `\`${member}\``)
    .join(' and ');
  const what = hasRego ? 'it holds Rego that is not compiled' : 'it is not compiled';
  return new BundleError(
    'bundle_not_compiled',
    `${what} (no ${missing}); run \`sallyport build --from FOLDER -e ENTRYPOINT --out FILE\` on its sources`,
  );
}

function checkEntrypoints(inPlan: readonly string[]): void {
  if (inPlan.length === 0) throw new BundleError('bundle_lacks_entrypoint', 'it has no entrypoint; build it with `-e`');
  if (new Set(inPlan).size !== inPlan.length) throw new BundleError('bundle_invalid', '`plan.json` has a plan twice');
}

/** INVARIANT: no more than its first bytes are looked at here; to compile or to run it may take for ever. */
function checkModuleForm(wasm: Uint8Array): void {
  if (Buffer.compare(wasm.subarray(0, WASM_1.length), WASM_1) === 0) return;
  throw new BundleError('bundle_invalid', '`policy.wasm` is not a policy module that OPA compiled');
}

/** The magic number and the version that every module begins with (WebAssembly core specification, 5.5.16). */
const WASM_1 = Buffer.from('0061736d01000000', 'hex');

/** The request cases that an archive carries; none where it has no `cases.json`. */
export function casesOf(files: ArchiveFiles): readonly unknown[] {
  const bytes = files.get('cases.json');
  if (bytes === undefined) return [];
  const cases = parseJson('cases.json', bytes);
  if (!Array.isArray(cases)) throw new BundleError('bundle_invalid', '`cases.json` is not a list of cases');
  return cases;
}

function regoOf(files: ArchiveFiles): ReadonlyMap<string, string> {
  const decoder = new TextDecoder('utf-8');
  return new Map(
    [...files].filter(([name]) => name.endsWith('.rego')).map(([name, bytes]) => [name, decoder.decode(bytes)]),
  );
}
