import {
  hasOpenAiHeaders,
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
import { putDigits, type WireWriter } from '../../listener/wire-writer.ts';
import { beginHeader, endHeader, type HeaderName, toHeaderName, writeHeaders, written } from './header-options.ts';

/**
 * Writes the headers of a quota notice to the byte as `writeHeaders` would, but without making them: nearly all of it is
 * the same under the same terms, so that new numbers are put into what was written last, where they are as long as those
 * before them.
 */
export function writeQuotaHeaders(writer: WireWriter, field: number, told: ToldQuota): void {
  readValues(told);
  // Texts of plans are shared; answers have them in one field only.
  let block = BLOCKS.get(told.texts);
  if (block === undefined || !block.put()) {
    block = new Block(field, told.texts);
    BLOCKS.set(told.texts, block);
  }
  writer.bytes(block.bytes);
}

const BLOCKS = new WeakMap<PlanTexts, Block>();

/** What differs from notice to notice, in the order in which it is written: from the end to the start. All ASCII. */
const values: (number | string)[] = [];
let count = 0;

function readValues(told: ToldQuota): void {
  count = 0;
  for (let at = OPENAI_UNITS.length - 1; at >= 0; at -= 1) {
    const nearest = nearestLimit(told, OPENAI_UNITS[at] ?? 'requests');
    if (nearest === undefined) continue;
    const ms = untilMs(nearest);
    // Nearly all rates are whole again within a second.
    if (ms >= 0 && ms < 1000 && Number.isInteger(ms)) add(ms);
    else add(resetDuration(nearest));
    add(nearest.remaining);
    add(nearest.limit);
  }
  const { limits } = told;
  for (let at = limits.length - 1; at >= 0; at -= 1) {
    const limit = limits[at];
    if (limit === undefined) continue;
    add(untilSeconds(limit));
    add(clamped(limit.remaining));
  }
}

function add(value: number | string): void {
  values[count] = Number.isSafeInteger(value) && Number(value) >= 0 ? value : String(value);
  count += 1;
}

/** The headers under the same terms, with the values of the last notice. */
class Block {
  readonly bytes: Uint8Array;
  /** Of each value, where in `bytes` it ends, its length, and what it was last. */
  readonly #ends: number[] = [];
  readonly #sizes: number[] = [];
  readonly #lasts: (number | string)[] = [];

  constructor(field: number, texts: PlanTexts) {
    this.bytes = written((writer) => this.#write(writer, field, texts));
    for (const [at, end] of this.#ends.entries()) this.#ends[at] = this.bytes.length - end;
  }

  #write(writer: WireWriter, field: number, texts: PlanTexts): void {
    const put = (): void => {
      const value = values[this.#lasts.length] ?? '';
      const end = writer.written();
      if (typeof value === 'number') writer.digits(value);
      else writer.part(value);
      this.#ends.push(end);
      this.#sizes.push(writer.written() - end);
      this.#lasts.push(value);
    };
    const header = (name: HeaderName, write: () => void): void => {
      const end = beginHeader(writer);
      write();
      endHeader(writer, field, name, end);
    };
    for (const unit of OPENAI_UNITS.toReversed()) {
      if (!texts.told.some(({ terms }) => hasOpenAiHeaders(terms, unit))) continue;
      const names = UNIT_NAMES[unit];
      header(names.reset, () => {
        if (typeof values[this.#lasts.length] === 'number') writer.part('ms');
        put();
      });
      header(names.remaining, put);
      header(names.limit, put);
    }
    header(LIMIT_NAME, () => {
      for (let at = texts.told.length - 1; at >= 0; at -= 1) {
        put();
        writer.part(';t=');
        put();
        writer.part(`${at === 0 ? '' : ', '}${texts.told[at]?.texts.head ?? ''}`);
      }
    });
    writeHeaders(writer, field, [[POLICY_HEADER, texts.policy]]);
  }

  /** Puts in the values that were read; answers `false`, and is spoilt, where one has another length. */
  put(): boolean {
    if (count !== this.#lasts.length) return false;
    for (let at = 0; at < count; at += 1) {
      const value = values[at] ?? '';
      const last = this.#lasts[at];
      if (value === last) continue;
      const size = this.#sizes[at] ?? 0;
      const end = this.#ends[at] ?? 0;
      if (typeof value === 'number') {
        if (typeof last !== 'number' || !hasDigits(value, size)) return false;
        putDigits(this.bytes, value, end);
      } else {
        if (typeof last !== 'string' || value.length !== size) return false;
        for (let nth = 0; nth < size; nth += 1) this.bytes[end - size + nth] = value.charCodeAt(nth);
      }
      this.#lasts[at] = value;
    }
    return true;
  }
}

function hasDigits(value: number, size: number): boolean {
  return value < (POWERS[size] ?? 0) && (size === 1 || value >= (POWERS[size - 1] ?? 0));
}

/** Of ten. */
const POWERS: readonly number[] = Array.from({ length: 17 }, (_, exponent) => 10 ** exponent);

const LIMIT_NAME = toHeaderName(LIMIT_HEADER);
const UNIT_NAMES = { requests: namesOf('requests'), tokens: namesOf('tokens') } as const;

function namesOf(unit: (typeof OPENAI_UNITS)[number]) {
  return {
    limit: toHeaderName(LIMIT_HEADERS[unit]),
    remaining: toHeaderName(REMAINING_HEADERS[unit]),
    reset: toHeaderName(RESET_HEADERS[unit]),
  };
}
