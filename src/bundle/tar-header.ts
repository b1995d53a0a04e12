import { BundleError } from './errors.ts';

/** Size of a tar block in bytes (POSIX.1-1988 ustar). */
export const BLOCK_BYTES = 512;

export interface TarHeader {
  /** As written: may lead with `/` or `./`. */
  readonly name: string;
  readonly kind: 'file' | 'folder';
  readonly sizeBytes: number;
}

/** Reads one ustar header block. Links, devices, PAX and GNU extensions, and every field in doubt are refused. */
export function parseTarHeader(block: Uint8Array): TarHeader {
  if (octal(block, CHECKSUM, 'checksum') !== checksumOf(block)) throw invalid('a tar header has a wrong checksum');
  const name = nameOf(block);
  const kind = kindOf(block, name);
  if (!isZero(field(block, LINK_NAME))) throw invalid(`member \`${shown(name)}\` names a link target`);
  for (const number of [MODE, OWNER, GROUP, TIME, DEVICE_MAJOR, DEVICE_MINOR]) {
    if (!isZero(field(block, number))) octal(block, number, 'number');
  }
  const sizeBytes = octal(block, SIZE, 'size');
  if (kind === 'folder' && sizeBytes !== 0) throw invalid(`folder \`${shown(name)}\` has content`);
  return { name, kind, sizeBytes };
}

/** Writes the header of a plain file: mode 0644, owner, group and time zero. */
export function writeTarHeader(name: string, sizeBytes: number): Uint8Array {
  const block = new Uint8Array(BLOCK_BYTES);
  const [prefix, rest] = splitName(name);
  put(block, NAME, rest);
  put(block, PREFIX, prefix);
  put(block, MODE, '0000644\0');
  put(block, OWNER, '0000000\0');
  put(block, GROUP, '0000000\0');
  put(block, SIZE, `${sizeBytes.toString(8).padStart(11, '0')}\0`);
  put(block, TIME, '00000000000\0');
  put(block, TYPE, '0');
  put(block, MAGIC, 'ustar\x0000');
  put(block, CHECKSUM, `${checksumOf(block).toString(8).padStart(6, '0')}\0 `);
  return block;
}

export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

/** A name for an error message: short, and without control characters. */
export function shown(name: string): string {
  return name.slice(0, 120).replaceAll(/\p{Cc}/gu, '\u{fffd}');
}

type Field = readonly [start: number, end: number];

const NAME: Field = [0, 100];
const MODE: Field = [100, 108];
const OWNER: Field = [108, 116];
const GROUP: Field = [116, 124];
const SIZE: Field = [124, 136];
const TIME: Field = [136, 148];
const CHECKSUM: Field = [148, 156];
const TYPE: Field = [156, 157];
const LINK_NAME: Field = [157, 257];
const MAGIC: Field = [257, 265];
const DEVICE_MAJOR: Field = [329, 337];
const DEVICE_MINOR: Field = [337, 345];
const PREFIX: Field = [345, 500];
/** What GNU tar writes its extensions into. */
const AFTER_PREFIX: Field = [500, 512];

const REFUSED_KINDS: ReadonlyMap<string, string> = new Map([
  ['1', 'a hard link'],
  ['2', 'a symbolic link'],
  ['3', 'a character device'],
  ['4', 'a block device'],
  ['6', 'a FIFO'],
  ['7', 'a contiguous file'],
  ['x', 'a PAX header'],
  ['g', 'a global PAX header'],
  ['L', 'a GNU long name'],
  ['K', 'a GNU long link name'],
  ['S', 'a GNU sparse file'],
]);

function kindOf(block: Uint8Array, name: string): TarHeader['kind'] {
  const type = text(field(block, TYPE), 'type');
  if (type === '0' || type === '') return 'file';
  if (type === '5') return 'folder';
  throw invalid(`member \`${shown(name)}\` is ${REFUSED_KINDS.get(type) ?? 'of an unknown kind'}`);
}

function nameOf(block: Uint8Array): string {
  const magic = Buffer.from(field(block, MAGIC)).toString('latin1');
  const prefix = text(field(block, PREFIX), 'name prefix');
  if (!isZero(field(block, AFTER_PREFIX))) throw invalid('a tar header has bytes after its last field');
  const name = text(field(block, NAME), 'name');
  // GNU tar's own magic is taken as long as the place of its extensions is empty.
  if (magic === 'ustar  \0' && prefix === '') return name;
  if (magic !== 'ustar\x0000') throw invalid('a tar header is not of the ustar format');
  return prefix === '' ? name : `${prefix}/${name}`;
}

function field(block: Uint8Array, [start, end]: Field): Uint8Array {
  return block.subarray(start, end);
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Up to the first NUL; whatever hides after it is refused. */
function text(bytes: Uint8Array, what: string): string {
  const end = bytes.indexOf(0);
  if (end !== -1 && !isZero(bytes.subarray(end))) throw invalid(`a tar header has bytes after the NUL of its ${what}`);
  try {
    return UTF8.decode(end === -1 ? bytes : bytes.subarray(0, end));
  } catch (error) {
    throw invalid(`a tar header has a ${what} that is not UTF-8`, error);
  }
}

const OCTAL = /^([0-7]{1,12})[\0 ]*$/;

function octal(block: Uint8Array, at: Field, what: string): number {
  const match = OCTAL.exec(Buffer.from(field(block, at)).toString('latin1'));
  if (match?.[1] === undefined) throw invalid(`a tar header has a ${what} that is not octal`);
  return Number.parseInt(match[1], 8);
}

/** The sum of all bytes, those of the checksum field itself counted as blanks. */
function checksumOf(block: Uint8Array): number {
  const [start, end] = CHECKSUM;
  return block.reduce((sum, byte, index) => sum + (index >= start && index < end ? 0x20 : byte), 0);
}

function put(block: Uint8Array, [start]: Field, value: string): void {
  block.set(Buffer.from(value, 'utf8'), start);
}

/** A name of more than 100 bytes goes into prefix and name, parted at a slash. */
function splitName(name: string): readonly [prefix: string, rest: string] {
  if (Buffer.byteLength(name) <= NAME[1] - NAME[0]) return ['', name];
  for (let at = name.indexOf('/'); at !== -1; at = name.indexOf('/', at + 1)) {
    const prefix = name.slice(0, at);
    const rest = name.slice(at + 1);
    if (Buffer.byteLength(rest) <= 100 && Buffer.byteLength(prefix) <= 155) return [prefix, rest];
  }
  throw invalid(`\`${shown(name)}\` is too long a name for a tar archive`);
}

function invalid(message: string, cause?: unknown): BundleError {
  return new BundleError('bundle_invalid', message, { cause });
}
