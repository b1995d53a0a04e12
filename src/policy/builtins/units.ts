import { MOST_BITS } from '../values/arithmetic.ts';
import { fromDecimal, magnitudeOf, multiplied, PRECISION, rounded, truncated } from '../values/big-float.ts';
import { numberOf, numberOfBigInt } from '../values/number.ts';
import type { NumberValue, Value } from '../values/value.ts';
import { type Builtin, type BuiltinContext, type Builtins, builtinFailure, textOperand } from './builtin.ts';
import { toLowerGo } from './go-case.ts';

/**
 * OPA's `units` family: amounts such as `10Ki`, `1.5GB`, `100m`. OPA takes exponents of six digits; an amount of more
 * than 4,000 places is a failure here.
 */
export const UNITS_BUILTINS: Builtins = new Map<string, Builtin>([
  ['units.parse', parseUnits],
  ['units.parse_bytes', parseBytes],
]);

const SPACES = 'spaces not allowed in resource strings';
const BIG_EXPONENT = 'exponent too large';

const PREFIXES = ['k', 'm', 'g', 't', 'p', 'e'];
const DECIMAL = new Map(PREFIXES.map((prefix, index) => [prefix, 1_000n ** BigInt(index + 1)]));
const BINARY = new Map(PREFIXES.map((prefix, index) => [`${prefix}i`, 1_024n ** BigInt(index + 1)]));
/** 0.001 is meant as the double of that name, as OPA has it: over 2^60. */
const MILLI = 1_152_921_504_606_847n;
const MILLI_BITS = 60n;

/** `m` is milli and `M` is mega; in what follows the first letter, and for the others, case does not matter. */
function parseUnits(context: BuiltinContext, a: Value): NumberValue {
  const fail = (why: string): Error => builtinFailure(context, `units.parse: ${why}`);
  const text = textOperand(context, a, 1).replaceAll('"', '');
  if (text.includes(' ')) throw fail(SPACES);
  const { amount, rest } = split(text);
  if (hasBigExponent(amount)) throw fail(BIG_EXPONENT);
  if (amount === '') throw fail('no amount provided');
  const unit = rest.slice(0, 1) + toLowerGo(rest.slice(1));
  // A letter beyond ASCII is no prefix, even the Kelvin sign, whose small form is `k`.
  const lower = unit.charCodeAt(0) < 0x80 ? unit.toLowerCase() : unit;
  const factor = unit === '' ? 1n : unit === 'm' ? MILLI : (DECIMAL.get(lower) ?? BINARY.get(lower));
  if (factor === undefined) throw fail(`unit ${unit} not recognized`);
  const decimal = parseAmount(amount);
  if (decimal === undefined) throw fail('could not parse amount to a number');
  if (isLong(decimal)) throw fail(BIG_EXPONENT);
  const { negative, digits, exponent } = decimal;
  const numerator = digits * factor * 10n ** BigInt(Math.max(0, exponent)) * (negative ? -1n : 1n);
  const denominator = (10n ** BigInt(Math.max(0, -exponent))) << (unit === 'm' ? MILLI_BITS : 0n);
  return numerator % denominator === 0n
    ? numberOfBigInt(numerator / denominator)
    : numberOf(toTenDecimals(numerator, denominator));
}

function parseBytes(context: BuiltinContext, a: Value): NumberValue {
  const fail = (why: string): Error => builtinFailure(context, `units.parse_bytes: ${why}`);
  const text = toLowerGo(textOperand(context, a, 1)).replaceAll('"', '');
  if (text.includes(' ')) throw fail(SPACES);
  const { amount, rest: unit } = split(text);
  if (hasBigExponent(amount)) throw fail(BIG_EXPONENT);
  if (amount === '') throw fail('no byte amount provided');
  const name = unit.endsWith('b') && unit.length > 1 ? unit.slice(0, -1) : unit;
  const factor = unit === '' ? 1n : (DECIMAL.get(name) ?? BINARY.get(name));
  if (factor === undefined) throw fail(`byte unit ${unit} not recognized`);
  const decimal = parseAmount(amount);
  if (decimal === undefined) throw fail('could not parse byte amount to a number');
  if (isLong(decimal)) throw fail(BIG_EXPONENT);
  const { negative, digits, exponent } = decimal;
  const bytes = multiplied(fromDecimal(negative, digits, exponent), rounded(false, factor, 0, PRECISION), PRECISION);
  if (magnitudeOf(bytes) > MOST_BITS) throw fail(BIG_EXPONENT);
  return numberOfBigInt(truncated(bytes));
}

/** The amount reaches to the first letter that is not the exponent's. */
const AMOUNT = /^(?:[0-9.+-]|[eE](?=[0-9+-])[+-]?)*/;
const EXPONENT = /[eE][+-]?[0-9]{7}/;

function split(text: string): { readonly amount: string; readonly rest: string } {
  const amount = AMOUNT.exec(text)?.[0] ?? '';
  return { amount, rest: text.slice(amount.length) };
}

function hasBigExponent(amount: string): boolean {
  return EXPONENT.test(amount);
}

interface Decimal {
  readonly negative: boolean;
  readonly digits: bigint;
  readonly exponent: number;
}

const NUMBER = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,6}))?$/;
const MOST_PLACES = 4_000;

function parseAmount(text: string): Decimal | undefined {
  const match = NUMBER.exec(text);
  const [, sign, integer = '', fraction = '', exponent = '0'] = match ?? [];
  if (match === null || integer + fraction === '') return undefined;
  // So that a long amount is not read for nothing.
  const digits = integer.length + fraction.length > MOST_PLACES ? 0n : BigInt(`${integer}${fraction}`);
  const places = integer.length + fraction.length > MOST_PLACES ? MOST_PLACES + 1 : Number(exponent) - fraction.length;
  return { negative: sign === '-', digits, exponent: places };
}

function isLong({ exponent }: Decimal): boolean {
  return Math.abs(exponent) > MOST_PLACES;
}

/** Ten decimals, halves away from zero. */
function toTenDecimals(numerator: bigint, denominator: bigint): string {
  const negative = numerator < 0n;
  const scaled = ((negative ? -numerator : numerator) * 10n ** 10n * 2n + denominator) / (denominator * 2n);
  const digits = scaled.toString().padStart(11, '0');
  return `${negative ? '-' : ''}${digits.slice(0, -10)}.${digits.slice(-10)}`;
}
