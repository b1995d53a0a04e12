import { constants } from 'node:fs';
import { appendFile, chmod, lstat, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A segment that is being written; each rejects when the disk does not do it whole. */
export interface SpoolFile {
  write(bytes: Uint8Array, position: number): Promise<void>;
  datasync(): Promise<void>;
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}

/** The file operations of a spool. No link in its folder is followed. */
export interface SpoolFiles {
  /** With mode 0700, and its parents. */
  makeFolder(path: string): Promise<void>;
  /** Opens for writing, with mode 0600 where there was none. */
  open(path: string): Promise<SpoolFile>;
  /** Fewer bytes than asked for at the end. */
  read(path: string, position: number, length: number): Promise<Buffer>;
  list(folder: string): Promise<readonly { readonly name: string; readonly bytes: number }[]>;
  remove(path: string): Promise<void>;
  append(path: string, bytes: Uint8Array): Promise<void>;
  /** As a whole or not at all. */
  writeNote(path: string, text: string): Promise<void>;
  /** Empty when there is none. */
  readNote(path: string): Promise<string>;
}

export const systemFiles: SpoolFiles = {
  makeFolder: async (path) => {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await chmod(path, 0o700);
  },
  open: async (path) => {
    const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    return {
      write: async (bytes, position) => {
        for (let done = 0; done < bytes.length; ) {
          const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
          if (bytesWritten === 0) throw new Error('the disk takes nothing more');
          done += bytesWritten;
        }
      },
      datasync: () => file.datasync(),
      truncate: (length) => file.truncate(length),
      close: () => file.close(),
    };
  },
  read: async (path, position, length) => {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const bytes = Buffer.allocUnsafe(length);
      let done = 0;
      while (done < length) {
        const { bytesRead } = await file.read(bytes, done, length - done, position + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return bytes.subarray(0, done);
    } finally {
      await file.close();
    }
  },
  list: async (folder) => {
    const names = await readdir(folder);
    return Promise.all(names.map(async (name) => ({ name, bytes: (await lstat(join(folder, name))).size })));
  },
  remove: (path) => rm(path, { force: true }),
  append: (path, bytes) => appendFile(path, bytes, { mode: 0o600, flag: WRITE | constants.O_APPEND }),
  writeNote: async (path, text) => {
    await writeFile(`${path}.new`, text, { mode: 0o600, flag: WRITE | constants.O_TRUNC });
    await rename(`${path}.new`, path);
  },
  readNote: async (path) => {
    try {
      return (await systemFiles.read(path, 0, MAX_NOTE_BYTES)).toString('utf8');
    } catch {
      return '';
    }
  },
};

const MAX_NOTE_BYTES = 16 * 1024;
const WRITE = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;
