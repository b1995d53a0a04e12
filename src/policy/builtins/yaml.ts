import type { Value } from '../values/value.ts';
import { type Builtin, type BuiltinContext, type Builtins, builtinFailure, textOperand } from './builtin.ts';
import { readYaml } from './yaml-read.ts';
import { writeYaml } from './yaml-write.ts';

/**
 * OPA's `yaml` family. Reading is charged by the text, and by the values that aliases stand for; a document has at
 * most 200,000 values, 1,000 deep.
 */
export const YAML_BUILTINS: Builtins = new Map<string, Builtin>([
  ['yaml.is_valid', (context, text) => typeof text === 'string' && isYaml(context, text)],
  ['yaml.unmarshal', (context, text) => unmarshal(context, textOperand(context, text, 1))],
  ['yaml.marshal', (context, value) => writeYaml(value, context)],
]);

function unmarshal(context: BuiltinContext, text: string): Value {
  try {
    return readYaml(text, context);
  } catch (error) {
    if (error instanceof SyntaxError) throw builtinFailure(context, error.message);
    throw error;
  }
}

function isYaml(context: BuiltinContext, text: string): boolean {
  try {
    readYaml(text, context);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}
