import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A small file that is there whole or as it was before. */
export interface StateFile {
  /** `undefined` when there is none; rejects when it cannot be read. */
  read(): Promise<string | undefined>;
  /** One write at a time, the newest last; a failure is reported and the next write tries again. */
  write(text: string): void;
  /** Resolves once everything was written or reported. */
  settled(): Promise<void>;
  /** Whether the newest text is on the disk. */
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
        return await readFile(file, 'utf8');
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

async function replace(file: string, text: string): Promise<void> {
  const folder = dirname(file);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const half = `${file}.new`;
  const handle = await open(half, 'w', 0o600);
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
