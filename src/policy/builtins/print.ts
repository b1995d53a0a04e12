import { conflictFault, internalFault } from '../plan/fault.ts';
import { isNumber, numberText } from '../values/number.ts';
import { RegoSet } from '../values/set.ts';
import type { Value } from '../values/value.ts';
import { arrayOperand, type Builtin, type BuiltinContext, type Builtins, textOperand, typeName } from './builtin.ts';
import { chargeText } from './operands.ts';
import { toRegoSource } from './rego-source.ts';

/** `print` and `trace`, which say nothing here, and what a template string is made by. */
export const PRINT_BUILTINS: Builtins = new Map<string, Builtin>([
  ['internal.print', () => true],
  ['trace', (context, a) => textOperand(context, a, 1) !== undefined],
  ['internal.template_string', (context, a) => templateString(context, arrayOperand(context, a, 1))],
]);

const UNDEFINED = '<undefined>';

/** Texts as they are, everything else as Rego; a set stands for the one value it holds, or for none. */
function templateString(context: BuiltinContext, parts: readonly Value[]): string {
  let text = '';
  for (const part of parts) {
    if (typeof part === 'string') text += part;
    else if (part === null || typeof part === 'boolean') text += String(part);
    else if (isNumber(part)) text += numberText(part);
    else if (part instanceof RegoSet) {
      if (part.size > 1) throw conflictFault('template-strings must not produce multiple outputs');
      const value = part.list()[0];
      text += value === undefined ? UNDEFINED : typeof value === 'string' ? value : toRegoSource(value, context);
    } else throw internalFault(`illegal argument type: ${typeName(part)}`);
  }
  chargeText(context, text.length);
  return text;
}
