import { write as writeOnce } from 'node:fs';
import { promisify } from 'node:util';

const write = promisify(writeOnce);

/**
 * Writes lines to a file descriptor off the event loop, all of them or an error; answers how many bytes. After a write that stopped within a
 * line the next one starts a new line, so that a torn event spoils no other.
 */
export function createLineWriter(): (fd: number, lines: readonly string[]) => Promise<number> {
  let torn = false;
  const encode = createEncoder();
  return async (fd, lines) => {
    const bytes = encode(torn ? ['\n', ...lines] : lines);
    let written = 0;
    try {
      while (written < bytes.length) {
        written += (await write(fd, bytes, written, bytes.length - written, null)).bytesWritten;
      }
      torn = false;
      return written;
    } catch (error) {
      torn = written === 0 ? torn : bytes[written - 1] !== NEWLINE;
      throw error;
    }
  };
}

const NEWLINE = 0x0a;

/**
 * Encodes each line into one buffer that is used again: joined first, lines that were put together of many pieces
 * would be walked through twice.
 */
function createEncoder(): (lines: readonly string[]) => Buffer {
  let buffer = Buffer.alloc(0);
  return (lines) => {
    let most = 0;
    for (const line of lines) most += line.length * MAX_UTF8_BYTES;
    if (buffer.length < most) buffer = Buffer.allocUnsafeSlow(most);
    let length = 0;
    for (const line of lines) length += buffer.write(line, length, 'utf8');
    return buffer.subarray(0, length);
  };
}

/** Of one UTF-16 code unit. */
const MAX_UTF8_BYTES = 3;
