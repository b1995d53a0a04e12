import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** What is no plain file, or larger than it may be. */
export class UnfitFile extends Error {
  override readonly name = 'UnfitFile';
  readonly isTooLarge: boolean;

  constructor(message: string, isTooLarge: boolean) {
    super(message);
    this.isTooLarge = isTooLarge;
  }
}

export interface BoundedRead {
  readonly maxBytes: number;
  /** Whether the name may be a link; in a folder of the service's own nothing is. */
  readonly followLinks: boolean;
}

/**
 * Reads a plain file, no further than the size that it was found to have; waits for no pipe. Rejects with an
 * {@link UnfitFile}, or as `open` does.
 */
export async function readBoundedFile(path: string, { maxBytes, followLinks }: BoundedRead): Promise<Uint8Array> {
  const noLinks = followLinks ? 0 : constants.O_NOFOLLOW;
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | noLinks);
  const stats = await file.stat();
  if (!stats.isFile()) throw new UnfitFile(`\`${path}\` is no plain file`, false);
  const { size } = stats;
  if (size > maxBytes) throw new UnfitFile(`\`${path}\` has ${size} bytes, more than the ${maxBytes} allowed`, true);
  const bytes = new Uint8Array(size);
  let at = 0;
  while (at < size) {
    const { bytesRead } = await file.read(bytes, at, size - at, at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return bytes.subarray(0, at);
}

/** For a file that is written anew in a folder of the service's own: a link that somebody put there is not followed. */
export const WRITE_ANEW = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
