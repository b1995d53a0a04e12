import type { Value } from '../values/value.ts';
import { type Builtin, type BuiltinContext, type Builtins, textOperand } from './builtin.ts';

/** OPA's builtins that cut off the ends of a text: code points of a set, a text, or what Go takes for space. */
export const TRIM_BUILTINS: Builtins = new Map<string, Builtin>([
  ['trim', (context, a, b) => trim(context, a, b, true, true)],
  ['trim_left', (context, a, b) => trim(context, a, b, true, false)],
  ['trim_right', (context, a, b) => trim(context, a, b, false, true)],
  ['trim_prefix', trimPrefix],
  ['trim_suffix', trimSuffix],
  ['trim_space', (context, a) => trimSpace(textOperand(context, a, 1))],
]);

function trim(context: BuiltinContext, a: Value, b: Value, left: boolean, right: boolean): string {
  const text = textOperand(context, a, 1);
  const cut = new Set(textOperand(context, b, 2));
  let start = 0;
  let end = text.length;
  while (left && start < end) {
    const character = String.fromCodePoint(text.codePointAt(start) ?? 0);
    if (!cut.has(character)) break;
    start += character.length;
  }
  while (right && end > start) {
    const low = (text.charCodeAt(end - 1) & 0xfc00) === 0xdc00;
    const from = low ? end - 2 : end - 1;
    if (!cut.has(text.slice(from, end))) break;
    end = from;
  }
  return text.slice(start, end);
}

function trimPrefix(context: BuiltinContext, a: Value, b: Value): string {
  const text = textOperand(context, a, 1);
  const prefix = textOperand(context, b, 2);
  return text.startsWith(prefix) ? text.slice(prefix.length) : text;
}

function trimSuffix(context: BuiltinContext, a: Value, b: Value): string {
  const text = textOperand(context, a, 1);
  const suffix = textOperand(context, b, 2);
  return text.endsWith(suffix) ? text.slice(0, text.length - suffix.length) : text;
}

function trimSpace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

/** Unicode's White_Space; JavaScript's own `trim` differs in U+0085 and U+FEFF. */
function isSpace(unit: number): boolean {
  if (unit <= 0x20) return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d);
  if (unit < 0x1680) return unit === 0x85 || unit === 0xa0;
  if (unit <= 0x200a) return unit >= 0x2000 || unit === 0x1680;
  return unit === 0x2028 || unit === 0x2029 || unit === 0x202f || unit === 0x205f || unit === 0x3000;
}
