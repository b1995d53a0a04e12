import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type ArchiveFiles, packArchive, readArchive } from './archive.ts';
import { type Bundle, parseBundle } from './bundle.ts';
import { BundleError } from './errors.ts';
import { parseManifest } from './manifest.ts';
import { parseJson } from './member-json.ts';
import { OPA_VERSION } from './opa-tool.ts';

export interface BuildOptions {
  /** Path of an opa of {@link OPA_VERSION}. */
  readonly opa: string;
  /** The folder with the Rego and the data. */
  readonly from: string;
  /** Besides those that METADATA in the Rego mark. */
  readonly entrypoints: readonly string[];
  /** OPA's capabilities file: what is not in it is refused. */
  readonly capabilities: string;
  /** File name patterns that are left out, such as `*_test.rego`. */
  readonly ignore: readonly string[];
  /** Reads the sources as Rego v0. */
  readonly v0Compatible: boolean;
  /** In place of the digest of the sources. */
  readonly revision?: string;
  /** Request cases, in the order in which they travel as `cases.json`; absent or empty: it has no such member. */
  readonly cases?: readonly unknown[];
  /** Of each run of opa; 300,000 where it is absent. */
  readonly timeoutMs?: number;
}

export interface BuiltBundle {
  readonly bytes: Uint8Array;
  readonly bundle: Bundle;
}

/**
 * Compiles Rego and data into one archive with plan and Wasm, which Sallyport and OPA both load. Equal sources give an
 * equal tar. Throws a `BundleError`, `bundle_build_failed` with OPA's own words where OPA refuses.
 */
export async function buildBundle(options: BuildOptions): Promise<BuiltBundle> {
  await demandFolder(options.from);
  const scratch = await mkdtemp(join(tmpdir(), 'sallyport-build-'));
  try {
    // One run with two targets would silently build only the last, and the wasm build drops the entrypoint rules from
    // the Rego it packs: so two runs, and of the second only the module.
    const [planned, compiled] = await Promise.all([
      compile(options, 'plan', join(scratch, 'plan.tar.gz')),
      compile(options, 'wasm', join(scratch, 'wasm.tar.gz')),
    ]);
    const bytes = packArchive(await assemble(options, planned, compiled));
    const bundle = parseBundle('built', bytes);
    for (const entrypoint of options.entrypoints) {
      if (bundle.entrypoints.includes(entrypoint)) continue;
      throw new BundleError('bundle_lacks_entrypoint', `the sources have no rule for the entrypoint \`${entrypoint}\``);
    }
    await loadInOpa(options, bytes, join(scratch, 'built.tar.gz'));
    return { bytes, bundle };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function demandFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory() !== true) throw new BundleError('bundle_missing', `\`${folder}\` is not a folder`);
}

async function compile(options: BuildOptions, target: 'plan' | 'wasm', out: string): Promise<ArchiveFiles> {
  // With `.` as the path neither names nor the plan tell where this machine keeps the sources.
  const args = ['build', '--bundle', '.', '--target', target, '--output', out];
  args.push('--capabilities', resolve(options.capabilities));
  for (const pattern of options.ignore) args.push('--ignore', pattern);
  // Their order is in the bytes.
  for (const entrypoint of [...new Set(options.entrypoints)].sort()) args.push('--entrypoint', entrypoint);
  if (options.v0Compatible) args.push('--v0-compatible');
  await runOpa(options, args);
  return readArchive(new Uint8Array(await readFile(out)));
}

async function assemble(options: BuildOptions, planned: ArchiveFiles, compiled: ArchiveFiles): Promise<ArchiveFiles> {
  const wasm = compiled.get('policy.wasm');
  if (wasm === undefined) throw new BundleError('bundle_build_failed', 'opa built no Wasm module');
  const files = new Map(planned);
  const manifestBytes = files.get('.manifest');
  const manifest = parseManifest(manifestBytes && parseJson('.manifest', manifestBytes));
  files.delete('.manifest');
  // Before the revision: it follows from them too.
  if (options.cases !== undefined && options.cases.length > 0) {
    files.set('cases.json', Buffer.from(`${JSON.stringify(options.cases, undefined, 1)}\n`));
  }
  const revision = options.revision ?? (await revisionOf(options, files, manifest.roots));
  // Without a `wasm` key an OPA that has no Wasm runtime loads the bundle too, from its Rego.
  const { roots, metadata, regoVersion } = manifest;
  const ours = {
    revision,
    roots,
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
    ...(regoVersion === undefined ? {} : { rego_version: regoVersion }),
  };
  return files.set('.manifest', Buffer.from(JSON.stringify(ours))).set('policy.wasm', wasm);
}

/** A digest over all that decides what the bundle answers; compiled members follow from it. */
async function revisionOf(options: BuildOptions, files: ArchiveFiles, roots: readonly string[]): Promise<string> {
  const digest = createHash('sha256');
  const add = (part: string | Uint8Array): void => {
    digest.update(`${Buffer.byteLength(part)}:`).update(part);
  };
  add(`opa ${OPA_VERSION} v0=${options.v0Compatible}`);
  add(await readFile(options.capabilities));
  add(JSON.stringify(planEntrypointOrder(options.entrypoints)));
  add(JSON.stringify(roots));
  for (const [name, content] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (name === 'plan.json') continue;
    add(name);
    add(content);
  }
  return digest.digest('hex').slice(0, REVISION_HEX_DIGITS);
}

const REVISION_HEX_DIGITS = 24;

function planEntrypointOrder(entrypoints: readonly string[]): readonly string[] {
  return [...new Set(entrypoints)].sort();
}

/** Conflicts between rules and data show only when a bundle is loaded. */
async function loadInOpa(options: BuildOptions, bytes: Uint8Array, file: string): Promise<void> {
  await writeFile(file, bytes);
  await runOpa(options, ['eval', '--bundle', file, '--format', 'json', 'true']);
}

const run = promisify(execFile);

async function runOpa({ opa, from, timeoutMs = 300_000 }: BuildOptions, args: readonly string[]): Promise<void> {
  try {
    await run(opa, [...args], { cwd: from, timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 16 * 2 ** 20 });
  } catch (error) {
    throw new BundleError('bundle_build_failed', `\`opa ${args[0]}\` refuses the sources:\n${wordsOf(error)}`, {
      cause: error,
    });
  }
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { stdout, stderr } = error as Error & { readonly stdout?: unknown; readonly stderr?: unknown };
  const words = [stderr, stdout].filter((text) => typeof text === 'string' && text.trim() !== '').join('\n');
  return (words === '' ? error.message : words).trim();
}
