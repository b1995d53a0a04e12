/** Universal tags as DER writes them, constructed ones with their bit. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  t61String: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** A context-specific tag; `constructed` where it wraps other elements. */
export function contextTag(number: number, constructed = false): number {
  return 0x80 | number | (constructed ? 0x20 : 0);
}

/** One element of DER. */
export interface DerElement {
  readonly tag: number;
  /** With tag and length. */
  readonly whole: Buffer;
  readonly content: Buffer;
}

/** Reads DER (X.690), element by element: shortest lengths, single-byte tags, nothing beyond its bytes. */
export class DerReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get empty(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** Whether an element with this tag seems to be next. */
  peek(tag: number): boolean {
    return this.#bytes[this.#at] === tag;
  }

  /** The next element, with this tag if one is given; `undefined`, and nothing is read, if there is none. */
  element(tag?: number): DerElement | undefined {
    const bytes = this.#bytes;
    const start = this.#at;
    const found = bytes[start];
    const first = bytes[start + 1];
    if (found === undefined || first === undefined || (found & 0x1f) === 0x1f) return undefined;
    if (tag !== undefined && found !== tag) return undefined;
    let header = 2;
    let length = first;
    if (first >= 0x80) {
      const size = first & 0x7f;
      if (size === 0 || size > 4 || start + 2 + size > bytes.length) return undefined;
      length = bytes.readUIntBE(start + 2, size);
      if (length < 0x80 || bytes[start + 2] === 0) return undefined;
      header += size;
    }
    const end = start + header + length;
    if (end > bytes.length) return undefined;
    this.#at = end;
    return { tag: found, whole: bytes.subarray(start, end), content: bytes.subarray(start + header, end) };
  }

  /** What the next element of this tag holds, to be read. */
  open(tag: number): DerReader | undefined {
    const element = this.element(tag);
    return element && new DerReader(element.content);
  }

  /** What the next element holds. */
  content(tag: number): Buffer | undefined {
    return this.element(tag)?.content;
  }

  integer(): bigint | undefined {
    const content = this.content(TAG.integer);
    return content && toInteger(content);
  }

  boolean(): boolean | undefined {
    const content = this.content(TAG.boolean);
    return content && toBoolean(content);
  }

  /** An object identifier whose numbers fit 31 bits, as Go wants it. */
  oid(): readonly number[] | undefined {
    const content = this.content(TAG.oid);
    return content && toOid(content);
  }

  /** The bytes of a bit string, shifted so that its last bit is the last of a byte. */
  bitString(): Buffer | undefined {
    const content = this.content(TAG.bitString);
    return content && toBits(content)?.aligned;
  }
}

/** What is longer is no number here: no key is, and its decimal digits would cost seconds. */
const MAX_INTEGER_BYTES = 4_096;
const MAX_OID_BYTES = 256;

/** Two's complement, in as few bytes as can be. */
export function toInteger(content: Buffer): bigint | undefined {
  const [first, second] = content;
  if (first === undefined || content.length > MAX_INTEGER_BYTES) return undefined;
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) return undefined;
  return BigInt.asIntN(content.length * 8, toUnsigned(content));
}

export function toUnsigned(bytes: Buffer): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${bytes.toString('hex')}`);
}

export function toBoolean(content: Buffer): boolean | undefined {
  if (content.length !== 1) return undefined;
  return content[0] === 0 ? false : content[0] === 0xff ? true : undefined;
}

const MAX_PART = 2n ** 31n - 1n;

/** The numbers of an object identifier that fit 31 bits. */
export function toOid(content: Buffer): readonly number[] | undefined {
  const parts = toOidParts(content);
  return parts?.every((part) => part <= MAX_PART) ? parts.map(Number) : undefined;
}

/** The numbers of an object identifier, of any size, each in as few bytes as can be. */
export function toOidParts(content: Buffer): readonly bigint[] | undefined {
  if (content.length > MAX_OID_BYTES) return undefined;
  const parts: bigint[] = [];
  let start = 0;
  for (const [at, byte] of content.entries()) {
    if (byte >= 0x80) continue;
    if (content[start] === 0x80) return undefined;
    let part = 0n;
    for (const digit of content.subarray(start, at + 1)) part = (part << 7n) | BigInt(digit & 0x7f);
    if (parts.length === 0) {
      const root = part < 40n ? 0n : part < 80n ? 1n : 2n;
      parts.push(root, part - root * 40n);
    } else {
      parts.push(part);
    }
    start = at + 1;
  }
  return content.length > 0 && start === content.length ? parts : undefined;
}

/** A bit string's bytes as they are, and shifted right by the bits that it does not use. */
export function toBits(
  content: Buffer,
): { readonly bytes: Buffer; readonly aligned: Buffer; readonly length: number } | undefined {
  const unused = content[0];
  if (unused === undefined || unused > 7) return undefined;
  const bytes = content.subarray(1);
  const last = bytes[bytes.length - 1];
  if (last === undefined ? unused !== 0 : (last & ((1 << unused) - 1)) !== 0) return undefined;
  const length = bytes.length * 8 - unused;
  if (unused === 0) return { bytes, aligned: bytes, length };
  const aligned = Buffer.alloc(bytes.length);
  let carried = 0;
  for (const [at, byte] of bytes.entries()) {
    aligned[at] = (carried | (byte >> unused)) & 0xff;
    carried = byte << (8 - unused);
  }
  return { bytes, aligned, length };
}
