import { createHash } from 'node:crypto';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isObject } from '../../decision/json.ts';
import { readBoundedFile, UnfitFile, WRITE_ANEW } from '../bounded-file.ts';

/** One archive as it came, with the signature that made it believed. */
export interface KeptArchive {
  readonly sha256: string;
  readonly bytes: Uint8Array;
  readonly signature?: string;
}

/** What was in force of one bundle: its archive, then the deltas on it in order. Not believed until verified again. */
export interface KeptCopy {
  readonly archives: readonly KeptArchive[];
  readonly etag?: string;
  /** What the pin named, in whose place it was promoted. */
  readonly supersedes?: string;
  /** When the source last said that it is the newest. */
  readonly confirmedAtEpochMs: number;
}

/** Copies of what is in force, on disk, by bundle name. Each method rejects where the disk does not do it. */
export interface KeptCopies {
  /** `undefined` where there is none that is whole. */
  read(name: string): Promise<KeptCopy | undefined>;
  /** Whole or not at all: a crash leaves the former copy. */
  write(name: string, copy: KeptCopy): Promise<void>;
}

export interface KeptCopiesOptions {
  /** Made where it is missing. */
  readonly folder: string;
  /** Which folder in it; `bundles` where absent. */
  readonly of?: 'bundles' | 'candidates';
  /** Of one archive. */
  readonly maxBytes: number;
}

export function createKeptCopies({ folder, of = 'bundles', maxBytes }: KeptCopiesOptions): KeptCopies {
  const folderOf = (name: string): string => join(folder, of, name);
  return {
    read: async (name) => {
      const here = folderOf(name);
      const text = await readWhole(join(here, INDEX), MAX_INDEX_BYTES);
      const index = text === undefined ? undefined : parseIndex(Buffer.from(text).toString());
      if (index === undefined) return undefined;
      const archives: KeptArchive[] = [];
      for (const { sha256, signature } of index.archives) {
        const bytes = await readWhole(join(here, `${sha256}.tar.gz`), maxBytes);
        if (bytes === undefined || createHash('sha256').update(bytes).digest('hex') !== sha256) return undefined;
        archives.push({ sha256, bytes, ...(signature === undefined ? {} : { signature }) });
      }
      const { etag, supersedes, confirmedAtEpochMs } = index;
      return {
        archives,
        confirmedAtEpochMs,
        ...(etag === undefined ? {} : { etag }),
        ...(supersedes === undefined ? {} : { supersedes }),
      };
    },
    write: async (name, { archives, etag, supersedes, confirmedAtEpochMs }) => {
      const here = folderOf(name);
      await mkdir(here, { recursive: true, mode: 0o700 });
      const there = new Set(await readdir(here));
      const wanted = new Set([INDEX]);
      for (const { sha256, bytes, signature } of archives) {
        wanted.add(`${sha256}.tar.gz`);
        if (!there.has(`${sha256}.tar.gz`)) await writeWhole(here, `${sha256}.tar.gz`, bytes);
        // Beside it for people; the one that counts is in the index, which changes as a whole.
        if (signature !== undefined) {
          wanted.add(`${sha256}.tar.gz.jws`);
          await writeWhole(here, `${sha256}.tar.gz.jws`, signature);
        }
      }
      const list = archives.map(({ sha256, signature }) => ({ sha256, signature }));
      const index = { format: FORMAT, etag, supersedes, confirmed_at_epoch_ms: confirmedAtEpochMs, archives: list };
      await writeWhole(here, INDEX, JSON.stringify(index));
      for (const file of there) if (!wanted.has(file)) await rm(join(here, file), { force: true });
    },
  };
}

const INDEX = 'in-force.json';
const FORMAT = 1;
/** It names at most a bundle and its deltas. */
const MAX_INDEX_BYTES = 2 ** 20;
const SHA256 = /^[0-9a-f]{64}$/;

interface Index {
  readonly etag?: string;
  readonly supersedes?: string;
  readonly confirmedAtEpochMs: number;
  readonly archives: readonly { readonly sha256: string; readonly signature?: string }[];
}

/** A damaged index is none: what it names would be verified anyway. */
function parseIndex(text: string): Index | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(value) || value['format'] !== FORMAT) return undefined;
  const { etag, supersedes, confirmed_at_epoch_ms: confirmedAtEpochMs, archives } = value;
  if (typeof confirmedAtEpochMs !== 'number' || !Number.isFinite(confirmedAtEpochMs)) return undefined;
  if (!Array.isArray(archives) || archives.length === 0) return undefined;
  const parsed = archives.map((archive: unknown) => {
    if (!isObject(archive)) return undefined;
    const { sha256, signature } = archive;
    if (typeof sha256 !== 'string' || !SHA256.test(sha256)) return undefined;
    return { sha256, ...(typeof signature === 'string' ? { signature } : {}) };
  });
  const whole = parsed.filter((archive) => archive !== undefined);
  if (whole.length !== parsed.length) return undefined;
  return {
    archives: whole,
    confirmedAtEpochMs,
    ...(typeof etag === 'string' ? { etag } : {}),
    ...(typeof supersedes === 'string' && SHA256.test(supersedes) ? { supersedes } : {}),
  };
}

/** What is no plain file of ours, or too large, is none that is whole. */
function readWhole(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
  return readBoundedFile(path, { maxBytes, followLinks: false }).catch(absent);
}

async function writeWhole(folder: string, name: string, content: Uint8Array | string): Promise<void> {
  const scratch = join(folder, `.${name}.new`);
  try {
    const file = await open(scratch, WRITE_ANEW, 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(scratch, join(folder, name));
  } catch (error) {
    await rm(scratch, { force: true }).catch(() => undefined);
    throw error;
  }
}

function absent(error: unknown): undefined {
  if (error instanceof UnfitFile) return undefined;
  // ELOOP: it is a link.
  if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ELOOP'))
    return undefined;
  throw error;
}
