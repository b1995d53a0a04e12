import { write as writeOnce } from 'node:fs';
import { promisify } from 'node:util';

const write = promisify(writeOnce);

/**
 * Writes lines to a file descriptor off the event loop, all of them or an error. After a write that stopped within a
 * line the next one starts a new line, so that a torn event spoils no other.
 */
export function createLineWriter(): (fd: number, lines: string) => Promise<void> {
  let torn = false;
  return async (fd, lines) => {
    const bytes = Buffer.from(torn ? `\n${lines}` : lines);
    let written = 0;
    try {
      while (written < bytes.length) {
        written += (await write(fd, bytes, written, bytes.length - written, null)).bytesWritten;
      }
      torn = false;
    } catch (error) {
      torn = written === 0 ? torn : bytes[written - 1] !== NEWLINE;
      throw error;
    }
  };
}

const NEWLINE = 0x0a;
