import type { Value } from '../values/value.ts';
import type { Builtin, BuiltinContext, Builtins } from './builtin.ts';
import { textsOperand } from './operands.ts';

/** Whether one of many texts begins, or ends, with one of many others; charged by the pairs of them. */
export const AFFIX_BUILTINS: Builtins = new Map<string, Builtin>([
  ['strings.any_prefix_match', (context, a, b) => anyMatch(context, a, b, (text, affix) => text.startsWith(affix))],
  ['strings.any_suffix_match', (context, a, b) => anyMatch(context, a, b, (text, affix) => text.endsWith(affix))],
]);

function anyMatch(
  context: BuiltinContext,
  a: Value,
  b: Value,
  matches: (text: string, affix: string) => boolean,
): boolean {
  const texts = oneOrMany(context, a, 1);
  const affixes = oneOrMany(context, b, 2);
  context.charge(texts.length * affixes.length);
  for (const text of texts) for (const affix of affixes) if (matches(text, affix)) return true;
  return false;
}

function oneOrMany(context: BuiltinContext, value: Value, position: number): readonly string[] {
  if (typeof value === 'string') return [value];
  return textsOperand(context, value, position, EXPECTED);
}

const EXPECTED = 'one of {string, set, array}';
