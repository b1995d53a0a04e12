import { numberText } from '../values/number.ts';
import type { NumberValue } from '../values/value.ts';
import type { Budget } from './schema-node.ts';

/** Digits of a number that are calculated with; one that has more, written out, fails the evaluation. */
const MOST_DIGITS = 40_000;

/** Whether the number is an integer: `1.0` and `1e3` are. */
export function isWhole(value: NumberValue): boolean {
  if (typeof value === 'number') return Number.isInteger(value);
  const { digits, scale } = decimalOf(value);
  const zeros = digits.length - digits.replace(/0+$/, '').length;
  return zeros === digits.length || scale + zeros >= 0;
}

/** Whether a number is an integer times another one that is not zero, exactly. */
export function isMultiple(value: NumberValue, factor: NumberValue, budget: Budget): boolean {
  if (Number.isSafeInteger(value) && Number.isSafeInteger(factor)) return Number(value) % Number(factor) === 0;
  const left = decimalOf(value);
  const right = decimalOf(factor);
  const scale = Math.min(left.scale, right.scale);
  const size = Math.max(left.digits.length + left.scale, right.digits.length + right.scale) - scale;
  if (size > MOST_DIGITS) throw new RangeError('a number of a JSON schema has too many digits');
  budget.charge(size * (1 + (size >> 6)));
  const dividend = BigInt(left.digits) * 10n ** BigInt(left.scale - scale);
  return dividend % (BigInt(right.digits) * 10n ** BigInt(right.scale - scale)) === 0n;
}

/** Without its sign: digits × 10^scale. */
function decimalOf(value: NumberValue): { readonly digits: string; readonly scale: number } {
  const [mantissa = '', exponent = '0'] = numberText(value).toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  return { digits: whole.replace('-', '') + fraction, scale: Number(exponent) - fraction.length };
}
