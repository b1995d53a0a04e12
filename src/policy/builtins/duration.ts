import { quoteBytes } from './quote-bytes.ts';

/**
 * Nanoseconds by Go's `time.ParseDuration` with OPA's further units: days, weeks, and years of 365 days. A text is what
 * is wrong instead: `invalid duration`.
 */
export function parseDurationNs(text: string): bigint | string {
  const signed = text.startsWith('-') || text.startsWith('+');
  const negative = text.startsWith('-');
  const rest = signed ? text.slice(1) : text;
  if (rest === '0') return 0n;
  if (rest === '') return INVALID;
  // OPA reads texts with one of its own units by its own grammar, which says less of what is wrong.
  const extended = /[dwy]/.test(text);
  let total = 0n;
  for (let at = 0; at < rest.length; ) {
    SEGMENT.lastIndex = at;
    const [all = '', integer = '', fraction = '', unit = ''] = SEGMENT.exec(rest) ?? [];
    if (integer === '' && fraction === '') return INVALID;
    if (unit === '') return extended ? INVALID : 'missing unit in duration';
    const ns = segmentNs(integer, fraction, unit);
    if (ns === undefined) return extended ? INVALID : `unknown unit ${quoteBytes(unit)} in duration`;
    total += ns;
    if (total > INT64_END) return INVALID;
    at += all.length;
  }
  if (!negative && total === INT64_END) return INVALID;
  return negative ? -total : total;
}

const INVALID = 'invalid duration';
const INT64_END = 2n ** 63n;
const SEGMENT = /([0-9]*)(?:\.([0-9]*))?([^0-9.]*)/y;

const UNITS: ReadonlyMap<string, bigint> = new Map([
  ['ns', 1n],
  ['us', 1_000n],
  ['µs', 1_000n],
  ['μs', 1_000n],
  ['ms', 1_000_000n],
  ['s', 1_000_000_000n],
  ['m', 60_000_000_000n],
  ['h', 3_600_000_000_000n],
]);

const HOURS: ReadonlyMap<string, number> = new Map([
  ['d', 24],
  ['w', 7 * 24],
  ['y', 365 * 24],
]);

function segmentNs(integer: string, fraction: string, unit: string): bigint | undefined {
  const hours = HOURS.get(unit);
  if (hours !== undefined) {
    // OPA turns the longer units into a decimal number of hours first.
    const value = Number(`${integer || '0'}.${fraction || '0'}`) * hours;
    const [whole = '', rest = ''] = plain(value).split('.');
    return segmentNs(whole, rest, 'h');
  }
  const factor = UNITS.get(unit);
  if (factor === undefined) return undefined;
  const digits = fraction.slice(0, 18);
  const scaled = digits === '' ? 0 : Number(digits) * (Number(factor) / 10 ** digits.length);
  const ns = BigInt(integer || '0') * factor + BigInt(Math.trunc(scaled));
  return ns;
}

function plain(value: number): string {
  return value >= 1e21 ? BigInt(value).toString() : value < 1e-6 ? value.toFixed(20) : String(value);
}
