import { BlockList, isIP } from 'node:net';
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import type { Instant } from '../decision/ports.ts';

/** A key as it is written down, in a keys file or as the fields of a Redis hash; everything but the secret. */
export interface KeyEntry {
  readonly id: string;
  /** SHA-256 of the secret's 43 characters, lower-case hex. */
  readonly sha256: string;
  readonly tenant: string;
  readonly roles: readonly string[];
  readonly tier: string;
  /** Who the key stands for, as policies see it. */
  readonly subject?: string;
  /** What people call it; no policy sees it. */
  readonly name?: string;
  /** Absent: the key is good for any model. */
  readonly models?: readonly string[];
  /** RFC 3339, in UTC, as are all times here. */
  readonly not_before?: string;
  readonly expires?: string;
  readonly revoked?: boolean;
  /** Addresses and CIDR blocks that it may be used from; absent: from anywhere. */
  readonly addresses?: readonly string[];
}

/** A key as requests are judged by it. */
export interface KeyRecord {
  readonly id: string;
  /** SHA-256 of the secret, 32 bytes. */
  readonly secretDigest: Uint8Array;
  readonly tenant: string;
  readonly roles: readonly string[];
  readonly tier: string;
  readonly subject?: string;
  readonly models?: readonly string[];
  /** −Infinity when it is good since ever. */
  readonly notBeforeMs: number;
  /** Infinity when it never expires. */
  readonly expiresAtMs: number;
  readonly revoked: boolean;
  readonly addresses?: BlockList;
}

/** What a tenant, a tier and a role may be, whatever credential names them. */
const label = { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}$' } as const;
const words = { type: 'string', minLength: 1, maxLength: 256 } as const;
const labels = { type: 'array', maxItems: 128, uniqueItems: true, items: label } as const;
const time = { type: 'string', pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d{1,3})?Z$' } as const;

/** JSON Schema 2020-12 of {@link KeyEntry}. */
export const keyEntrySchema = {
  type: 'object',
  additionalProperties: false,
  required: ['id', 'sha256', 'tenant', 'roles', 'tier'],
  properties: {
    id: { type: 'string', pattern: '^[a-z0-9]{12,20}$' },
    sha256: { type: 'string', pattern: '^[0-9a-f]{64}$' },
    tenant: label,
    roles: labels,
    tier: label,
    subject: words,
    name: words,
    models: { ...labels, minItems: 1 },
    not_before: time,
    expires: time,
    revoked: { type: 'boolean' },
    addresses: {
      type: 'array',
      minItems: 1,
      maxItems: 256,
      uniqueItems: true,
      items: { type: 'string', minLength: 2, maxLength: 49 },
    },
  },
} as const;

/** One thing wrong with an entry; `path` is empty for the entry as a whole. */
export interface EntryFault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

const validate = new Ajv2020({ allErrors: true, strict: true }).compile<KeyEntry>(keyEntrySchema);

/** Reads one entry; every fault of it at once when it is none. */
export function parseKeyEntry(value: unknown): KeyRecord | readonly EntryFault[] {
  if (!validate(value)) return (validate.errors ?? []).map(toEntryFault);
  const faults: EntryFault[] = [];
  const timeOf = (name: 'not_before' | 'expires', otherwise: number): number => {
    const text = value[name];
    const ms = text === undefined ? otherwise : parseTime(text);
    if (ms === undefined) faults.push({ path: [name], message: `\`${text}\` is no time` });
    return ms ?? Number.NaN;
  };
  const notBeforeMs = timeOf('not_before', Number.NEGATIVE_INFINITY);
  const expiresAtMs = timeOf('expires', Number.POSITIVE_INFINITY);
  if (expiresAtMs <= notBeforeMs) faults.push({ path: ['expires'], message: 'is not later than `not_before`' });
  const addresses = value.addresses === undefined ? undefined : toBlockList(value.addresses, faults);
  if (faults.length > 0) return faults;
  return {
    id: value.id,
    secretDigest: Buffer.from(value.sha256, 'hex'),
    tenant: value.tenant,
    roles: Object.freeze([...value.roles]),
    tier: value.tier,
    ...(value.subject === undefined ? {} : { subject: value.subject }),
    ...(value.models === undefined ? {} : { models: Object.freeze([...value.models]) }),
    notBeforeMs,
    expiresAtMs,
    revoked: value.revoked ?? false,
    ...(addresses === undefined ? {} : { addresses }),
  };
}

/**
 * Why a key does not hold for this request at this moment, `undefined` when it does; says nothing of the secret. The
 * address is asked for only when the key is bound to some; without one that can be believed such a key does not hold.
 */
export function recordFault(
  record: KeyRecord,
  at: Instant,
  clientAddress: () => string | undefined,
): string | undefined {
  if (record.revoked) return 'the key is revoked';
  // Written so that a NaN anywhere is a fault.
  if (!(at.epochMs < record.expiresAtMs)) return 'the key is expired';
  if (!(at.epochMs >= record.notBeforeMs)) return 'the key is not valid yet';
  if (record.addresses === undefined) return undefined;
  const address = clientAddress();
  if (address === undefined) return 'the key is bound to addresses and the address of the client is not known';
  return isAllowed(record.addresses, address) ? undefined : 'the key is used from an address that is not allowed';
}

function isAllowed(addresses: BlockList, address: string): boolean {
  const version = isIP(address);
  return version !== 0 && addresses.check(address, version === 6 ? 'ipv6' : 'ipv4');
}

/** A day that its month does not have is no time, although `Date.parse` reads it as one of the next month. */
function parseTime(text: string): number | undefined {
  const ms = Date.parse(text);
  return !Number.isNaN(ms) && new Date(ms).toISOString().slice(0, 19) === text.slice(0, 19) ? ms : undefined;
}

function toBlockList(addresses: readonly string[], faults: EntryFault[]): BlockList {
  const list = new BlockList();
  for (const [index, text] of addresses.entries()) {
    const [address = '', prefix, ...more] = text.split('/');
    const version = isIP(address);
    const bits = version === 6 ? 128 : 32;
    const length = prefix === undefined ? bits : /^(?:0|[1-9]\d{0,2})$/.test(prefix) ? Number(prefix) : Number.NaN;
    if (version === 0 || more.length > 0 || address.includes('%') || !(length <= bits)) {
      faults.push({ path: ['addresses', index], message: `\`${text}\` is no address and no CIDR block` });
    } else list.addSubnet(address, length, version === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}

function toEntryFault({ instancePath, keyword, params, message }: ErrorObject): EntryFault {
  const path = instancePath
    .split('/')
    .slice(1)
    .map((step) => (/^\d+$/.test(step) ? Number(step) : step));
  if (keyword === 'additionalProperties') {
    return { path: [...path, String(params['additionalProperty'])], message: 'is not a key that is known here' };
  }
  if (keyword === 'required') return { path: [...path, String(params['missingProperty'])], message: 'is compulsory' };
  const isTime = keyword === 'pattern' && params['pattern'] === time.pattern;
  if (isTime) return { path, message: 'is no time: write `2027-01-31T00:00:00Z`' };
  return { path, message: message ?? `breaks the rule \`${keyword}\`` };
}
