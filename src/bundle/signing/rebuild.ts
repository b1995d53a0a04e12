import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type ArchiveFiles, readArchive } from '../archive.ts';
import { buildBundle } from '../builder.ts';
import type { Bundle } from '../bundle.ts';
import { parseManifest } from '../manifest.ts';
import { parseJson } from '../member-json.ts';

export interface RebuildOptions {
  /** Path of the opa that it was built with. */
  readonly opa: string;
  readonly bundle: Bundle;
  /** The same bundle's members. */
  readonly files: ArchiveFiles;
  readonly capabilities: string;
}

/** Compiles the Rego and the data of a bundle anew; answers which of `plan.json` and `policy.wasm` are others then. */
export async function rebuildDiffers({ opa, bundle, files, capabilities }: RebuildOptions): Promise<readonly string[]> {
  const from = await mkdtemp(join(tmpdir(), 'sallyport-rebuild-'));
  try {
    const manifestBytes = files.get('.manifest');
    const manifest = parseManifest(manifestBytes && parseJson('.manifest', manifestBytes));
    for (const [name, content] of files) {
      // INVARIANT: names of members that `readArchive` gave stay below the folder.
      if (name.endsWith('.rego') || name === 'data.json' || name.endsWith('/data.json')) await put(from, name, content);
    }
    const { roots, metadata } = manifest;
    await put(from, '.manifest', Buffer.from(JSON.stringify({ roots, metadata })));
    const built = await buildBundle({
      opa,
      from,
      entrypoints: bundle.entrypoints,
      capabilities,
      ignore: [],
      v0Compatible: manifest.regoVersion === 0,
      revision: bundle.revision,
    });
    const again = readArchive(built.bytes);
    return COMPILED.filter((name) => Buffer.compare(again.get(name) ?? EMPTY, files.get(name) ?? EMPTY) !== 0);
  } finally {
    await rm(from, { recursive: true, force: true });
  }
}

const COMPILED = ['plan.json', 'policy.wasm'];
const EMPTY = new Uint8Array();

async function put(folder: string, name: string, content: Uint8Array): Promise<void> {
  const file = join(folder, name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}
