import { wholePart } from '../values/arithmetic.ts';
import { numberText } from '../values/number.ts';
import type { Value } from '../values/value.ts';
import {
  arrayOperand,
  type Builtin,
  type BuiltinContext,
  type Builtins,
  builtinFailure,
  numberOperand,
  operandFailure,
  textOperand,
} from './builtin.ts';
import { advance, codePointCount, codePointsBefore } from './code-points.ts';
import { toLowerGo, toUpperGo } from './go-case.ts';
import { formatGo } from './go-format.ts';
import { chargeText, int64Operand, textsOperand } from './operands.ts';
import { searchFor, splitText } from './text-search.ts';

/**
 * OPA's builtins on texts. Places and lengths count code points, where OPA's `replace` with an empty text counts bytes.
 * A text of more than 16 Mi UTF-16 units is a failure.
 */
export const STRING_BUILTINS: Builtins = new Map<string, Builtin>([
  ['concat', concat],
  ['contains', contains],
  ['startswith', (context, a, b) => textOperand(context, a, 1).startsWith(textOperand(context, b, 2))],
  ['endswith', (context, a, b) => textOperand(context, a, 1).endsWith(textOperand(context, b, 2))],
  ['format_int', formatInt],
  ['indexof', indexOf],
  ['indexof_n', indexesOf],
  ['lower', (context, a) => toLowerGo(textOperand(context, a, 1))],
  ['upper', (context, a) => toUpperGo(textOperand(context, a, 1))],
  ['split', (context, a, b) => split(context, textOperand(context, a, 1), textOperand(context, b, 2))],
  ['strings.split_n', splitN],
  ['sprintf', (context, a, b) => formatGo(context, textOperand(context, a, 1), arrayOperand(context, b, 2))],
  ['substring', substring],
  ['strings.count', countOf],
  ['strings.reverse', reverse],
]);

function contains(context: BuiltinContext, a: Value, b: Value): boolean {
  const text = textOperand(context, a, 1);
  const part = textOperand(context, b, 2);
  return part === '' || searchFor(context, part)(text, 0) >= 0;
}

function reverse(context: BuiltinContext, a: Value): string {
  const text = textOperand(context, a, 1);
  context.charge(text.length);
  return Array.from(text).reverse().join('');
}

function concat(context: BuiltinContext, a: Value, b: Value): string {
  const separator = textOperand(context, a, 1);
  const texts = textsOperand(context, b, 2, 'one of {set, array}');
  let length = separator.length * Math.max(0, texts.length - 1);
  for (const text of texts) length += text.length;
  chargeText(context, length);
  return texts.join(separator);
}

const RADIXES: ReadonlyMap<Value, number> = new Map([2, 8, 10, 16].map((radix) => [radix, radix]));

function formatInt(context: BuiltinContext, a: Value, b: Value): string {
  const number = numberOperand(context, a, 1);
  numberOperand(context, b, 2);
  const radix = RADIXES.get(b);
  if (radix === undefined) throw operandFailure(context, 2, 'must be one of {2, 8, 10, 16}');
  if (typeof number === 'number' && Number.isInteger(number)) return number.toString(radix);
  const integer = wholePart(number);
  if (integer === undefined) throw builtinFailure(context, 'number too big');
  context.charge(numberText(number).length + 200);
  return integer.toString(radix);
}

const EMPTY_SEARCH = 'empty search character';

function indexOf(context: BuiltinContext, a: Value, b: Value): number {
  const text = textOperand(context, a, 1);
  const part = textOperand(context, b, 2);
  if (part === '') throw builtinFailure(context, EMPTY_SEARCH);
  const at = searchFor(context, part)(text, 0);
  return at <= 0 ? at : codePointsBefore(text, at);
}

/** Matches may overlap. */
function indexesOf(context: BuiltinContext, a: Value, b: Value): readonly number[] {
  const text = textOperand(context, a, 1);
  const part = textOperand(context, b, 2);
  if (part === '') throw builtinFailure(context, EMPTY_SEARCH);
  const found: number[] = [];
  let codePoints = 0;
  let counted = 0;
  const search = searchFor(context, part);
  for (let at = search(text, 0); at >= 0; at = search(text, at + 1)) {
    // Overlapping matches look at the same places again.
    context.charge(part.length >>> 3);
    for (; counted < at; counted++) if ((text.charCodeAt(counted) & 0xfc00) !== 0xd800) codePoints++;
    found.push(codePoints);
  }
  return found;
}

function split(context: BuiltinContext, text: string, separator: string): readonly string[] {
  // Every character may become a part.
  context.charge(text.length >>> 1);
  return separator === '' ? Array.from(text) : splitText(context, text, separator);
}

/** The first `count` parts, or the last ones where it is negative. */
function splitN(context: BuiltinContext, a: Value, b: Value, c: Value): readonly string[] {
  const parts = split(context, textOperand(context, a, 1), textOperand(context, b, 2));
  const count = int64Operand(context, c, 3);
  return count >= 0 ? parts.slice(0, count) : parts.slice(Math.max(0, parts.length + count));
}

function substring(context: BuiltinContext, a: Value, b: Value, c: Value): string {
  const text = textOperand(context, a, 1);
  const offset = int64Operand(context, b, 2);
  const length = int64Operand(context, c, 3);
  context.charge(text.length >>> 3);
  if (offset < 0) throw builtinFailure(context, 'negative offset');
  const start = advance(text, 0, offset);
  return length < 0 ? text.slice(start) : text.slice(start, advance(text, start, length));
}

/** Without overlaps; an empty text is found before, between and after all characters. */
function countOf(context: BuiltinContext, a: Value, b: Value): number {
  const text = textOperand(context, a, 1);
  const part = textOperand(context, b, 2);
  if (part === '') return codePointCount(text) + 1;
  let count = 0;
  const search = searchFor(context, part);
  for (let at = search(text, 0); at >= 0; at = search(text, at + part.length)) count++;
  return count;
}
