import { WireFault } from '../../listener/wire-fault.ts';
import { fieldOf, textOf, type WireMessage } from '../../listener/wire-message.ts';
import { readMessage } from '../../listener/wire-reader.ts';
import type {
  DescriptorEntry,
  DescriptorOverride,
  RateLimitDescriptor,
  RateLimitRequest,
  RateLimitUnit,
} from './rate-limit.ts';
import * as wire from './should-rate-limit.ts';

/**
 * Reads the bytes of an `envoy.service.ratelimit.v3.RateLimitRequest`. Throws a {@link WireFault} for bytes that are
 * none, for what the proto demands and is missing, and for more than anybody needs.
 */
export function toRateLimitRequest(bytes: Uint8Array): RateLimitRequest {
  const message = readMessage(bytes, wire.RateLimitRequest.table);
  const fields = wire.RateLimitRequest.fields;
  const domain = bounded(textOf(message, fields.domain), MAX_KEY, 'RateLimitRequest.domain');
  const sent = fieldOf(message, fields.descriptors) ?? [];
  if (sent.length === 0) throw new WireFault('`RateLimitRequest.descriptors` is empty');
  if (sent.length > MAX_DESCRIPTORS) throw new WireFault(`more than ${MAX_DESCRIPTORS} descriptors`);
  // Clients that know nothing of the field send 0, and mean one hit.
  const hits = Math.max(1, fieldOf(message, fields.hitsAddend) ?? 1);
  const descriptors = sent.map((descriptor) => toDescriptor(descriptor, hits));
  const privileged = descriptors.some(({ negative, override }) => negative || override !== undefined);
  return { domain, descriptors, privileged };
}

const MAX_DESCRIPTORS = 64;
const MAX_ENTRIES = 32;
const MAX_KEY = 256;
const MAX_VALUE = 8192;

function toDescriptor(message: WireMessage, requestHits: number): RateLimitDescriptor {
  const { entries, limit, hitsAddend, isNegativeHits } = wire.RateLimitDescriptor.fields;
  const sent = fieldOf(message, entries) ?? [];
  if (sent.length === 0) throw new WireFault('`RateLimitDescriptor.entries` is empty');
  if (sent.length > MAX_ENTRIES) throw new WireFault(`more than ${MAX_ENTRIES} entries in a descriptor`);
  const ownHits = fieldOf(message, hitsAddend);
  const override = fieldOf(message, limit);
  return {
    entries: sent.map(toEntry),
    hits: ownHits === undefined ? requestHits : toHits(fieldOf(ownHits, wire.UInt64Value.fields.value) ?? 0),
    negative: fieldOf(message, isNegativeHits) ?? false,
    ...(override === undefined ? {} : { override: toOverride(override) }),
  };
}

function toEntry(message: WireMessage): DescriptorEntry {
  const { key, value } = wire.Entry.fields;
  const text = textOf(message, value);
  if (text.length > MAX_VALUE) throw new WireFault(`\`Entry.value\` is longer than ${MAX_VALUE}`);
  return { key: bounded(textOf(message, key), MAX_KEY, 'Entry.key'), value: text };
}

/** The proto wants keys and domains of one character or more. */
function bounded(text: string, most: number, what: string): string {
  if (text === '') throw new WireFault(`\`${what}\` is empty`);
  if (text.length > most) throw new WireFault(`\`${what}\` is longer than ${most}`);
  return text;
}

/** An unsigned number beyond 2^63 is read as a negative one. */
function toHits(value: number | bigint): number {
  if (typeof value === 'bigint' || value < 0) throw new WireFault('`RateLimitDescriptor.hits_addend` is beyond 2^53');
  return value;
}

function toOverride(message: WireMessage): DescriptorOverride {
  const { requestsPerUnit, unit } = wire.RateLimitOverride.fields;
  const name = UNITS[fieldOf(message, unit) ?? 0];
  if (name === undefined) throw new WireFault('`RateLimitOverride.unit` is unknown');
  return { requestsPerUnit: fieldOf(message, requestsPerUnit) ?? 0, unit: name };
}

/** By number (envoy.type.v3.RateLimitUnit); 0 is unknown. */
const UNITS: readonly (RateLimitUnit | undefined)[] = [undefined, 'second', 'minute', 'hour', 'day', 'month', 'year'];
