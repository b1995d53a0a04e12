/**
 * Text of a finite double that is not negative, as Go's `strconv.FormatFloat` has it: exact decimals, rounded half to
 * even, exponents of at least two digits.
 */
export function formatDecimal(value: number, places: number): string {
  const digits = roundedQuotient(value, places)
    .toString()
    .padStart(places + 1, '0');
  return places === 0 ? digits : `${digits.slice(0, -places)}.${digits.slice(-places)}`;
}

/** `%e` with so many digits behind the point. */
export function formatExponent(value: number, places: number): string {
  if (value === 0) return `${withPoint('0'.repeat(places + 1))}e+00`;
  let exponent = Math.floor(Math.log10(value));
  // The logarithm may be off by one, and rounding may carry into a further digit.
  let digits = roundedQuotient(value, places - exponent).toString();
  while (digits.length > places + 1) digits = roundedQuotient(value, places - ++exponent).toString();
  while (digits.length < places + 1) digits = roundedQuotient(value, places - --exponent).toString();
  return `${withPoint(digits)}e${exponentText(exponent)}`;
}

/** `%g`: the fewest digits that read back as the same number, or as many significant ones as `precision` says. */
export function formatShortest(value: number, precision: number | undefined): string {
  if (value === 0) return '0';
  const { digits, exponent } =
    precision === undefined
      ? split(value.toExponential())
      : split(formatExponent(value, Math.max(precision, 1) - 1).replace(/\.?0*e/, 'e'));
  let limit = precision === undefined ? SHORTEST_LIMIT : Math.max(precision, 1);
  if (precision !== undefined && limit > digits.length && digits.length >= exponent + 1) limit = digits.length;
  if (exponent < -4 || exponent >= limit) return `${withPoint(digits)}e${exponentText(exponent)}`;
  if (exponent < 0) return `0.${'0'.repeat(-exponent - 1)}${digits}`;
  const integer = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  const fraction = digits.slice(exponent + 1);
  return fraction === '' ? integer : `${integer}.${fraction}`;
}

/** From this exponent on the shortest form is written with one. */
const SHORTEST_LIMIT = 6;

function split(text: string): { readonly digits: string; readonly exponent: number } {
  const [mantissa = '', exponent = '0'] = text.split('e');
  return { digits: mantissa.replace('.', ''), exponent: Number(exponent) };
}

function withPoint(digits: string): string {
  return digits.length > 1 ? `${digits.charAt(0)}.${digits.slice(1)}` : digits;
}

function exponentText(exponent: number): string {
  return `${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
}

const view = new DataView(new ArrayBuffer(8));

/** `value × 10^places`, exactly, rounded half to even. */
function roundedQuotient(value: number, places: number): bigint {
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const biased = Number((bits >> 52n) & 0x7ffn);
  const mantissa = (bits & 0xf_ffff_ffff_ffffn) | (biased === 0 ? 0n : 1n << 52n);
  const exponent = Math.max(biased, 1) - 1075;
  let numerator = mantissa;
  let denominator = 1n;
  if (exponent >= 0) numerator <<= BigInt(exponent);
  else denominator <<= BigInt(-exponent);
  if (places >= 0) numerator *= 10n ** BigInt(places);
  else denominator *= 10n ** BigInt(-places);
  const quotient = numerator / denominator;
  const twice = (numerator % denominator) * 2n;
  const up = twice > denominator || (twice === denominator && (quotient & 1n) === 1n);
  return up ? quotient + 1n : quotient;
}
