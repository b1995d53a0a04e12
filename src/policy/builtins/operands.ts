import { exactInteger } from '../values/arithmetic.ts';
import { isNumber } from '../values/number.ts';
import { isArray } from '../values/object.ts';
import { RegoSet } from '../values/set.ts';
import type { NumberValue, Value } from '../values/value.ts';
import {
  type BuiltinContext,
  BuiltinFailure,
  builtinFailure,
  FAILED,
  numberOperand,
  operandFailure,
  typeFailure,
  typeName,
} from './builtin.ts';

const NO_INTEGER = 'must be integer number but got floating-point number';

/** An integer of any size, however it is written: 1.0 and 1e3 are integers to OPA's builtins that compute. */
export function wholeOperand(context: BuiltinContext, value: Value, position: number): bigint {
  if (!isNumber(value)) throw typeFailure(context, position, 'integer', value);
  const integer = exactInteger(value);
  if (integer === undefined) throw operandFailure(context, position, NO_INTEGER);
  return integer;
}

const INT64 = /^-?[0-9]*[.]?0*$/;
const INT64_END = 2n ** 63n;
const INT64_LENGTH = 19;

/** What fits Go's `int`, 1.0 too but no exponents; beyond 2^53 cut to the nearest double, which no use can tell apart. */
export function int64Operand(context: BuiltinContext, value: Value, position: number): number {
  if (typeof value === 'number' && Number.isInteger(value)) return value;
  const integer = int64Of(numberOperand(context, value, position));
  if (integer === undefined) throw operandFailure(context, position, NO_INTEGER);
  return Number(integer);
}

/** The integer that OPA reads without arithmetic: of at most 19 characters, zeros behind the point counted. */
export function int64Of(value: NumberValue): bigint | undefined {
  const text = String(value);
  const length = text.startsWith('-') ? text.length - 1 : text.length;
  if (length > INT64_LENGTH || !INT64.test(text)) return undefined;
  const point = text.indexOf('.');
  const integer = BigInt(point < 0 ? text : text.slice(0, point));
  return integer < INT64_END && integer >= -INT64_END ? integer : undefined;
}

/** All members of an array, or of a set in Rego's order, as texts. */
export function textsOperand(
  context: BuiltinContext,
  value: Value,
  position: number,
  expected: string,
): readonly string[] {
  const members = membersOperand(context, value, expected, position);
  for (const member of members) {
    if (typeof member !== 'string') throw elementFailure(context, position, 'string', value, member);
  }
  // All were looked at.
  return members as readonly string[];
}

/** A member of the operand's is not of this type. */
export function elementFailure(
  context: BuiltinContext,
  position: number,
  expected: string,
  collection: Value,
  member: Value,
): BuiltinFailure {
  if (!context.strict) return FAILED;
  const type = typeName(collection);
  const message = `must be ${type} of ${expected}s but got ${type} containing ${typeName(member)}`;
  return new BuiltinFailure('eval_type_error', `operand ${position} ${message}`);
}

/** The items of an array, or of a set in Rego's order; else a failure that names the types that are expected. */
export function membersOperand(
  context: BuiltinContext,
  value: Value,
  expected: string,
  position = 1,
): readonly Value[] {
  if (isArray(value)) return value;
  if (value instanceof RegoSet) return value.sorted();
  throw typeFailure(context, position, expected, value);
}

/** A text that a builtin makes has at most so many UTF-16 units. */
export const LONGEST_TEXT = 1 << 24;

/** Fails for a text that is too long to be made. */
export function boundText(context: BuiltinContext, length: number): void {
  if (length > LONGEST_TEXT) throw builtinFailure(context, 'the result is too long');
}

/** Charges the making of a text of this length, and fails for one that is too long. */
export function chargeText(context: BuiltinContext, length: number): void {
  boundText(context, length);
  if (length >= 32) context.charge(length >>> 5);
}
