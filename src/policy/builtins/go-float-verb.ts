import { formatBinary, formatDecimal, formatExponent, formatHex, formatShortest } from './go-float.ts';
import { pad, type Spec } from './go-spec.ts';

/** A double by a verb of Go's; `undefined` for a verb that does not go with it. */
export function formatGoFloat(value: number, verb: string, spec: Spec): string | undefined {
  const plain = digitsOf(Math.abs(value), verb, spec.precision);
  if (plain === undefined) return undefined;
  const digits = spec.sharp && verb !== 'b' ? withPoint(plain, verb, spec.precision) : plain;
  const negative = value < 0 || Object.is(value, -0);
  const sign = negative ? '-' : spec.plus ? '+' : spec.space ? ' ' : '';
  if (!spec.zero || spec.minus || spec.width === undefined) return pad(sign + digits, spec);
  // Zeros stand behind the sign.
  return sign + digits.padStart(spec.width - sign.length, '0');
}

function digitsOf(value: number, verb: string, precision: number | undefined): string | undefined {
  switch (verb) {
    case 'v':
    case 'g':
      return formatShortest(value, precision);
    case 'G':
      return formatShortest(value, precision).toUpperCase();
    case 'f':
    case 'F':
      return formatDecimal(value, precision ?? 6);
    case 'e':
      return formatExponent(value, precision ?? 6);
    case 'E':
      return formatExponent(value, precision ?? 6).toUpperCase();
    case 'b':
      return formatBinary(value);
    case 'x':
      return formatHex(value, precision);
    case 'X':
      return formatHex(value, precision).toUpperCase();
    default:
      return undefined;
  }
}

const SIGNIFICANT_VERBS = new Set(['v', 'g', 'G', 'x']);
const DIGITS = 6;

/** `#` asks for a point, and for the zeros behind it that are otherwise left out. */
function withPoint(text: string, verb: string, precision: number | undefined): string {
  const hexadecimal = verb === 'x' || verb === 'X';
  const mark = text.search(hexadecimal ? /[pP]/ : /[eE]/);
  const tail = mark < 0 ? '' : text.slice(mark);
  let digits = mark < 0 ? text : text.slice(0, mark);
  let missing = SIGNIFICANT_VERBS.has(verb) ? (precision ?? DIGITS) : 0;
  // Go counts the `x` of `0x` as a digit too.
  const significant = /[^0.].*/.exec(digits)?.[0].replace('.', '').length ?? 0;
  missing -= significant;
  if (!digits.includes('.')) {
    if (digits === '0') missing--;
    digits += '.';
  }
  return digits + '0'.repeat(Math.max(0, missing)) + tail;
}
