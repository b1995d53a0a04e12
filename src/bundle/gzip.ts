import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import { BundleError } from './errors.ts';

/**
 * Unpacks exactly one plain gzip member (RFC 1952) of at most `maxBytes`; anything before, after or between is refused,
 * because what one reader skips another one reads.
 */
export function gunzipOne(bytes: Uint8Array, maxBytes: number): Uint8Array {
  if (bytes.length < HEADER_BYTES + TRAILER_BYTES) throw truncated('the archive is shorter than an empty gzip member');
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b || bytes[2] !== 8) throw invalid('the archive is not gzip');
  if (bytes[3] !== 0) throw invalid('the gzip header carries a name, a comment or extra fields');

  const { content, consumedBytes } = inflate(bytes.subarray(HEADER_BYTES), maxBytes);
  const trailerAt = HEADER_BYTES + consumedBytes;
  if (bytes.length < trailerAt + TRAILER_BYTES) throw truncated('the gzip trailer is cut off');
  if (bytes.length > trailerAt + TRAILER_BYTES) throw invalid('there are bytes after the gzip member');

  const trailer = new DataView(bytes.buffer, bytes.byteOffset + trailerAt, TRAILER_BYTES);
  if (trailer.getUint32(0, true) !== crc32(content)) throw invalid('the gzip checksum does not match');
  if (trailer.getUint32(4, true) !== content.length % 2 ** 32) throw invalid('the gzip length does not match');
  return content;
}

/** Packs one gzip member whose header names neither time nor system, so that equal content gives equal bytes. */
export function gzipOne(content: Uint8Array): Uint8Array {
  const trailer = Buffer.alloc(TRAILER_BYTES);
  trailer.writeUInt32LE(crc32(content), 0);
  trailer.writeUInt32LE(content.length % 2 ** 32, 4);
  return new Uint8Array(Buffer.concat([PLAIN_HEADER, deflateRawSync(content, { level: 9 }), trailer]));
}

const HEADER_BYTES = 10;
const TRAILER_BYTES = 8;
/** Magic, deflate, no flags, no time, best compression, unknown system. */
const PLAIN_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]);

function inflate(bytes: Uint8Array, maxBytes: number): { content: Uint8Array; consumedBytes: number } {
  try {
    const result: unknown = inflateRawSync(bytes, { info: true, maxOutputLength: maxBytes });
    // With `info` the result is not the Buffer that the types promise but this pair (Node's zlib documentation).
    const { buffer, engine } = result as {
      readonly buffer: Buffer;
      readonly engine: { readonly bytesWritten: number };
    };
    return { content: buffer, consumedBytes: engine.bytesWritten };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'Z_BUF_ERROR') throw truncated('the gzip data is cut off', error);
    if (code === 'ERR_BUFFER_TOO_LARGE') {
      throw new BundleError('bundle_too_large', `the archive unpacks to more than ${maxBytes} bytes`, { cause: error });
    }
    throw invalid('the gzip data is damaged', error);
  }
}

function truncated(message: string, cause?: unknown): BundleError {
  return new BundleError('bundle_truncated', message, { cause });
}

function invalid(message: string, cause?: unknown): BundleError {
  return new BundleError('bundle_invalid', message, { cause });
}
