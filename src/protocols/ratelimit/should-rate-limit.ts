import { bool, defineMessage, int32, int64, message, messages, text, uint32 } from '../../listener/wire-message.ts';

// The messages of an envoy.service.ratelimit.v3.RateLimitRequest, by JSON name and field number. A field that a later
// Envoy adds is skipped, as protobuf wants it.

/** google.protobuf.UInt64Value */
export const UInt64Value = defineMessage('UInt64Value', { value: int64(1) });

/** envoy.extensions.common.ratelimit.v3.RateLimitDescriptor.Entry */
export const Entry = defineMessage('Entry', { key: text(1), value: text(2) });

/** envoy.extensions.common.ratelimit.v3.RateLimitDescriptor.RateLimitOverride */
export const RateLimitOverride = defineMessage('RateLimitOverride', { requestsPerUnit: uint32(1), unit: int32(2) });

/** envoy.extensions.common.ratelimit.v3.RateLimitDescriptor */
export const RateLimitDescriptor = defineMessage('RateLimitDescriptor', {
  entries: messages(1, () => Entry.table),
  limit: message(2, () => RateLimitOverride.table),
  hitsAddend: message(3, () => UInt64Value.table),
  isNegativeHits: bool(4),
});

/** envoy.service.ratelimit.v3.RateLimitRequest */
export const RateLimitRequest = defineMessage('RateLimitRequest', {
  domain: text(1),
  descriptors: messages(2, () => RateLimitDescriptor.table),
  hitsAddend: uint32(3),
});
