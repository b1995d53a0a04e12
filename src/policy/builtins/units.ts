import { RegoNumber, regoNumber } from '../rego-value.ts';
import { type Builtin, type Builtins, FAILED, stringAt } from './builtin.ts';

/** OPA's `units` family: amounts such as `10Ki`, `1.5GB`, `100m`. */
export const UNITS_BUILTINS: Builtins = new Map<string, Builtin>([
  ['units.parse', (args) => parseUnits(stringAt(args, 0))],
  ['units.parse_bytes', (args) => parseBytes(stringAt(args, 0))],
]);

interface Fraction {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

const whole = (value: bigint): Fraction => ({ numerator: value, denominator: 1n });

/** 0.001 is meant as the double of that name, as OPA has it. */
const MILLI: Fraction = { numerator: 1_152_921_504_606_847n, denominator: 2n ** 60n };

const PREFIXES = ['k', 'm', 'g', 't', 'p', 'e'];
const DECIMAL = new Map(PREFIXES.map((prefix, index) => [prefix, 1_000n ** BigInt(index + 1)]));
const BINARY = new Map(PREFIXES.map((prefix, index) => [`${prefix}i`, 1_024n ** BigInt(index + 1)]));

function parseUnits(raw: string): RegoNumber {
  const { amount, unit } = split(raw.replaceAll('"', ''));
  const { numerator, denominator } = multiply(parseAmount(amount), unitFactor(unit));
  if (numerator % denominator === 0n) return regoNumber(numerator / denominator);
  return new RegoNumber(toTenDecimals(numerator, denominator));
}

/** `m` is milli and `M` is mega; in what follows the first letter, and for the others, case does not matter. */
function unitFactor(unit: string): Fraction {
  if (unit === '') return whole(1n);
  if (unit === 'm') return MILLI;
  const factor = DECIMAL.get(unit.toLowerCase()) ?? BINARY.get(unit.toLowerCase());
  if (factor === undefined) throw FAILED;
  return whole(factor);
}

function parseBytes(raw: string): RegoNumber {
  const { amount, unit } = split(raw.toLowerCase().replaceAll('"', ''));
  const name = unit.endsWith('b') && unit.length > 1 ? unit.slice(0, -1) : unit;
  const factor = unit === '' ? 1n : (DECIMAL.get(name) ?? BINARY.get(name));
  if (factor === undefined) throw FAILED;
  const { numerator, denominator } = multiply(parseAmount(amount), whole(factor));
  return regoNumber(numerator / denominator);
}

/** The amount reaches to the first letter that is not the exponent's. */
const AMOUNT = /^(?:[0-9.+-]|[eE](?=[0-9+-])[+-]?)*/;

function split(text: string): { readonly amount: string; readonly unit: string } {
  if (text.includes(' ')) throw FAILED;
  const amount = AMOUNT.exec(text)?.[0] ?? '';
  if (amount === '') throw FAILED;
  return { amount, unit: text.slice(amount.length) };
}

const NUMBER = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,6}))?$/;
/** OPA takes six digits; a number of so many places would only serve to burn time and memory. */
const MAX_EXPONENT = 4_000;

function parseAmount(text: string): Fraction {
  const match = NUMBER.exec(text);
  const [, sign, integer = '', fraction = '', exponent = '0'] = match ?? [];
  if (match === null || integer + fraction === '') throw FAILED;
  const shift = Number(exponent) - fraction.length;
  if (Math.abs(shift) > MAX_EXPONENT) throw FAILED;
  const digits = BigInt(`${integer}${fraction}`) * (sign === '-' ? -1n : 1n);
  return shift >= 0
    ? { numerator: digits * 10n ** BigInt(shift), denominator: 1n }
    : { numerator: digits, denominator: 10n ** BigInt(-shift) };
}

function multiply(left: Fraction, right: Fraction): Fraction {
  return { numerator: left.numerator * right.numerator, denominator: left.denominator * right.denominator };
}

/** Ten decimals, halves away from zero. */
function toTenDecimals(numerator: bigint, denominator: bigint): string {
  const negative = numerator < 0n;
  const scaled = ((negative ? -numerator : numerator) * 10n ** 10n * 2n + denominator) / (denominator * 2n);
  const digits = scaled.toString().padStart(11, '0');
  return `${negative ? '-' : ''}${digits.slice(0, -10)}.${digits.slice(-10)}`;
}
