import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildBundle } from '../../src/bundle/builder.ts';
import { ROOT, requireTool } from './tools.ts';

/** A bundle file that a test built of Rego; needs the tool `opa`. */
export interface PolicyBundle {
  readonly file: string;
  readonly folder: string;
  remove(): void;
}

/** Compiles a folder of the tests, with the shipped capabilities, into a scratch folder of its own. */
export async function buildPolicyBundle(source: string, entrypoints: readonly string[]): Promise<PolicyBundle> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-policy-'));
  const from = join(folder, 'policies');
  cpSync(source, from, { recursive: true });
  const { bytes } = await buildBundle({
    opa: requireTool('opa'),
    from,
    entrypoints,
    capabilities: join(ROOT, 'bundles/capabilities.json'),
    ignore: ['*_test.rego'],
    v0Compatible: false,
  });
  const file = join(folder, 'bundle.tar.gz');
  await writeFile(file, bytes);
  return { file, folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
