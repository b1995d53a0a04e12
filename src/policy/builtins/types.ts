import { isNumber } from '../values/number.ts';
import { isArray, isObject } from '../values/object.ts';
import { RegoSet } from '../values/set.ts';
import { type Builtin, type Builtins, typeName } from './builtin.ts';

/** OPA's questions for a value's type. */
export const TYPE_BUILTINS: Builtins = new Map<string, Builtin>([
  ['is_null', (_, a) => a === null],
  ['is_boolean', (_, a) => typeof a === 'boolean'],
  ['is_number', (_, a) => isNumber(a)],
  ['is_string', (_, a) => typeof a === 'string'],
  ['is_array', (_, a) => isArray(a)],
  ['is_object', (_, a) => isObject(a)],
  ['is_set', (_, a) => a instanceof RegoSet],
  ['type_name', (_, a) => typeName(a)],
]);
