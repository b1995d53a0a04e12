import { WireWriter } from '../../listener/wire-writer.ts';
import type { CurrentLimit, RateLimitAnswer, RateLimitStatus, RateLimitUnit } from './rate-limit.ts';

export type RateLimitHeaders = 'none' | 'draft03';

/**
 * Writes an `envoy.service.ratelimit.v3.RateLimitResponse`.
 *
 * INVARIANT: there is always an overall code, and it is OK or OVER_LIMIT: to Envoy an answer of no bytes is UNKNOWN,
 * and passes. One status over its limit is enough for OVER_LIMIT, whatever the answer says of the whole.
 */
export function toRateLimitResponse(
  { overLimit, statuses }: Extract<RateLimitAnswer, { kind: 'decided' }>,
  headers: RateLimitHeaders,
): Buffer {
  const writer = new WireWriter(RESPONSE_BYTES + statuses.length * STATUS_BYTES);
  let over = overLimit;
  for (const status of statuses) over ||= status.overLimit;
  if (headers === 'draft03') writeHeaders(writer, statuses);
  for (let index = statuses.length - 1; index >= 0; index--) {
    const status = statuses[index];
    if (status !== undefined) writeStatus(writer, status);
  }
  writer.uint32(RESPONSE.overallCode, over ? CODE.overLimit : CODE.ok);
  return writer.finish();
}

const RESPONSE = { overallCode: 1, statuses: 2, responseHeadersToAdd: 3 } as const;
const STATUS = { code: 1, currentLimit: 2, limitRemaining: 3, durationUntilReset: 4 } as const;
const LIMIT = { requestsPerUnit: 1, unit: 2, name: 3 } as const;
const DURATION = { seconds: 1, nanos: 2 } as const;
const HEADER = { key: 1, value: 2 } as const;
const CODE = { ok: 1, overLimit: 2 } as const;

/** What an answer without headers mostly takes, with the room that a writer wants before it. */
const RESPONSE_BYTES = 32;
const STATUS_BYTES = 48;

/** The answers that say nothing of any limit. */
export const OVER_LIMIT: Buffer = bare(CODE.overLimit);
export const OK: Buffer = bare(CODE.ok);

function bare(code: number): Buffer {
  const writer = new WireWriter(RESPONSE_BYTES);
  writer.uint32(RESPONSE.overallCode, code);
  return Buffer.from(writer.finish());
}

function writeStatus(writer: WireWriter, { overLimit, limit, remaining, resetMs }: RateLimitStatus): void {
  const end = writer.written();
  if (limit !== undefined) writeDuration(writer, resetMs);
  if (remaining > 0) writer.uint32(STATUS.limitRemaining, toUint32(remaining));
  if (limit !== undefined) writeLimit(writer, limit);
  writer.uint32(STATUS.code, overLimit ? CODE.overLimit : CODE.ok);
  writer.close(RESPONSE.statuses, end);
}

function writeLimit(writer: WireWriter, { name, requestsPerUnit, unit }: CurrentLimit): void {
  const end = writer.written();
  if (name !== '') writer.text(LIMIT.name, name);
  if (unit !== undefined) writer.uint32(LIMIT.unit, UNITS[unit]);
  writer.uint32(LIMIT.requestsPerUnit, toUint32(requestsPerUnit));
  writer.close(STATUS.currentLimit, end);
}

function writeDuration(writer: WireWriter, ms: number): void {
  const end = writer.written();
  const seconds = Math.floor(Math.min(ms, MAX_DURATION_MS) / 1000);
  const nanos = Math.min(ms, MAX_DURATION_MS) % 1000;
  if (nanos > 0) writer.uint32(DURATION.nanos, nanos * 1_000_000);
  if (seconds > 0) writer.uint32(DURATION.seconds, seconds);
  writer.close(STATUS.durationUntilReset, end);
}

/** The names of draft-ietf-httpapi-ratelimit-headers-03, behind the prefix that Envoy uses itself. */
function writeHeaders(writer: WireWriter, statuses: readonly RateLimitStatus[]): void {
  const tightest = tightestOf(statuses);
  if (tightest?.limit === undefined) return;
  writeHeader(writer, 'x-ratelimit-reset', Math.ceil(tightest.resetMs / 1000));
  writeHeader(writer, 'x-ratelimit-remaining', tightest.remaining);
  writeHeader(writer, 'x-ratelimit-limit', tightest.limit.requestsPerUnit);
}

function writeHeader(writer: WireWriter, name: string, value: number): void {
  const end = writer.written();
  writer.text(HEADER.value, String(value));
  writer.text(HEADER.key, name);
  writer.close(RESPONSE.responseHeadersToAdd, end);
}

/** The one that refuses, else the one of which the least is left. */
function tightestOf(statuses: readonly RateLimitStatus[]): RateLimitStatus | undefined {
  let tightest: RateLimitStatus | undefined;
  for (const status of statuses) {
    if (status.limit === undefined) continue;
    if (tightest === undefined || rankOf(status) < rankOf(tightest)) tightest = status;
  }
  return tightest;
}

function rankOf({ overLimit, remaining }: RateLimitStatus): number {
  return overLimit ? -1 : remaining;
}

function toUint32(value: number): number {
  return Math.min(value, 0xffff_ffff);
}

/** A century; no limit is as long. */
const MAX_DURATION_MS = 100 * 366 * 86_400_000;

/** RateLimitResponse.RateLimit.Unit */
const UNITS: Readonly<Record<RateLimitUnit, number>> = {
  second: 1,
  minute: 2,
  hour: 3,
  day: 4,
  month: 5,
  year: 6,
  week: 7,
};
