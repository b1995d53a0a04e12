import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** The file operations by which a ledger is written; each rejects when the disk does not do it whole. */
export interface LedgerFile {
  /** Writes all the bytes at a place. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  fdatasync(): Promise<void>;
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}

export interface LedgerFiles {
  /** Opens a file for writing, with mode 0600 where there was none. */
  open(path: string): Promise<LedgerFile>;
  /** Makes the names in a folder durable. */
  syncFolder(path: string): Promise<void>;
}

export const systemFiles: LedgerFiles = {
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
      fdatasync: () => file.datasync(),
      truncate: (length) => file.truncate(length),
      close: () => file.close(),
    };
  },
  syncFolder: async (path) => {
    const folder = await open(path, constants.O_RDONLY);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },
};
