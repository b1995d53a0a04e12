import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readArchive } from '../archive.ts';
import { buildBundle } from '../builder.ts';
import { type Bundle, casesOf } from '../bundle.ts';
import type { CompileConfig } from '../config.ts';
import { nameBundle } from '../errors.ts';
import { parseManifest } from '../manifest.ts';
import { parseJson } from '../member-json.ts';

/** Compiles the Rego of a believed archive; the bundle keeps the archive's digest and revision. */
export type CompileRego = (name: string, bytes: Uint8Array, sha256: string) => Promise<Bundle>;

/**
 * Compiles with the configured opa, each run a child process with a deadline, in a scratch folder that is deleted. Throws
 * a `BundleError`, `bundle_build_failed` with opa's own words where it refuses the sources.
 */
export function createCompileRego(config: CompileConfig): CompileRego {
  return async (name, bytes, sha256) => {
    const scratch = await mkdtemp(join(tmpdir(), 'sallyport-rego-'));
    try {
      // Names in an archive are relative, without `..`, and no two are the same: see `createMemberNames`.
      const files = readArchive(bytes);
      for (const [member, content] of files) {
        if (LEFT_OUT.has(member)) continue;
        const path = join(scratch, member);
        await mkdir(dirname(path), { recursive: true });
        await writeFile(path, content, { mode: 0o600 });
      }
      const manifestBytes = files.get('.manifest');
      const manifest = parseManifest(manifestBytes && parseJson('.manifest', manifestBytes));
      const revision = manifest.revision === '' ? `sha256-${sha256.slice(0, 16)}` : manifest.revision;
      const { bundle } = await buildBundle({
        opa: config.opa,
        from: scratch,
        entrypoints: config.entrypoints,
        capabilities: config.capabilities ?? SHIPPED_CAPABILITIES,
        ignore: [],
        v0Compatible: manifest.regoVersion === 0,
        revision,
        cases: casesOf(files),
        timeoutMs: config.timeout_ms,
      });
      return { ...bundle, name, sha256 };
    } catch (error) {
      throw nameBundle(name, error, 'bundle_build_failed');
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  };
}

/** Of a signature that covered other files, and of an earlier compilation. */
const LEFT_OUT = new Set(['.signatures.json', 'plan.json', 'policy.wasm']);

const SHIPPED_CAPABILITIES = fileURLToPath(new URL('../../../bundles/capabilities.json', import.meta.url));
