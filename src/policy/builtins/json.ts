import { isJson, parseJson } from '../values/json.ts';
import { type JsonTextOptions, toJsonText } from '../values/json-text.ts';
import { sortedEntries } from '../values/object.ts';
import { toRegoText } from '../values/text.ts';
import type { Value } from '../values/value.ts';
import {
  type Builtin,
  type BuiltinContext,
  type Builtins,
  builtinFailure,
  objectOperand,
  operandFailure,
  textOperand,
  typeName,
} from './builtin.ts';
import { patchJson } from './json-patch.ts';
import { matchSchema, verifySchema } from './json-schema.ts';
import { filterPaths, removePaths } from './json-select.ts';

/** OPA's `json` family. Texts may be nested 1,000 deep, not 10,000. What is written is charged as it grows. */
export const JSON_BUILTINS: Builtins = new Map<string, Builtin>([
  ['json.marshal', (context, value) => toJsonText(value, { budget: context })],
  ['json.marshal_with_options', marshalWithOptions],
  ['json.unmarshal', unmarshal],
  ['json.is_valid', (_context, text) => typeof text === 'string' && isJson(text)],
  ['json.filter', filterPaths],
  ['json.remove', removePaths],
  ['json.patch', patchJson],
  ['json.match_schema', matchSchema],
  ['json.verify_schema', verifySchema],
]);

function unmarshal(context: BuiltinContext, operand: Value): Value {
  const text = textOperand(context, operand, 1);
  context.charge(text.length >> 2);
  const value = parseJson(text);
  if (value === undefined) throw builtinFailure(context, 'the text is not one JSON document within the limits');
  return value;
}

/** `pretty` says whether there are lines; without it `prefix` or `indent` does. */
function marshalWithOptions(context: BuiltinContext, value: Value, options: Value): string {
  let layout: { prefix: string; indent: string } = { prefix: '', indent: '\t' };
  let pretty: boolean | undefined;
  let implied = false;
  for (const [at, [key, option]] of sortedEntries(objectOperand(context, options, 2)).entries()) {
    const wrong = (value: Value) => `operand ${at} must be string but got ${typeName(value)}`;
    if (typeof key !== 'string') {
      throw operandFailure(context, 2, `failed to stringify key ${toRegoText(key)} at index ${at}: ${wrong(key)}`);
    }
    if (key === 'prefix' || key === 'indent') {
      if (typeof option !== 'string') {
        throw operandFailure(context, 2, `key "${key}" failed cast to string: ${wrong(option)}`);
      }
      layout = { ...layout, [key]: option };
      implied = true;
    } else if (key === 'pretty') {
      if (typeof option !== 'boolean') throw operandFailure(context, 2, `key "${key}" failed cast to bool`);
      pretty = option;
    } else {
      throw operandFailure(context, 2, `object contained unknown key ${toRegoText(key)}`);
    }
  }
  const budgeted: JsonTextOptions = { budget: context };
  if (!(pretty ?? implied)) return toJsonText(value, budgeted);
  return layout.prefix + toJsonText(value, { ...budgeted, ...layout });
}
