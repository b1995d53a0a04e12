import { numberOfBigInt } from '../values/number.ts';
import { toRegoText } from '../values/text.ts';
import type { NumberValue, PlainObject, Value } from '../values/value.ts';
import { type Builtin, type BuiltinContext, type Builtins, textOperand } from './builtin.ts';
import { int64Operand } from './operands.ts';

/** OPA's `rand` and `uuid` families. What is random is the same for the same operands throughout a decision. */
export const RANDOM_BUILTINS: Builtins = new Map<string, Builtin>([
  ['rand.intn', randomBelow],
  ['uuid.rfc4122', (context, label) => randomUuid(context.randomFor(`uuid.rfc4122 ${toRegoText(label)}`))],
  ['uuid.parse', (context, text) => parseUuid(textOperand(context, text, 1))],
]);

function randomBelow(context: BuiltinContext, a: Value, b: Value): NumberValue {
  const label = textOperand(context, a, 1);
  const limit = BigInt(Math.abs(int64Operand(context, b, 2)));
  if (limit === 0n) return 0;
  const bytes = Buffer.from(context.randomFor(`rand.intn ${limit} ${label}`));
  // 128 random bits: the bias of the remainder is below 2^-64.
  return numberOfBigInt(((bytes.readBigUInt64BE(0) << 64n) | bytes.readBigUInt64BE(8)) % limit);
}

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

const UUID = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i;
const BARE = /^[0-9a-f]{32}$/i;
const URN = /^urn:uuid:/i;
/** Whatever stands around it, as Go's reader takes it. */
const EMBRACED = /^[\0-\x7f]([\0-\x7f]{36})[\0-\x7f]$/;

/** 100 ns intervals from 1582-10-15 to 1970-01-01. */
const GREGORIAN_OFFSET = 0x01b2_1dd2_1381_4000n;

function parseUuid(text: string): Value | undefined {
  const hex = uuidDigits(text)?.toLowerCase();
  if (hex === undefined) return undefined;
  const bytes = Buffer.from(hex, 'hex');
  const version = bytes.readUInt8(6) >> 4;
  const common: PlainObject = { version, variant: variantOf(bytes.readUInt8(8)) };
  if (version !== 1 && version !== 2) return common;
  const ticks =
    (BigInt(bytes.readUInt16BE(6) & 0x0fff) << 48n) |
    (BigInt(bytes.readUInt16BE(4)) << 32n) |
    BigInt(bytes.readUInt32BE(0));
  const first = bytes.readUInt8(10);
  const uuid: PlainObject = {
    ...common,
    time: numberOfBigInt(BigInt.asIntN(64, (ticks - GREGORIAN_OFFSET) * 100n)),
    nodeid: [...bytes.subarray(10)].map((byte) => byte.toString(16).padStart(2, '0')).join('-'),
    macvariables: `${first & 2 ? 'local' : 'global'}:${first & 1 ? 'multicast' : 'unicast'}`,
    clocksequence: bytes.readUInt16BE(8) & 0x3fff,
  };
  if (version === 1) return uuid;
  const domain = bytes.readUInt8(9);
  return { ...uuid, id: bytes.readUInt32BE(0), domain: ['Person', 'Group', 'Org'][domain] ?? `Domain${domain}` };
}

function uuidDigits(text: string): string | undefined {
  if (BARE.test(text)) return text;
  const plain = text.length === 45 ? text.replace(URN, '') : (EMBRACED.exec(text)?.[1] ?? text);
  return UUID.exec(plain)?.slice(1).join('');
}

function variantOf(byte: number): string {
  if ((byte & 0xc0) === 0x80) return 'RFC4122';
  if ((byte & 0xe0) === 0xc0) return 'Microsoft';
  if ((byte & 0xe0) === 0xe0) return 'Future';
  return 'Reserved';
}
