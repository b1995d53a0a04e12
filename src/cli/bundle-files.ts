import { rename, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';

/** A reader sees the old file or the new one, never a half. */
export async function replaceFile(file: string, content: Uint8Array | string): Promise<void> {
  const partial = `${file}.partial`;
  await writeFile(partial, content);
  await rename(partial, file);
}

/** As sha256sum of coreutils writes it. */
export function digestLine(file: string, sha256: string): string {
  return `${sha256}  ${basename(file)}\n`;
}
