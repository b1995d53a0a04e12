import { compareRego } from '../rego-order.ts';
import { RegoNumber, RegoObject, RegoSet, type RegoValue } from '../rego-value.ts';

/** A value as Rego source, the way OPA prints it: `{"a": [1, {2, 3}]}`. */
export function toRegoSource(value: RegoValue): string {
  if (value === null) return 'null';
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (typeof value === 'string') return quoteGo(value, '"', false);
  if (value instanceof RegoNumber) return value.text;
  if (value instanceof RegoSet) {
    if (value.items.length === 0) return 'set()';
    return `{${[...value.items].sort(compareRego).map(toRegoSource).join(', ')}}`;
  }
  if (value instanceof RegoObject) {
    const entries = [...value.entries].sort(([left], [right]) => compareRego(left, right));
    return `{${entries.map(([key, member]) => `${toRegoSource(key)}: ${toRegoSource(member)}`).join(', ')}}`;
  }
  return `[${value.map(toRegoSource).join(', ')}]`;
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

const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

/** Go's `strconv.Quote`, or `QuoteToASCII`. */
export function quoteGo(text: string, mark: '"' | "'", asciiOnly: boolean): string {
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
