import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SourceFile } from './source-scan.ts';
import { ROOT } from './tools.ts';

const IGNORED = new Set(['node_modules', '.tools', '.git', 'dist', 'coverage', 'golden']);

/** Every file below a folder of the project whose name ends in one of `endings`, sorted by path. */
export function projectFiles(folder: string, endings: readonly string[]): readonly SourceFile[] {
  const entries = readdirSync(join(ROOT, folder), { withFileTypes: true });
  return entries
    .flatMap((entry) => {
      const path = folder === '.' ? entry.name : `${folder}/${entry.name}`;
      if (IGNORED.has(entry.name)) return [];
      if (entry.isDirectory()) return projectFiles(path, endings);
      if (!endings.some((ending) => entry.name.endsWith(ending))) return [];
      return [{ path, text: readFileSync(join(ROOT, path), 'utf8') }];
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}
