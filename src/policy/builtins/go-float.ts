/**
 * Text of a finite double that is not negative, as Go's `strconv.FormatFloat` has it: exact decimals, rounded half to
 * even, exponents of at least two digits.
 */
export function formatDecimal(value: number, places: number): string {
  if (places > EXACT_PLACES) return formatDecimal(value, EXACT_PLACES) + '0'.repeat(places - EXACT_PLACES);
  const digits = roundedQuotient(value, places)
    .toString()
    .padStart(places + 1, '0');
  return places === 0 ? digits : `${digits.slice(0, -places)}.${digits.slice(-places)}`;
}

/** No double has a digit other than 0 beyond as many places. */
const EXACT_PLACES = 1_100;

/** `%e` with so many digits behind the point. */
export function formatExponent(value: number, places: number): string {
  if (places > EXACT_PLACES) {
    const [digits, exponent] = formatExponent(value, EXACT_PLACES).split('e');
    return `${digits}${'0'.repeat(places - EXACT_PLACES)}e${exponent}`;
  }
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

/** `%b`: the mantissa as an integer, and the exponent of two. */
export function formatBinary(value: number): string {
  const { mantissa, exponent } = partsOf(value);
  return `${mantissa}p${exponent < 0 ? '-' : '+'}${Math.abs(exponent)}`;
}

const HEX_PLACES = 13;

/** `%x`: hexadecimal digits, as few as needed or as many as `precision` says, and the exponent of two. */
export function formatHex(value: number, precision: number | undefined): string {
  const parts = partsOf(value);
  let exponent = value === 0 ? 0 : parts.exponent + 52;
  let mantissa = parts.mantissa;
  while (mantissa !== 0n && mantissa >> 52n === 0n) {
    mantissa <<= 1n;
    exponent--;
  }
  if (precision !== undefined && precision < HEX_PLACES) {
    const unit = 1n << BigInt(4 * (HEX_PLACES - precision));
    const rest = mantissa % unit;
    const even = ((mantissa / unit) & 1n) === 0n;
    mantissa -= rest;
    if (rest * 2n > unit || (rest * 2n === unit && !even)) mantissa += unit;
    if (mantissa >> 53n === 1n) {
      mantissa >>= 1n;
      exponent++;
    }
  }
  const all = (mantissa & ((1n << 52n) - 1n)).toString(16).padStart(HEX_PLACES, '0');
  const digits = precision === undefined ? all.replace(/0+$/, '') : all.padEnd(precision, '0').slice(0, precision);
  return `0x${mantissa >> 52n}${digits === '' ? '' : `.${digits}`}p${exponentText(exponent)}`;
}

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

/** The number is mantissa × 2^exponent. */
function partsOf(value: number): { readonly mantissa: bigint; readonly exponent: number } {
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const biased = Number((bits >> 52n) & 0x7ffn);
  const mantissa = (bits & 0xf_ffff_ffff_ffffn) | (biased === 0 ? 0n : 1n << 52n);
  return { mantissa, exponent: Math.max(biased, 1) - 1075 };
}

/** `value × 10^places`, exactly, rounded half to even. */
function roundedQuotient(value: number, places: number): bigint {
  const { mantissa, exponent } = partsOf(value);
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
