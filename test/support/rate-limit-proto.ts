import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const root = protobuf.loadSync(fileURLToPath(new URL('./proto/rls.proto', import.meta.url)));
const RequestType = root.lookupType('sallyport.test.rls.RateLimitRequest');
const ResponseType = root.lookupType('sallyport.test.rls.RateLimitResponse');

export interface WrittenDescriptor {
  readonly entries?: readonly { readonly key?: string; readonly value?: string }[];
  readonly limit?: { readonly requestsPerUnit?: number; readonly unit?: number };
  readonly hitsAddend?: { readonly value?: number | string };
  readonly isNegativeHits?: boolean;
}

export interface WrittenRateLimitRequest {
  readonly domain?: string;
  readonly descriptors?: readonly WrittenDescriptor[];
  readonly hitsAddend?: number;
}

/** A RateLimitRequest by protobufjs: the second opinion on what Sallyport reads. */
export function encodeRateLimitRequest(message: WrittenRateLimitRequest): Buffer {
  return Buffer.from(RequestType.encode(RequestType.fromObject(message)).finish());
}

/** `[key, value, key, value, …]` of one descriptor. */
export function descriptorOf(...texts: readonly string[]): WrittenDescriptor {
  const entries: { key: string; value: string }[] = [];
  for (let at = 0; at < texts.length; at += 2) entries.push({ key: texts[at] ?? '', value: texts[at + 1] ?? '' });
  return { entries };
}

export interface ReadDescriptorStatus {
  readonly code?: string;
  readonly currentLimit?: { readonly name?: string; readonly requestsPerUnit?: number; readonly unit?: string };
  readonly limitRemaining?: number;
  readonly durationUntilReset?: { readonly seconds?: number; readonly nanos?: number };
}

/** A RateLimitResponse as an independent decoder reads it; what is not on the wire is absent. */
export interface ReadRateLimitResponse {
  readonly overallCode?: string;
  readonly statuses?: readonly ReadDescriptorStatus[];
  readonly responseHeadersToAdd?: readonly { readonly key: string; readonly value: string }[];
}

export function decodeRateLimitResponse(bytes: Uint8Array): ReadRateLimitResponse {
  // The type mirrors the .proto that it was decoded by.
  return ResponseType.toObject(ResponseType.decode(bytes), { longs: Number, enums: String }) as ReadRateLimitResponse;
}
