import { isRegoArray, RegoNumber, RegoObject, RegoSet, type RegoValue } from './rego-value.ts';

/** Rego's order over all values: null, booleans, numbers, texts (by their UTF-8), arrays, objects, sets. */
export function compareRego(left: RegoValue, right: RegoValue): number {
  const order = rankOf(left) - rankOf(right);
  if (order !== 0) return order;
  if (typeof left === 'boolean' && typeof right === 'boolean') return Number(left) - Number(right);
  if (typeof left === 'string' && typeof right === 'string')
    return Buffer.compare(Buffer.from(left), Buffer.from(right));
  if (left instanceof RegoNumber && right instanceof RegoNumber) return compareNumbers(left.text, right.text);
  if (left instanceof RegoSet && right instanceof RegoSet) {
    return compareLists([...left.items].sort(compareRego), [...right.items].sort(compareRego));
  }
  if (left instanceof RegoObject && right instanceof RegoObject) return compareObjects(left, right);
  if (isRegoArray(left) && isRegoArray(right)) return compareLists(left, right);
  return 0;
}

function rankOf(value: RegoValue): number {
  if (value === null) return 0;
  if (typeof value === 'boolean') return 1;
  if (value instanceof RegoNumber) return 2;
  if (typeof value === 'string') return 3;
  if (value instanceof RegoObject) return 5;
  if (value instanceof RegoSet) return 6;
  return 4;
}

function compareLists(left: readonly RegoValue[], right: readonly RegoValue[]): number {
  for (const [position, item] of left.entries()) {
    const other = right[position];
    if (other === undefined) return 1;
    const order = compareRego(item, other);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

function compareObjects(left: RegoObject, right: RegoObject): number {
  const byKey = (object: RegoObject) => [...object.entries].sort(([a], [b]) => compareRego(a, b));
  const a = byKey(left);
  const b = byKey(right);
  for (const [position, [key, value]] of a.entries()) {
    const other = b[position];
    if (other === undefined) return 1;
    const order = compareRego(key, other[0]) || compareRego(value, other[1]);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** Decimals of up to so many places are compared exactly; beyond, as doubles. */
const EXACT_PLACES = 400;

function compareNumbers(left: string, right: string): number {
  if (left === right) return 0;
  const a = toDecimal(left);
  const b = toDecimal(right);
  if (a === undefined || b === undefined) return Math.sign(Number(left) - Number(right)) || 0;
  const places = Math.max(a.places, b.places);
  const difference = a.digits * 10n ** BigInt(places - a.places) - b.digits * 10n ** BigInt(places - b.places);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

function toDecimal(text: string): { readonly digits: bigint; readonly places: number } | undefined {
  const [mantissa = '', exponent = '0'] = text.split(/[eE]/);
  const [integer = '', fraction = ''] = mantissa.split('.');
  const places = fraction.length - Number(exponent);
  if (Math.abs(places) > EXACT_PLACES) return undefined;
  const digits = BigInt(`${integer}${fraction}`.replace(/^-?$/, '0'));
  return places >= 0 ? { digits, places } : { digits: digits * 10n ** BigInt(-places), places: 0 };
}
