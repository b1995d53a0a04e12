import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packArchive, readArchive } from '../../src/bundle/archive.ts';
import { ROOT } from './tools.ts';

/** What has routes that require limits. */
interface Metered {
  readonly routes: Record<string, unknown>[];
}

/**
 * The file of a bundle that is the checked-in one but for the limits, which no route requires: for tests that ask more
 * often than the shipped limits allow. Needs no tool; kept in the system's scratch folder under its digest.
 */
export function unthrottledBundle(): string {
  const files = new Map<string, Uint8Array>(readArchive(readFileSync(join(ROOT, 'bundles/authz.tar.gz'))));
  const text = Buffer.from(files.get('data.json') ?? []).toString();
  // The checked-in data has this shape; `check-data` proves it.
  const data = JSON.parse(text) as { readonly catalog: Metered };
  dropRequiredLimits(data.catalog);
  // They are about the limits too.
  files.delete('cases.json');
  const bytes = packArchive(files.set('data.json', Buffer.from(JSON.stringify(data))));
  const digest = createHash('sha256').update(bytes).digest('hex');
  const file = join(tmpdir(), `sallyport-unthrottled-${digest}.tar.gz`);
  if (!existsSync(file)) {
    const own = `${file}.${process.pid}.tmp`;
    writeFileSync(own, bytes);
    renameSync(own, file);
  }
  return file;
}

/** Takes the limits of every route away. */
export function dropRequiredLimits({ routes }: Metered): void {
  for (const route of routes) route['limits'] = [];
}
