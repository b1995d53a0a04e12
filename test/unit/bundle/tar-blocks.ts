import { gzipSync } from 'node:zlib';

/** Fields of a header that a case sets to what no honest writer would. */
export interface RawHeader {
  readonly name?: string | Uint8Array;
  readonly prefix?: string;
  readonly mode?: string;
  readonly size?: string;
  readonly time?: string;
  readonly type?: string;
  readonly link?: string;
  readonly magic?: string;
  /** Bytes from 500 on, where GNU tar keeps extensions. */
  readonly tail?: string;
  readonly checksum?: string;
}

/** One header block, as wrong as it is asked to be; the checksum is right unless it is given. */
export function rawHeader(fields: RawHeader): Uint8Array {
  const block = Buffer.alloc(512);
  const put = (at: number, value: string | Uint8Array): void => {
    Buffer.from(value).copy(block, at);
  };
  put(0, fields.name ?? 'data.json');
  put(100, fields.mode ?? '0000644\0');
  put(108, '0000000\0');
  put(116, '0000000\0');
  put(124, fields.size ?? '00000000000\0');
  put(136, fields.time ?? '00000000000\0');
  put(156, fields.type ?? '0');
  put(157, fields.link ?? '');
  put(257, fields.magic ?? 'ustar\x0000');
  put(345, fields.prefix ?? '');
  put(500, fields.tail ?? '');
  block.write('        ', 148, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(148, fields.checksum ?? `${sum.toString(8).padStart(6, '0')}\0 `);
  return block;
}

/** Header and padded content of one member. */
export function member(fields: RawHeader, content: string | Uint8Array = '{}'): Uint8Array {
  const bytes = Buffer.from(content);
  const size = `${bytes.length.toString(8).padStart(11, '0')}\0`;
  return Buffer.concat([rawHeader({ size, ...fields }), bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

export const END: Uint8Array = Buffer.alloc(1024);

export function tarOf(...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

export function gzip(bytes: Uint8Array): Uint8Array {
  return gzipSync(bytes);
}

/** A whole archive of members, well ended. */
export function archiveOf(...members: readonly Uint8Array[]): Uint8Array {
  return gzip(tarOf(...members, END));
}
