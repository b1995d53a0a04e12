import { isNumber, numberText } from '../values/number.ts';
import { isArray, sizeOf, sortedEntries } from '../values/object.ts';
import { RegoSet } from '../values/set.ts';
import type { Value } from '../values/value.ts';

/** Told of work before it is done, one step for some 10 ns; may throw. */
export interface SourceBudget {
  charge(steps: number): void;
}

/** A value as Rego source, the way OPA prints it: `{"a": [1, {2, 3}]}`. */
export function toRegoSource(value: Value, budget?: SourceBudget): string {
  const inner = (each: Value): string => toRegoSource(each, budget);
  if (typeof value === 'string') {
    budget?.charge(value.length >>> 3);
    return quoteGo(value, '"', false);
  }
  if (isNumber(value)) return numberText(value);
  if (value === null || typeof value === 'boolean') return String(value);
  // What is there once may be written many times.
  if (isArray(value)) {
    budget?.charge(value.length + 4);
    return `[${value.map(inner).join(', ')}]`;
  }
  if (value instanceof RegoSet) {
    budget?.charge(value.size + 4);
    return value.size === 0 ? 'set()' : `{${value.sorted().map(inner).join(', ')}}`;
  }
  budget?.charge(2 * sizeOf(value) + 4);
  const members = sortedEntries(value).map(([key, member]) => `${inner(key)}: ${inner(member)}`);
  return `{${members.join(', ')}}`;
}

const SHORT_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\u0007', '\\a'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
  ['\\', '\\\\'],
]);

/** What Go prints as it is; Unicode has given letters to further places since Go's tables were made. */
export const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

const PLAIN = /^[ !#-&(-[\]-~]*$/;

/** Go's `strconv.Quote`, or `QuoteToASCII`. */
export function quoteGo(text: string, mark: '"' | "'", asciiOnly: boolean): string {
  if (PLAIN.test(text)) return mark + text + mark;
  let out = mark as string;
  for (const character of text) {
    const short = SHORT_ESCAPES.get(character);
    const codePoint = character.codePointAt(0) ?? 0;
    if (character === mark) out += `\\${mark}`;
    else if (short !== undefined) out += short;
    else if (codePoint < 0x80 ? codePoint >= 0x20 && codePoint < 0x7f : !asciiOnly && PRINTABLE.test(character)) {
      out += character;
    } else if (codePoint < 0x80) out += `\\x${codePoint.toString(16).padStart(2, '0')}`;
    else if (codePoint < 0x10000) out += `\\u${codePoint.toString(16).padStart(4, '0')}`;
    else out += `\\U${codePoint.toString(16).padStart(8, '0')}`;
  }
  return out + mark;
}
