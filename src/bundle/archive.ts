import { BundleError } from './errors.ts';
import { gunzipOne, gzipOne } from './gzip.ts';
import { createMemberNames } from './member-names.ts';
import { BLOCK_BYTES, isZero, parseTarHeader, shown, writeTarHeader } from './tar-header.ts';

/** File contents by name; names are relative, with `/` between folders. */
export type ArchiveFiles = ReadonlyMap<string, Uint8Array>;

/** Bounds on what an archive may unpack to, in bytes and members. */
export interface ArchiveLimits {
  readonly maxTotalBytes: number;
  readonly maxMemberBytes: number;
  readonly maxMembers: number;
}

export const DEFAULT_ARCHIVE_LIMITS: ArchiveLimits = {
  maxTotalBytes: 64 * 2 ** 20,
  maxMemberBytes: 48 * 2 ** 20,
  maxMembers: 4096,
};

/**
 * Reads a tar+gzip archive that lies whole in memory, without touching the disk. Whatever two readers could take
 * differently is refused: links, devices, extensions, twins, `..`, damage, and bytes after the end.
 */
export function readArchive(bytes: Uint8Array, limits: ArchiveLimits = DEFAULT_ARCHIVE_LIMITS): ArchiveFiles {
  return readTar(gunzipOne(bytes, limits.maxTotalBytes), limits);
}

/** Packs files so that equal content gives an equal tar, whatever the order, time and machine. */
export function packArchive(files: ArchiveFiles): Uint8Array {
  return gzipOne(writeTar(files));
}

/** The tar inside an archive, for comparing archives: zlib's bytes may differ between machines. */
export function unpackTar(bytes: Uint8Array, limits: ArchiveLimits = DEFAULT_ARCHIVE_LIMITS): Uint8Array {
  return gunzipOne(bytes, limits.maxTotalBytes);
}

export function readTar(tar: Uint8Array, limits: ArchiveLimits = DEFAULT_ARCHIVE_LIMITS): ArchiveFiles {
  const names = createMemberNames();
  const files = new Map<string, Uint8Array>();
  let members = 0;
  let at = 0;
  for (;;) {
    const block = tar.subarray(at, at + BLOCK_BYTES);
    if (block.length < BLOCK_BYTES) throw truncated('the tar ends without its end mark');
    at += BLOCK_BYTES;
    if (isZero(block)) break;

    const header = parseTarHeader(block);
    members += 1;
    if (members > limits.maxMembers) throw tooLarge(`the archive has more than ${limits.maxMembers} members`);
    const name = names.add(header);
    if (header.sizeBytes > limits.maxMemberBytes) {
      throw tooLarge(`member \`${shown(header.name)}\` has more than ${limits.maxMemberBytes} bytes`);
    }
    const end = at + header.sizeBytes;
    const next = at + Math.ceil(header.sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
    if (next > tar.length) throw truncated(`member \`${shown(header.name)}\` is cut off`);
    if (!isZero(tar.subarray(end, next))) {
      throw new BundleError('bundle_invalid', `member \`${shown(header.name)}\` is padded with more than zeros`);
    }
    if (header.kind === 'file') files.set(name, tar.subarray(at, end));
    at = next;
  }
  checkEnd(tar.subarray(at));
  return files;
}

/** The tar of {@link packArchive}, unpacked. */
export function writeTar(files: ArchiveFiles): Uint8Array {
  const names = createMemberNames();
  const sorted = [...files].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const parts = sorted.flatMap(([name, content]) => {
    names.add({ name, kind: 'file' });
    const padding = new Uint8Array((BLOCK_BYTES - (content.length % BLOCK_BYTES)) % BLOCK_BYTES);
    return [writeTarHeader(name, content.length), content, padding];
  });
  return new Uint8Array(Buffer.concat([...parts, new Uint8Array(2 * BLOCK_BYTES)]));
}

/** After the first zero block: at least a second one, and nothing but zeros in whole blocks. */
function checkEnd(rest: Uint8Array): void {
  if (rest.length < BLOCK_BYTES || rest.length % BLOCK_BYTES !== 0)
    throw truncated('the end mark of the tar is cut off');
  if (!isZero(rest)) throw new BundleError('bundle_invalid', 'there are bytes after the end mark of the tar');
}

function truncated(message: string): BundleError {
  return new BundleError('bundle_truncated', message);
}

function tooLarge(message: string): BundleError {
  return new BundleError('bundle_too_large', message);
}
