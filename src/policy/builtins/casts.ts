import { isNumber, numberOf } from '../values/number.ts';
import { isObject } from '../values/object.ts';
import { RegoSet } from '../values/set.ts';
import type { NumberValue, Value } from '../values/value.ts';
import { type Builtin, type BuiltinContext, type Builtins, builtinFailure, typeFailure } from './builtin.ts';
import { membersOperand } from './operands.ts';
import { quoteGo } from './rego-source.ts';

/**
 * OPA's casts. `to_number` takes decimals as Go writes them, and makes JSON's of those that are none (`+1`, `.5`, `05`),
 * which OPA leaves as they are; Go's hexadecimal numbers and underscores fail.
 */
export const CAST_BUILTINS: Builtins = new Map<string, Builtin>([
  ['to_number', toNumber],
  ['cast_array', (context, a) => membersOperand(context, a, ARRAY_OR_SET)],
  ['cast_set', (context, a) => (a instanceof RegoSet ? a : RegoSet.of(membersOperand(context, a, ARRAY_OR_SET)))],
  ['cast_string', typed('string', (value) => typeof value === 'string')],
  ['cast_boolean', typed('boolean', (value) => typeof value === 'boolean')],
  ['cast_null', typed('null', (value) => value === null)],
  ['cast_object', typed('object', isObject)],
]);

const ARRAY_OR_SET = 'one of {array, set}';

function typed(type: string, has: (value: Value) => boolean): Builtin {
  return (context, a) => {
    if (!has(a)) throw typeFailure(context, 1, type, a);
    return a;
  };
}

const NO_NUMBER = /^[+-]*(?:inf|infinity|nan)$/i;
const DECIMAL = /^([+-]?)([0-9]*)(?:[.]([0-9]*))?(?:[eE]([+-]?[0-9]+))?$/;
/** OPA's numbers are at most 2^±100,000, which is 10^±30,103. */
const GREATEST_EXPONENT = 30_102;

function toNumber(context: BuiltinContext, value: Value): NumberValue {
  if (value === null || value === false) return 0;
  if (value === true) return 1;
  if (isNumber(value)) return value;
  if (typeof value !== 'string') throw typeFailure(context, 1, 'one of {null, boolean, number, string}', value);
  if (NO_NUMBER.test(value)) throw typeFailure(context, 1, 'valid number string', value);
  const [, sign = '', integer = '', fraction = '', exponent] = DECIMAL.exec(value) ?? [];
  if (integer === '' && fraction === '') throw parseFailure(context, value, 'invalid syntax');
  const digits = `${withoutZeros(integer)}${fraction === '' ? '' : `.${fraction}`}`;
  const text = `${sign === '-' ? '-' : ''}${digits}${exponent === undefined ? '' : `e${exponent}`}`;
  if (!Number.isFinite(Number(text))) throw parseFailure(context, value, 'value out of range');
  if (Math.abs(Number(exponent ?? 0)) - integer.length - fraction.length > GREATEST_EXPONENT) {
    throw builtinFailure(context, 'invalid number: number too big');
  }
  // What was JSON is left as it was written.
  return numberOf(JSON_NUMBER.test(value) ? value : text);
}

const JSON_NUMBER = /^-?(?:0|[1-9][0-9]*)(?:[.][0-9]+)?(?:[eE][+-]?[0-9]+)?$/;

function withoutZeros(integer: string): string {
  let at = 0;
  while (at < integer.length - 1 && integer.charCodeAt(at) === 0x30) at++;
  return integer === '' ? '0' : integer.slice(at);
}

function parseFailure(context: BuiltinContext, text: string, why: string): Error {
  return builtinFailure(
    context,
    context.strict ? `strconv.ParseFloat: parsing ${quoteGo(text, '"', false)}: ${why}` : why,
  );
}
