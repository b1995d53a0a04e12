import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import type { BundleDefinition } from '../bundle/definition.ts';
import { BundleError } from '../bundle/errors.ts';
import { CaseError } from '../cases/case-error.ts';
import { CASE_FILE_END, type CaseFile, joinCases, parseCaseFile } from '../cases/case-file.ts';

/** Where cases are: what a definition names, else all that lies beside the sources. */
export type CasePlaces = Pick<BundleDefinition, 'source' | 'cases'>;

/** Reads the files of cases that are named, and those in folders that are named; faults of theirs are a `BundleError`. */
export async function readCaseFiles({ source, cases }: CasePlaces, cwd: string): Promise<readonly CaseFile[]> {
  const files = new Set<string>();
  for (const path of cases ?? [source]) {
    const found = await filesAt(resolve(cwd, path));
    // That there is no source is told by whoever builds it.
    if (found === undefined && cases === undefined) continue;
    if (found === undefined) {
      throw new BundleError('bundle_missing', `cannot read \`${path}\`, which \`cases\` names`);
    }
    for (const file of found) files.add(file);
  }
  const texts: (readonly [string, string])[] = [];
  for (const file of [...files].sort()) texts.push([relative(cwd, file), await readFile(file, 'utf8')]);
  try {
    const parsed = texts.map(([file, text]) => parseCaseFile(file, text));
    joinCases(parsed);
    return parsed;
  } catch (error) {
    if (!(error instanceof CaseError)) throw error;
    throw new BundleError('bundle_invalid', `the request cases cannot be read:\n${error.message}`, { cause: error });
  }
}

/** As they are packed. */
export async function packedCases(places: CasePlaces, cwd: string): Promise<readonly unknown[]> {
  return joinCases(await readCaseFiles(places, cwd));
}

async function filesAt(path: string): Promise<readonly string[] | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() !== true) return found === undefined ? undefined : [path];
  const names = await readdir(path, { recursive: true });
  return names.filter((name) => name.endsWith(CASE_FILE_END)).map((name) => join(path, name));
}
