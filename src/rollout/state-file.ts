import { constants } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A small file that is there whole or as it was before. */
export interface StateFile {
  /** `undefined` when there is none; rejects when it cannot be read. */
  read(): Promise<string | undefined>;
  /** One write at a time, the newest last; a failure is reported and the next write tries again. */
  write(text: string): void;
  /** Resolves once everything was written or reported. */
  settled(): Promise<void>;
  /** Whether nothing waits and the last write did not fail; one that is under way is not known yet. */
  isWritten(): boolean;
}

export function createStateFile(file: string, onFault: (error: unknown) => void): StateFile {
  let wanted: string | undefined;
  let writing: Promise<void> | undefined;
  let written = true;

  async function writeAll(): Promise<void> {
    while (wanted !== undefined) {
      const text = wanted;
      wanted = undefined;
      try {
        await replace(file, text);
        written = true;
      } catch (error) {
        written = false;
        onFault(error);
      }
    }
    writing = undefined;
  }

  return {
    read: async () => {
      try {
        return await readText(file);
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
        throw error;
      }
    },
    write: (text) => {
      wanted = text;
      writing ??= writeAll();
    },
    settled: async () => writing,
    isWritten: () => written && wanted === undefined,
  };
}

/** Follows no link, waits for no pipe, and reads no further than the size that the file was found to have. */
async function readText(file: string): Promise<string> {
  await using handle = await open(file, READ_FLAGS);
  const stats = await handle.stat();
  if (!stats.isFile() || stats.size > MAX_BYTES) throw new Error(`\`${file}\` is no small plain file`);
  const bytes = Buffer.alloc(stats.size);
  let at = 0;
  while (at < bytes.length) {
    const { bytesRead } = await handle.read(bytes, at, bytes.length - at, at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return bytes.toString('utf8', 0, at);
}

const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const WRITE_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
const MAX_BYTES = 16 * 2 ** 20;

async function replace(file: string, text: string): Promise<void> {
  const folder = dirname(file);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const half = `${file}.new`;
  const handle = await open(half, WRITE_FLAGS, 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(half, file);
  const parent = await open(folder, 'r');
  try {
    await parent.sync();
  } finally {
    await parent.close();
  }
}
