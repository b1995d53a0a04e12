import { isNumber, numberText } from '../../src/policy/values/number.ts';
import { entriesOf, isArray, isObject, sortedEntries } from '../../src/policy/values/object.ts';
import { RegoSet } from '../../src/policy/values/set.ts';
import { toRegoText } from '../../src/policy/values/text.ts';
import type { ObjectValue, Value } from '../../src/policy/values/value.ts';

/** `exact`: as values. `json`: as what OPA's JSON makes of them: sets are lists there, and keys texts. */
export type Sameness = 'exact' | 'json';

/**
 * Whether a value is the wanted one. It stands apart from the product's own notions of equality and order, which it has
 * to judge.
 */
export function sameValue(wanted: Value, got: Value, mode: Sameness): boolean {
  if (isNumber(wanted)) return isNumber(got) && decimalText(numberText(wanted)) === decimalText(numberText(got));
  if (isArray(wanted)) {
    if (got instanceof RegoSet) return mode === 'json' && sameMembers(wanted, got.list(), mode);
    return isArray(got) && wanted.length === got.length && wanted.every((one, at) => sameAt(one, got, at, mode));
  }
  if (wanted instanceof RegoSet) return got instanceof RegoSet && sameMembers(wanted.list(), got.list(), mode);
  if (isObject(wanted)) return isObject(got) && sameEntries(wanted, got, mode);
  return wanted === got;
}

/** Whether two lists hold the same values, one for one, in any order. */
export function sameMembers(wanted: readonly Value[], got: readonly Value[], mode: Sameness): boolean {
  if (wanted.length !== got.length) return false;
  const left = [...got];
  return wanted.every((one) => {
    const at = left.findIndex((other) => sameValue(one, other, mode));
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  });
}

function sameAt(one: Value, got: readonly Value[], at: number, mode: Sameness): boolean {
  const other = got[at];
  return other !== undefined && sameValue(one, other, mode);
}

function sameEntries(wanted: ObjectValue, got: ObjectValue, mode: Sameness): boolean {
  if (mode === 'exact') {
    const pairs = (object: ObjectValue): readonly Value[] => entriesOf(object).map(([key, value]) => [key, value]);
    return sameMembers(pairs(wanted), pairs(got), mode);
  }
  const left = new Map(entriesOf(got).map(([key, value]) => [keyText(key), value]));
  const members = entriesOf(wanted);
  return (
    left.size === members.length &&
    members.every(([key, value]) => {
      const other = left.get(keyText(key));
      return other !== undefined && sameValue(value, other, mode);
    })
  );
}

/** What OPA's JSON makes of a key: of one that is no text, its JSON. */
function keyText(key: Value): string {
  return typeof key === 'string' ? key : jsonText(key);
}

function jsonText(value: Value): string {
  if (value instanceof RegoSet) return `[${value.sorted().map(jsonText).join(',')}]`;
  if (isArray(value)) return `[${value.map(jsonText).join(',')}]`;
  if (!isObject(value)) return toRegoText(value);
  const members = sortedEntries(value).map(([key, member]) => `${JSON.stringify(keyText(key))}:${jsonText(member)}`);
  return `{${members.join(',')}}`;
}

/** One text for all spellings of a decimal: its sign, its digits without outer zeros, and its power of ten. */
function decimalText(text: string): string {
  const [, sign = '', integer = '', fraction = '', exponent = '0'] =
    /^(-?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const digits = `${integer}${fraction}`.replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  const power = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - significant.length);
  return `${sign}${significant}e${power}`;
}
