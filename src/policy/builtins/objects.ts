import { compareRego } from '../rego-order.ts';
import { isRegoArray, type RegoNumber, RegoObject, RegoSet, type RegoValue, regoNumber } from '../rego-value.ts';
import { type Builtin, type Builtins, bigintAt, collectionAt, FAILED, stringAt } from './builtin.ts';

/** OPA's builtins on values that Wasm leaves to the host, and the casts of older policies. */
export const OBJECT_BUILTINS: Builtins = new Map<string, Builtin>([
  ['object.subset', ([whole, part]) => isSubset(whole, part)],
  ['numbers.range_step', (args) => range(bigintAt(args, 0), bigintAt(args, 1), bigintAt(args, 2))],
  ['glob.quote_meta', (args) => stringAt(args, 0).replace(/[*?\\[\]{}]/g, '\\$&')],
  ['cast_array', (args) => [...collectionAt(args, 0)]],
  ['cast_set', (args) => new RegoSet(collectionAt(args, 0))],
  ['cast_string', (args) => stringAt(args, 0)],
  ['cast_boolean', ([value]) => (typeof value === 'boolean' ? value : undefined)],
  ['cast_null', ([value]) => (value === null ? null : undefined)],
  ['cast_object', ([value]) => (value instanceof RegoObject ? value : undefined)],
]);

function isSubset(whole: RegoValue | undefined, part: RegoValue | undefined): boolean {
  if (whole instanceof RegoObject && part instanceof RegoObject) return isObjectSubset(whole, part);
  if (whole instanceof RegoSet && part instanceof RegoSet) return isSetSubset(whole, part);
  if (isRegoArray(whole) && isRegoArray(part)) return isArraySubset(whole, part);
  if (isRegoArray(whole) && part instanceof RegoSet) {
    // An empty set is found at the array's first item.
    return whole.length > 0 && part.items.every((item) => whole.some((other) => isEqual(item, other)));
  }
  throw FAILED;
}

function isEqual(left: RegoValue, right: RegoValue): boolean {
  return compareRego(left, right) === 0;
}

function isObjectSubset(whole: RegoObject, part: RegoObject): boolean {
  return part.entries.every(([key, value]) => {
    const other = whole.entries.find(([name]) => isEqual(name, key))?.[1];
    if (other === undefined) return false;
    if (isEqual(other, value)) return true;
    if (other instanceof RegoObject && value instanceof RegoObject) return isObjectSubset(other, value);
    if (other instanceof RegoSet && value instanceof RegoSet) return isSetSubset(other, value);
    return isRegoArray(other) && isRegoArray(value) && isArraySubset(other, value);
  });
}

function isSetSubset(whole: RegoSet, part: RegoSet): boolean {
  return part.items.every((item) => whole.items.some((other) => isEqual(item, other)));
}

/** As OPA searches: after a mismatch it goes on behind the place it had reached, not behind the start. */
function isArraySubset(whole: readonly RegoValue[], part: readonly RegoValue[]): boolean {
  let start = 0;
  let matched = 0;
  while (matched < part.length) {
    const item = whole[start + matched];
    const wanted = part[matched];
    if (item === undefined || wanted === undefined) return false;
    if (isEqual(item, wanted)) matched++;
    else {
      start++;
      matched = 0;
    }
  }
  return true;
}

/** More would be a way to fill the memory. */
const MAX_RANGE = 1_000_000n;

function range(from: bigint, to: bigint, step: bigint): readonly RegoNumber[] {
  if (step <= 0n) throw FAILED;
  const distance = from <= to ? to - from : from - to;
  if (distance / step >= MAX_RANGE) throw new Error(`\`numbers.range_step\` gives more than ${MAX_RANGE} numbers`);
  const numbers: RegoNumber[] = [];
  const signed = from <= to ? step : -step;
  for (let count = distance / step, value = from; count >= 0n; count--, value += signed)
    numbers.push(regoNumber(value));
  return numbers;
}
