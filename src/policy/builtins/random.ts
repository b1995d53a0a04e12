import { RegoObject, type RegoValue, regoNumber } from '../rego-value.ts';
import { type Builtin, type Builtins, integerAt, stringAt } from './builtin.ts';

/** OPA's `rand` and `uuid` families. What is random is the same for the same operands throughout a decision. */
export const RANDOM_BUILTINS: Builtins = new Map<string, Builtin>([
  [
    'rand.intn',
    (args, { randomFor }) => {
      const label = stringAt(args, 0);
      const limit = BigInt(Math.abs(integerAt(args, 1)));
      if (limit === 0n) return regoNumber(0);
      const bytes = Buffer.from(randomFor(`rand.intn ${limit} ${label}`));
      // 128 random bits: the bias of the remainder is below 2^-64.
      return regoNumber(((bytes.readBigUInt64BE(0) << 64n) | bytes.readBigUInt64BE(8)) % limit);
    },
  ],
  ['uuid.rfc4122', (args, { randomFor }) => randomUuid(randomFor(`uuid.rfc4122 ${stringAt(args, 0)}`))],
  ['uuid.parse', (args) => parseUuid(stringAt(args, 0))],
]);

/** Version 4 (RFC 4122 §4.4). */
function randomUuid(random: Uint8Array): string {
  const bytes = Buffer.from(random.subarray(0, 16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return hyphened(bytes.toString('hex'));
}

function hyphened(hex: string): string {
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

const UUID = /^(?:urn:uuid:|\{)?([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})\}?$/i;
const BARE = /^[0-9a-f]{32}$/i;

/** 100 ns intervals from 1582-10-15 to 1970-01-01. */
const GREGORIAN_OFFSET = 0x01b2_1dd2_1381_4000n;

function parseUuid(text: string): RegoValue | undefined {
  const hex = uuidDigits(text)?.toLowerCase();
  if (hex === undefined) return undefined;
  const bytes = Buffer.from(hex, 'hex');
  const version = bytes.readUInt8(6) >> 4;
  const entries: [string, RegoValue][] = [
    ['version', regoNumber(version)],
    ['variant', variantOf(bytes.readUInt8(8))],
  ];
  if (version !== 1 && version !== 2) return new RegoObject(entries);
  const ticks =
    (BigInt(bytes.readUInt16BE(6) & 0x0fff) << 48n) |
    (BigInt(bytes.readUInt16BE(4)) << 32n) |
    BigInt(bytes.readUInt32BE(0));
  const node = [...bytes.subarray(10)].map((byte) => byte.toString(16).padStart(2, '0')).join('-');
  entries.push(
    ['time', regoNumber(BigInt.asIntN(64, (ticks - GREGORIAN_OFFSET) * 100n))],
    ['nodeid', node],
    [
      'macvariables',
      `${bytes.readUInt8(10) & 2 ? 'local' : 'global'}:${bytes.readUInt8(10) & 1 ? 'multicast' : 'unicast'}`,
    ],
    ['clocksequence', regoNumber(bytes.readUInt16BE(8) & 0x3fff)],
  );
  if (version === 2) {
    const domain = bytes.readUInt8(9);
    entries.push(
      ['id', regoNumber(bytes.readUInt32BE(0))],
      ['domain', ['Person', 'Group', 'Org'][domain] ?? `Domain${domain}`],
    );
  }
  return new RegoObject(entries);
}

function uuidDigits(text: string): string | undefined {
  if (BARE.test(text)) return text;
  const match = UUID.exec(text);
  if (match === null) return undefined;
  const opened = text.startsWith('{');
  if (opened !== text.endsWith('}')) return undefined;
  return match.slice(1).join('');
}

function variantOf(byte: number): string {
  if ((byte & 0xc0) === 0x80) return 'RFC4122';
  if ((byte & 0xe0) === 0xc0) return 'Microsoft';
  if ((byte & 0xe0) === 0xe0) return 'Future';
  return 'Reserved';
}
