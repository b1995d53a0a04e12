import { promisify } from 'node:util';
import { crc32, deflateRaw } from 'node:zlib';
import { type ArchiveFiles, readTar, writeTar } from '../archive.ts';
import { BundleError } from '../errors.ts';
import { gunzipOne } from '../gzip.ts';

/**
 * Reads an archive that is, byte for byte, what `packArchive` or {@link packStored} makes of its members, so that where
 * a signature covers the members alone no byte around them is free. Throws a `BundleError` for any other form.
 */
export async function readCanonicalArchive(bytes: Uint8Array): Promise<ArchiveFiles> {
  const tar = gunzipOne(bytes, MAX_CANONICAL_BYTES);
  const files = readTar(tar);
  if (!equal(writeTar(files), tar)) {
    throw new BundleError(
      'bundle_untrusted',
      'its tar is not in canonical form (plain members in order of name, mode 0644, no times, no folders), which `signature: opa` demands; `sallyport build --repack` writes it so',
    );
  }
  // Packed off the event loop: the level is the slowest there is.
  const isStored = ((bytes[GZIP_HEADER_BYTES] ?? 0) & 0b110) === 0;
  const wanted = isStored ? gzipStored(tar) : await gzipPacked(tar);
  if (!equal(wanted, bytes)) {
    throw new BundleError(
      'bundle_untrusted',
      "its gzip is not in canonical form, which `signature: opa` demands: neither stored nor as this machine's zlib packs it; `sallyport build --repack FILE --stored` gives a form that is the same everywhere",
    );
  }
  return files;
}

/** Packs files without compressing them: the one form that does not depend on the version of a zlib. */
export function packStored(files: ArchiveFiles): Uint8Array {
  return gzipStored(writeTar(files));
}

/** Of the tar. Less than elsewhere, because it is unpacked before it is believed. */
export const MAX_CANONICAL_BYTES = 24 * 2 ** 20;

const GZIP_HEADER_BYTES = 10;
const STORED_BLOCK_BYTES = 65_535;
/** Magic, deflate, no flags, no time, then: nothing said of the level, or the best; unknown system. */
const STORED_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
const PACKED_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]);

/** One gzip member of stored blocks (RFC 1951 §3.2.4): full ones, the last one marked. */
export function gzipStored(content: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [STORED_HEADER];
  for (let at = 0; at === 0 || at < content.length; at += STORED_BLOCK_BYTES) {
    const block = content.subarray(at, at + STORED_BLOCK_BYTES);
    const header = Buffer.alloc(5);
    header.writeUInt8(at + STORED_BLOCK_BYTES >= content.length ? 1 : 0, 0);
    header.writeUInt16LE(block.length, 1);
    header.writeUInt16LE(block.length ^ 0xffff, 3);
    parts.push(header, block);
  }
  return new Uint8Array(Buffer.concat([...parts, trailerOf(content)]));
}

const deflate = promisify<Uint8Array, { level: number }, Buffer>(deflateRaw);

async function gzipPacked(content: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(Buffer.concat([PACKED_HEADER, await deflate(content, { level: 9 }), trailerOf(content)]));
}

function trailerOf(content: Uint8Array): Buffer {
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc32(content), 0);
  trailer.writeUInt32LE(content.length % 2 ** 32, 4);
  return trailer;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
