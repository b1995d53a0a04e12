/** Go's `time.ParseDuration` with OPA's further units: days, weeks, and years of 365 days; `undefined` if malformed. */
export function parseDurationNs(text: string): bigint | undefined {
  const signed = /^[+-]/.test(text);
  const negative = text.startsWith('-');
  const rest = signed ? text.slice(1) : text;
  if (rest === '0') return 0n;
  if (rest === '') return undefined;
  let total = 0n;
  let at = 0;
  SEGMENT.lastIndex = 0;
  while (at < rest.length) {
    SEGMENT.lastIndex = at;
    const match = SEGMENT.exec(rest);
    const [all = '', integer = '', fraction = '', unit = ''] = match ?? [];
    if (match === null || (integer === '' && fraction === '')) return undefined;
    const ns = segmentNs(integer, fraction, unit);
    if (ns === undefined) return undefined;
    total += ns;
    if (total > INT64_END) return undefined;
    at += all.length;
  }
  if (!negative && total === INT64_END) return undefined;
  return negative ? -total : total;
}

const INT64_END = 2n ** 63n;
const SEGMENT = /([0-9]*)(?:\.([0-9]*))?([^0-9.]+)/y;

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
  return ns > INT64_END ? undefined : ns;
}

function plain(value: number): string {
  return value >= 1e21 ? BigInt(value).toString() : value < 1e-6 ? value.toFixed(20) : String(value);
}
