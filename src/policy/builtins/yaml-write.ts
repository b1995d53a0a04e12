import { textEntries } from '../values/json-text.ts';
import { isNumber } from '../values/number.ts';
import { isArray, isObject } from '../values/object.ts';
import { RegoSet } from '../values/set.ts';
import type { ObjectValue, Value } from '../values/value.ts';
import { numberToYaml, readPlainScalar } from './yaml-scalar.ts';

interface Budget {
  charge(steps: number): void;
}

/** The value as YAML, laid out as go-yaml does it with two spaces. Sets are lists. Charged as it grows. */
export function writeYaml(value: Value, budget: Budget): string {
  return `${node(value, 0, budget).replace(/\n$/, '')}\n`;
}

/**
 * A value of which the further lines are indented so far. A block literal's lines end with a line break of its own.
 */
function node(value: Value, indent: number, budget: Budget): string {
  if (typeof value === 'string') return scalarText(value, indent, budget);
  if (value === null || typeof value === 'boolean') return String(value);
  if (isNumber(value)) return numberToYaml(value);
  const items = isArray(value) ? value : value instanceof RegoSet ? value.sorted() : undefined;
  if (items !== undefined) return sequence(items, indent, budget);
  return isObject(value) ? mapping(value, indent, budget) : '';
}

function sequence(items: readonly Value[], indent: number, budget: Budget): string {
  budget.charge(items.length * (indent + 4));
  if (items.length === 0) return '[]';
  return lines(
    items.map((item) => `- ${node(item, indent + 2, budget)}`),
    indent,
  );
}

function mapping(object: ObjectValue, indent: number, budget: Budget): string {
  const entries = [...textEntries(object)].sort(([left], [right]) => compareKeys(left, right));
  budget.charge(entries.length * (indent + 10));
  if (entries.length === 0) return '{}';
  return lines(
    entries.map(([key, value]) => member(key, value, indent, budget)),
    indent,
  );
}

/** A key of at most so many bytes, and of one line, stands before a colon. */
const LONGEST_KEY = 128;
const LINE_BREAK = /[\n\r\x85\u2028\u2029]/;

function member(key: string, value: Value, indent: number, budget: Budget): string {
  const inner = indent + 2;
  if (!LINE_BREAK.test(key) && Buffer.byteLength(key) <= LONGEST_KEY) {
    const name = scalarText(key, inner, budget);
    const text = node(value, inner, budget);
    return isBlock(value) ? `${name}:\n${' '.repeat(inner)}${text}` : `${name}: ${text}`;
  }
  const name = scalarText(key, inner, budget).replace(/\n$/, '');
  return `? ${name}\n${' '.repeat(indent)}: ${node(value, inner, budget)}`;
}

/** Whether it begins on a line of its own. */
function isBlock(value: Value): boolean {
  if (isArray(value)) return value.length > 0;
  if (value instanceof RegoSet) return value.size > 0;
  return isObject(value) && textEntries(value).length > 0;
}

function lines(items: readonly string[], indent: number): string {
  const before = ' '.repeat(indent);
  return items.map((item, at) => (at === items.length - 1 ? item : item.replace(/\n?$/, '\n'))).join(before);
}

function scalarText(text: string, indent: number, budget: Budget): string {
  budget.charge(text.length >> 2);
  if (text.includes('\n')) {
    if (SPACE_AND_BREAK.test(text) || UNPRINTABLE.test(text)) return doubleQuoted(text);
    return literal(text, Math.max(indent, 2));
  }
  if (readPlainScalar(text) !== text || OLD_BOOLEAN.test(text) || BASE_60.test(text) || DATE.test(text)) {
    return doubleQuoted(text);
  }
  if (UNPRINTABLE.test(text) || text.includes('\t')) return doubleQuoted(text);
  return NOT_PLAIN.test(text) ? `'${text.replaceAll("'", "''")}'` : text;
}

/** A space before a line break, or at the end, cannot be seen in a block. */
const SPACE_AND_BREAK = / (?:\n|$)/;
/** As go-yaml judges it: no character beyond the first 65,536 may stand as it is. */
const UNPRINTABLE = /[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]/;
const OLD_BOOLEAN = /^(?:[yY]|yes|Yes|YES|on|On|ON|[nN]|no|No|NO|off|Off|OFF)$/;
const BASE_60 = /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:[.][0-9_]*)?$/;
const DATE = /^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:$|[Tt ][0-9])/;
const NOT_PLAIN = /^[ #,[\]{}&*!|>'"%@`]|^---|^[.]{3}|^[-?:](?: |$)| $|:(?: |$)| #|[\u2028\u2029]/;

function literal(text: string, indent: number): string {
  const hint = text.startsWith(' ') || text.startsWith('\n') ? '2' : '';
  const chomp = !text.endsWith('\n') ? '-' : text === '\n' || text.endsWith('\n\n') ? '+' : '';
  const before = ' '.repeat(indent);
  return `|${hint}${chomp}\n${text.replace(/^(?=.)/gm, before)}`;
}

const SHORT_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\0', '0'],
  ['\u0007', 'a'],
  ['\b', 'b'],
  ['\t', 't'],
  ['\n', 'n'],
  ['\v', 'v'],
  ['\f', 'f'],
  ['\r', 'r'],
  ['\u001b', 'e'],
  ['"', '"'],
  ['\\', '\\'],
  ['\u0085', 'N'],
  ['\u00a0', '_'],
  ['\u2028', 'L'],
  ['\u2029', 'P'],
]);

const ESCAPED = /["\\\u2028\u2029]|[^\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]/gu;

function doubleQuoted(text: string): string {
  return `"${text.replace(ESCAPED, escapeCharacter)}"`;
}

function escapeCharacter(character: string): string {
  const short = SHORT_ESCAPES.get(character);
  if (short !== undefined) return `\\${short}`;
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16).toUpperCase();
  if (code <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}

const LETTER = /\p{L}/u;
const DIGIT = /\p{Nd}/u;

/** go-yaml's order: letters behind other characters, numbers by value. */
function compareKeys(left: string, right: string): number {
  const a = Array.from(left);
  const b = Array.from(right);
  let at = 0;
  while (at < a.length && at < b.length && a[at] === b[at]) at++;
  const x = a[at];
  const y = b[at];
  if (x === undefined || y === undefined) return a.length - b.length;
  const afterDigit = at > 0 && DIGIT.test(a[at - 1] ?? '');
  const isLetter = LETTER.test(x);
  const isOtherLetter = LETTER.test(y);
  if (isLetter && isOtherLetter) return compareCodePoints(x, y);
  if (isLetter || isOtherLetter) return (afterDigit ? isLetter : isOtherLetter) ? -1 : 1;
  const number = numberAt(a, at, x === '0' || y === '0');
  const other = numberAt(b, at, x === '0' || y === '0');
  return number.value - other.value || number.length - other.length || compareCodePoints(x, y);
}

function compareCodePoints(left: string, right: string): number {
  return (left.codePointAt(0) ?? 0) - (right.codePointAt(0) ?? 0);
}

/** The digits from there on as a number; a digit before them that is no zero counts as one where zeros are to be told. */
function numberAt(text: readonly string[], from: number, zero: boolean): { value: number; length: number } {
  let value = 0;
  if (zero) {
    for (let at = from - 1; at >= 0 && DIGIT.test(text[at] ?? ''); at--) if (text[at] !== '0') value = 1;
  }
  let at = from;
  for (; DIGIT.test(text[at] ?? ''); at++) value = value * 10 + (text[at]?.codePointAt(0) ?? 0x30) - 0x30;
  return { value: Number.isFinite(value) ? value : Number.MAX_VALUE, length: at - from };
}
