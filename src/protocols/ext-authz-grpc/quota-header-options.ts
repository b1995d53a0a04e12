import type { LimitState } from '../../decision/charges.ts';
import {
  LIMIT_HEADER,
  LIMIT_HEADERS,
  nearestLimit,
  OPENAI_UNITS,
  POLICY_HEADER,
  REMAINING_HEADERS,
  RESET_HEADERS,
  resetDuration,
  type ToldQuota,
  untilMs,
  untilSeconds,
} from '../../decision/quota-headers.ts';
import { clamped, type PlanTexts } from '../../decision/quota-texts.ts';
import type { WireWriter } from '../../listener/wire-writer.ts';
import { beginHeader, endHeader, toHeaderName, writeHeaders, written } from './header-options.ts';

/**
 * Writes the headers of a quota notice to the byte as `writeHeaders` would, but without making them: most of them is the
 * same for every request under the same terms, and the rest are numbers.
 */
export function writeQuotaHeaders(writer: WireWriter, field: number, told: ToldQuota): void {
  for (let at = OPENAI_UNITS.length - 1; at >= 0; at -= 1) {
    const unit = OPENAI_UNITS[at] ?? 'requests';
    const nearest = nearestLimit(told, unit);
    if (nearest === undefined) continue;
    const names = UNIT_NAMES[unit];
    let end = beginHeader(writer);
    writeDuration(writer, nearest);
    endHeader(writer, field, names.reset, end);
    end = beginHeader(writer);
    writeNumber(writer, nearest.remaining);
    endHeader(writer, field, names.remaining, end);
    end = beginHeader(writer);
    writeNumber(writer, nearest.limit);
    endHeader(writer, field, names.limit, end);
  }
  const bytes = bytesOf(told.texts, field);
  const end = beginHeader(writer);
  writeItems(writer, told, bytes);
  endHeader(writer, field, LIMIT_NAME, end);
  writer.bytes(bytes.policy);
}

const LIMIT_NAME = toHeaderName(LIMIT_HEADER);
const UNIT_NAMES = { requests: namesOf('requests'), tokens: namesOf('tokens') } as const;

function namesOf(unit: (typeof OPENAI_UNITS)[number]) {
  return {
    limit: toHeaderName(LIMIT_HEADERS[unit]),
    remaining: toHeaderName(REMAINING_HEADERS[unit]),
    reset: toHeaderName(RESET_HEADERS[unit]),
  };
}

/** Nearly all rates are whole again within a second. */
function writeDuration(writer: WireWriter, limit: LimitState): void {
  const ms = untilMs(limit);
  if (ms >= 0 && ms < 1000 && Number.isInteger(ms)) {
    writer.part('ms');
    writer.digits(ms);
  } else {
    writer.part(resetDuration(limit));
  }
}

/** The value of `RateLimit`. */
function writeItems(writer: WireWriter, { limits }: ToldQuota, { heads }: PlanBytes): void {
  for (let at = limits.length - 1; at >= 0; at -= 1) {
    const limit = limits[at];
    const head = heads[at];
    if (limit === undefined || head === undefined) continue;
    writeNumber(writer, untilSeconds(limit));
    writer.part(';t=');
    writeNumber(writer, clamped(limit.remaining));
    writer.bytes(head);
  }
}

function writeNumber(writer: WireWriter, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) writer.digits(value);
  else writer.part(String(value));
}

interface PlanBytes {
  /** The whole `RateLimit-Policy`, as a field of the answer. */
  readonly policy: Uint8Array;
  /** What the items of `RateLimit` begin with, each with the comma before it. */
  readonly heads: readonly Uint8Array[];
}

/** Texts of plans are shared; answers have them in one field only. */
const KNOWN = new WeakMap<PlanTexts, PlanBytes>();

function bytesOf(texts: PlanTexts, field: number): PlanBytes {
  const known = KNOWN.get(texts);
  if (known !== undefined) return known;
  const bytes = {
    policy: written((writer) => writeHeaders(writer, field, [[POLICY_HEADER, texts.policy]])),
    heads: texts.told.map((one, at) => Uint8Array.from(Buffer.from(`${at === 0 ? '' : ', '}${one.texts.head}`))),
  };
  KNOWN.set(texts, bytes);
  return bytes;
}
