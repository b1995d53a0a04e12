import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type ArchiveFiles, packArchive, readArchive } from '../../../src/bundle/archive.ts';
import { BundleError } from '../../../src/bundle/errors.ts';

/** The checked-in bundle: the one compiled policy that is there without a tool. */
export const SHIPPED: Uint8Array = new Uint8Array(
  readFileSync(new URL('../../../bundles/authz.tar.gz', import.meta.url)),
);

/** The shipped bundle with members replaced (`undefined` takes one away), packed anew. */
export function repacked(changes: Readonly<Record<string, string | Uint8Array | undefined>>): Uint8Array {
  const files = new Map<string, Uint8Array>(readArchive(SHIPPED));
  for (const [name, content] of Object.entries(changes)) {
    if (content === undefined) files.delete(name);
    else files.set(name, Buffer.from(content));
  }
  return packArchive(files);
}

/** A valid module whose start function loops for ever. */
export const ENDLESS_MODULE: Uint8Array = Buffer.from(
  '0061736d01000000010401600000030201000801000a0901070003400c000b0b',
  'hex',
);

/** The same policy under another revision, with other roots where they are given. */
export function revised(revision: string, roots?: readonly string[]): Uint8Array {
  return repacked({ '.manifest': JSON.stringify({ revision, roots: roots ?? SHIPPED_ROOTS }) });
}

export const SHIPPED_ROOTS = [
  'authz',
  'catalog',
  'limits',
  'mesh',
  'models',
  'payload',
  'system/log',
  'tenancy',
  'tiers',
] as const;

export function pinOf(bytes: Uint8Array): { sha256: string } {
  return { sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** The code of the `BundleError` that a step throws; `none` when it throws nothing. */
export function codeOf(step: () => unknown): string {
  try {
    step();
  } catch (error) {
    return error instanceof BundleError ? error.code : `not a BundleError: ${String(error)}`;
  }
  return 'none';
}

export function filesOf(bytes: Uint8Array): ArchiveFiles {
  return readArchive(bytes);
}
