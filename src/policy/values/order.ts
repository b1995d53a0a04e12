import { compareNumbers, isNumber } from './number.ts';
import { entriesOf, isArray, isObject, memberOf, sizeOf, sortedEntries } from './object.ts';
import { RegoSet } from './set.ts';
import type { ObjectValue, Value } from './value.ts';
import { countWork } from './work.ts';

/** Rego's order over all values: null, booleans, numbers, texts (by their UTF-8), arrays, objects, sets. */
export function compare(left: Value, right: Value): number {
  if (typeof left === 'string' && typeof right === 'string') return compareTexts(left, right);
  if (typeof left === 'number' && typeof right === 'number') return left < right ? -1 : left > right ? 1 : 0;
  if (left === right) return 0;
  const rank = rankOf(left);
  const order = rank - rankOf(right);
  if (order !== 0) return order;
  if (rank === 1) return left === false ? -1 : 1;
  if (isNumber(left) && isNumber(right)) return compareNumbers(left, right);
  if (isArray(left) && isArray(right)) return compareLists(left, right);
  if (left instanceof RegoSet && right instanceof RegoSet) return compareLists(left.sorted(), right.sorted());
  return isObject(left) && isObject(right) ? compareObjects(left, right) : 0;
}

/** Whether two values are the same to Rego; cheaper than {@link compare}. */
export function equal(left: Value, right: Value): boolean {
  if (typeof left === 'string' && left.length >= LONG_TEXT) countWork(left.length >>> 7);
  if (left === right) return true;
  if (typeof left !== 'object' || left === null || typeof right !== 'object' || right === null) {
    return isNumber(left) && isNumber(right) && compareNumbers(left, right) === 0;
  }
  if (isArray(left)) {
    if (!isArray(right) || left.length !== right.length) return false;
    countWork(left.length + 1);
    for (let at = 0; at < left.length; at++) {
      const one = left[at];
      const other = right[at];
      if (one === undefined || other === undefined || !equal(one, other)) return false;
    }
    return true;
  }
  if (left instanceof RegoSet) return right instanceof RegoSet && isSameSet(left, right);
  if (isObject(left)) return isObject(right) && isSameObject(left, right);
  return isNumber(right) && compareNumbers(left, right) === 0;
}

/** Texts by their UTF-8: surrogate pairs stand behind all other characters. */
export function compareTexts(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  if (length >= LONG_TEXT) countWork(length >>> 3);
  if (left === right) return 0;
  for (let at = 0; at < length; at++) {
    const a = left.charCodeAt(at);
    const b = right.charCodeAt(at);
    if (a !== b) return isSurrogate(a) === isSurrogate(b) ? a - b : isSurrogate(a) ? 1 : -1;
  }
  return left.length - right.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}

/** Shorter texts are compared in the time of a step. */
const LONG_TEXT = 256;

/** What sorting so many values takes, beside comparing those that have parts. */
export function sortingSteps(count: number): number {
  return count < 2 ? 1 : count * (32 - Math.clz32(count));
}

function rankOf(value: Value): number {
  if (value === null) return 0;
  if (typeof value === 'boolean') return 1;
  if (isNumber(value)) return 2;
  if (typeof value === 'string') return 3;
  if (Array.isArray(value)) return 4;
  return value instanceof RegoSet ? 6 : 5;
}

function compareLists(left: readonly Value[], right: readonly Value[]): number {
  const length = Math.min(left.length, right.length);
  countWork(length + 1);
  for (let at = 0; at < length; at++) {
    const one = left[at];
    const other = right[at];
    if (one === undefined || other === undefined) break;
    const order = compare(one, other);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

function compareObjects(left: ObjectValue, right: ObjectValue): number {
  countWork(sortingSteps(sizeOf(left)) + sortingSteps(sizeOf(right)));
  const a = sortedEntries(left);
  const b = sortedEntries(right);
  for (const [position, [key, value]] of a.entries()) {
    const other = b[position];
    if (other === undefined) return 1;
    const order = compare(key, other[0]) || compare(value, other[1]);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function isSameSet(left: RegoSet, right: RegoSet): boolean {
  if (left.size !== right.size) return false;
  countWork(4 * left.size + 1);
  for (const member of left.list()) if (!right.has(member)) return false;
  return true;
}

function isSameObject(left: ObjectValue, right: ObjectValue): boolean {
  const size = sizeOf(left);
  if (size !== sizeOf(right)) return false;
  countWork(8 * size + 1);
  for (const [key, value] of entriesOf(left)) {
    const other = memberOf(right, key);
    if (other === undefined || !equal(value, other)) return false;
  }
  return true;
}
