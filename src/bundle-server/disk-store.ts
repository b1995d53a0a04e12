import { constants } from 'node:fs';
import { link, mkdir, open, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { Clock } from '../decision/ports.ts';
import { checkKey, type ObjectStore, type StoredObject } from './object-store.ts';

export interface DiskStorePorts {
  /** Absolute; made when it is not there. */
  readonly folder: string;
  readonly clock: Clock;
  /** A name that nobody else takes, of letters and digits. */
  readonly uniqueName: () => string;
}

/** Files below one folder. Written beside, synced, then linked into place: a reader sees all of a file or none. */
export function createDiskStore({ folder, clock, uniqueName }: DiskStorePorts): ObjectStore {
  const scratch = join(folder, SCRATCH);
  const pathOf = (key: string): string => join(folder, ...checkKey(key).split('/'));

  async function writeScratch(bytes: Uint8Array): Promise<string> {
    await mkdir(scratch, { recursive: true, mode: 0o700 });
    const path = join(scratch, uniqueName());
    try {
      await using file = await open(path, 'wx', 0o600);
      await file.writeFile(bytes);
      await file.sync();
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
    return path;
  }

  async function place(key: string, bytes: Uint8Array, put: (from: string, to: string) => Promise<void>) {
    const path = pathOf(key);
    const partial = await writeScratch(bytes);
    try {
      await makeFolder(folder, dirname(path));
      await refuseLinks(folder, dirname(path));
      await put(partial, path);
      await syncFolder(dirname(path));
    } finally {
      await rm(partial, { force: true });
    }
  }

  /** What a server that was killed left half written. */
  async function tidy(): Promise<void> {
    const oldMs = clock.now().epochMs - SCRATCH_AGE_MS;
    for (const name of await namesIn(scratch)) {
      const path = join(scratch, name);
      const found = await stat(path).catch(() => undefined);
      if (found !== undefined && found.mtimeMs < oldMs) await rm(path, { force: true });
    }
  }

  return {
    list: async () => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await tidy();
      const found: StoredObject[] = [];
      await walk(folder, '', found);
      return found;
    },
    get: (key, maxBytes) => readWhole(folder, pathOf(key), maxBytes),
    create: async (key, bytes) => {
      try {
        await place(key, bytes, link);
        return 'created';
      } catch (error) {
        if (codeOf(error) === 'EEXIST') return 'exists';
        throw error;
      }
    },
    replace: (key, bytes) => place(key, bytes, rename),
  };
}

const SCRATCH = '.partial';
const SCRATCH_AGE_MS = 3_600_000;
const MAX_DEPTH = 6;

async function walk(folder: string, prefix: string, found: StoredObject[], depth = 0): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.name === SCRATCH) continue;
    const path = join(folder, entry.name);
    const key = `${prefix}${entry.name}`;
    if (entry.isFile()) found.push({ key, sizeBytes: (await stat(path)).size });
    else if (entry.isDirectory() && depth < MAX_DEPTH) await walk(path, `${key}/`, found, depth + 1);
    // A link or a device is not ours: it is told of by its name, and never followed.
    else found.push({ key, sizeBytes: 0 });
  }
}

/** Follows no link, waits for no pipe, and reads no further than the size that the file was found to have. */
async function readWhole(root: string, path: string, maxBytes: number): Promise<Uint8Array | undefined> {
  try {
    await refuseLinks(root, dirname(path));
    await using file = await open(path, READ_FLAGS);
    const stats = await file.stat();
    if (!stats.isFile()) throw new Error('what is stored there is no file');
    const { size } = stats;
    if (size > maxBytes) throw new Error(`a stored file has ${size} bytes, more than the ${maxBytes} expected`);
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; ) {
      const { bytesRead } = await file.read(bytes, at, size - at, at);
      if (bytesRead === 0) throw new Error('a stored file became shorter while it was read');
      at += bytesRead;
    }
    return bytes;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Throws where a folder below the store's own is a link: it could lead anywhere. */
async function refuseLinks(root: string, folder: string): Promise<void> {
  const [realRoot, real] = await Promise.all([realpath(root), realpath(folder)]);
  if (real !== join(realRoot, relative(root, folder))) throw new Error('a folder of the store is a link');
}

/** A new folder is durable only once the one above it is. */
async function makeFolder(root: string, folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let at = folder; at.length >= root.length; at = dirname(at)) await syncFolder(at);
}

async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r');
  await handle.sync();
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
