import { isArray, isObject } from '../values/object.ts';
import { compare, equal } from '../values/order.ts';
import { RegoSet } from '../values/set.ts';
import type { Value } from '../values/value.ts';
import { get } from './generated-values.ts';

/** A builtin without its context. */
export type Direct = (a: Value, b: Value, c: Value, d: Value) => Value | undefined;

/**
 * The form in which generated code calls a builtin that takes any operands and never fails, or whose usual operands need
 * nothing of the rest of it, which is called with the others; `undefined` for all other builtins.
 */
export function directForm(name: string, rest: Direct | undefined): Direct | undefined {
  return TOTAL.get(name) ?? (rest === undefined ? undefined : USUAL.get(name)?.(rest));
}

const TOTAL: ReadonlyMap<string, Direct> = new Map<string, Direct>([
  ['equal', equal],
  ['neq', (a, b) => !equal(a, b)],
  ['lt', (a, b) => (typeof a === 'number' && typeof b === 'number' ? a < b : compare(a, b) < 0)],
  ['lte', (a, b) => (typeof a === 'number' && typeof b === 'number' ? a <= b : compare(a, b) <= 0)],
  ['gt', (a, b) => (typeof a === 'number' && typeof b === 'number' ? a > b : compare(a, b) > 0)],
  ['gte', (a, b) => (typeof a === 'number' && typeof b === 'number' ? a >= b : compare(a, b) >= 0)],
]);

/** What is larger is charged to the evaluation, which is not known here. */
const FEW_ITEMS = 32;
const SHORT = 256;

const USUAL: ReadonlyMap<string, (rest: Direct) => Direct> = new Map<string, (rest: Direct) => Direct>([
  [
    'internal.member_2',
    (rest) => (a, b, c, d) => {
      if (b instanceof RegoSet) return b.has(a);
      return isArray(b) && b.length <= FEW_ITEMS ? hasEqual(b, a) : rest(a, b, c, d);
    },
  ],
  ['count', (rest) => (a, b, c, d) => (isArray(a) ? a.length : a instanceof RegoSet ? a.size : rest(a, b, c, d))],
  [
    'plus',
    (rest) => (a, b, c, d) => {
      if (Number.isSafeInteger(a) && Number.isSafeInteger(b)) {
        const sum = Number(a) + Number(b);
        if (Number.isSafeInteger(sum)) return sum;
      }
      return rest(a, b, c, d);
    },
  ],
  [
    'minus',
    (rest) => (a, b, c, d) => {
      if (Number.isSafeInteger(a) && Number.isSafeInteger(b)) {
        const difference = Number(a) - Number(b);
        if (Number.isSafeInteger(difference)) return difference;
      }
      return rest(a, b, c, d);
    },
  ],
  [
    'object.get',
    (rest) => (a, b, c, d) => {
      if (typeof b !== 'string' || !isObject(a)) return rest(a, b, c, d);
      const member = get(a, b);
      return member === undefined ? c : member;
    },
  ],
  [
    'startswith',
    (rest) => (a, b, c, d) =>
      typeof a === 'string' && typeof b === 'string' && b.length <= SHORT ? a.startsWith(b) : rest(a, b, c, d),
  ],
  [
    'endswith',
    (rest) => (a, b, c, d) =>
      typeof a === 'string' && typeof b === 'string' && b.length <= SHORT ? a.endsWith(b) : rest(a, b, c, d),
  ],
]);

function hasEqual(values: readonly Value[], value: Value): boolean {
  for (const other of values) if (other === value || equal(other, value)) return true;
  return false;
}
