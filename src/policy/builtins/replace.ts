import { entriesOf } from '../values/object.ts';
import { compareTexts } from '../values/order.ts';
import type { Value } from '../values/value.ts';
import {
  type Builtin,
  type BuiltinContext,
  type Builtins,
  objectOperand,
  operandFailure,
  textOperand,
} from './builtin.ts';
import { boundText, chargeText } from './operands.ts';
import { searchFor, splitText } from './text-search.ts';

/** OPA's builtins that replace parts of a text: an empty pattern stands between code points (OPA's, between bytes). */
export const REPLACE_BUILTINS: Builtins = new Map<string, Builtin>([
  ['replace', replace],
  ['strings.replace_n', replaceN],
]);

function replace(context: BuiltinContext, a: Value, b: Value, c: Value): string {
  const text = textOperand(context, a, 1);
  const old = textOperand(context, b, 2);
  const replacement = textOperand(context, c, 3);
  if (old === '') return replaceAll(context, text, [[old, replacement]]);
  let count = 0;
  const search = searchFor(context, old);
  for (let at = search(text, 0); at >= 0; at = search(text, at + old.length)) count++;
  if (count === 0) return text;
  chargeText(context, text.length + count * (replacement.length - old.length));
  return splitText(context, text, old).join(replacement);
}

type Pattern = readonly [old: string, replacement: string];

function replaceN(context: BuiltinContext, a: Value, b: Value): string {
  const entries = entriesOf(objectOperand(context, a, 1));
  const text = textOperand(context, b, 2);
  const patterns: Pattern[] = [];
  for (const [key, value] of entries) {
    if (typeof key !== 'string') throw operandFailure(context, 1, 'non-string key found in pattern object');
    if (typeof value !== 'string') throw operandFailure(context, 1, 'non-string value found in pattern object');
    patterns.push([key, value]);
  }
  return replaceAll(
    context,
    text,
    patterns.sort(([left], [right]) => compareTexts(left, right)),
  );
}

/**
 * From left to right; where several patterns match the first one counts. Nothing is replaced twice, and the empty
 * pattern not at two places in a row without a character between them.
 */
function replaceAll(context: BuiltinContext, text: string, patterns: readonly Pattern[]): string {
  const empty = patterns.find(([old]) => old === '')?.[1];
  const byFirstUnit = new Map<number, Pattern[]>();
  for (const pattern of patterns) {
    const unit = pattern[0].charCodeAt(0);
    const group = byFirstUnit.get(unit);
    if (group === undefined) byFirstUnit.set(unit, [pattern]);
    else group.push(pattern);
  }
  context.charge(patterns.length + (text.length >>> 1));
  const parts: string[] = [];
  let length = 0;
  let copied = 0;
  let afterEmpty = false;
  for (let at = 0; at <= text.length; ) {
    const matched: Pattern | undefined =
      !afterEmpty && empty !== undefined ? EMPTY : firstAt(context, text, at, byFirstUnit);
    afterEmpty = matched === EMPTY;
    if (matched === undefined) {
      at += (text.charCodeAt(at) & 0xfc00) === 0xd800 ? 2 : 1;
      continue;
    }
    const replacement = matched === EMPTY ? (empty ?? '') : matched[1];
    parts.push(text.slice(copied, at), replacement);
    length += at - copied + replacement.length;
    boundText(context, length);
    if (replacement.length >= 32) context.charge(replacement.length >>> 5);
    at += matched[0].length;
    copied = at;
  }
  boundText(context, length + text.length - copied);
  parts.push(text.slice(copied));
  return parts.join('');
}

const EMPTY: Pattern = ['', ''];

function firstAt(
  context: BuiltinContext,
  text: string,
  at: number,
  byFirstUnit: ReadonlyMap<number, readonly Pattern[]>,
): Pattern | undefined {
  const group = byFirstUnit.get(text.charCodeAt(at));
  if (group === undefined || at === text.length) return undefined;
  if (group.length > 4) context.charge(group.length >>> 2);
  return group.find(([old]) => {
    if (old.length >= 64) context.charge(old.length >>> 5);
    return text.startsWith(old, at);
  });
}
