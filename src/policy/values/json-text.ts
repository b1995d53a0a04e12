import { numberText, RegoNumber } from './number.ts';
import { isArray, isObject, RegoObject, sortedEntries } from './object.ts';
import { compareTexts } from './order.ts';
import { RegoSet } from './set.ts';
import type { ObjectValue, Value } from './value.ts';

export interface JsonTextOptions {
  /** With either of them each item has a line, which begins with the prefix, but for the first line. */
  readonly prefix?: string;
  readonly indent?: string;
  /** Told of work before it is done, one step for some 10 ns; may throw. */
  readonly budget?: { charge(steps: number): void };
}

/**
 * The value as JSON, as OPA and Go write it: members in the order of their keys' UTF-8, sets as arrays in Rego's order,
 * numbers by their own text, a key that is no text by its JSON, `<`, `>`, `&`, U+2028 and U+2029 escaped.
 */
export function toJsonText(value: Value, { prefix, indent, budget }: JsonTextOptions = {}): string {
  const pretty = prefix !== undefined || indent !== undefined;
  const step = indent ?? '';

  function write(each: Value, line: string): string {
    if (typeof each === 'string') {
      budget?.charge(each.length >> 4);
      return quoteJson(each);
    }
    if (typeof each !== 'object' || each === null) return String(each);
    if (each instanceof RegoNumber) return numberText(each);
    if (isArray(each)) return list('[', each, line, ']');
    if (each instanceof RegoSet) return list('[', each.sorted(), line, ']');
    return isObject(each) ? object(each, line) : '';
  }

  function list(open: string, items: readonly Value[], line: string, close: string): string {
    budget?.charge(items.length + 1);
    if (items.length === 0) return open + close;
    const inner = line + step;
    const separator = pretty ? `,${inner}` : ',';
    let text = pretty ? open + inner : open;
    for (let at = 0; at < items.length; at++) {
      if (at > 0) text += separator;
      text += write(items[at] ?? null, inner);
    }
    return pretty ? text + line + close : text + close;
  }

  function object(members: ObjectValue, line: string): string {
    const entries = textEntries(members);
    budget?.charge(2 * entries.length + 1);
    if (entries.length === 0) return '{}';
    const inner = line + step;
    const separator = pretty ? `,${inner}` : ',';
    const colon = pretty ? ': ' : ':';
    let text = pretty ? `{${inner}` : '{';
    for (const [at, [key, member]] of entries.entries()) {
      if (at > 0) text += separator;
      budget?.charge(key.length >> 4);
      text += quoteJson(key) + colon + write(member, inner);
    }
    return pretty ? `${text}${line}}` : `${text}}`;
  }

  return write(value, `\n${prefix ?? ''}`);
}

/** The members under the texts of their keys; of those that are written alike the last in Rego's order counts. */
export function textEntries(object: ObjectValue): readonly (readonly [string, Value])[] {
  if (!(object instanceof RegoObject)) {
    return Object.entries(object).sort(([left], [right]) => compareTexts(left, right));
  }
  const entries = sortedEntries(object);
  const byText = new Map<string, Value>();
  for (const [key, member] of entries) byText.set(typeof key === 'string' ? key : toJsonText(key), member);
  return [...byText].sort(([left], [right]) => compareTexts(left, right));
}

const HTML = /[<>&\u2028\u2029]/;
const HTML_ALL = /[<>&\u2028\u2029]/g;

function quoteJson(text: string): string {
  const quoted = text.isWellFormed() ? JSON.stringify(text) : quoteHalves(text);
  return HTML.test(quoted) ? quoted.replace(HTML_ALL, escapeUnit) : quoted;
}

/** What is half a pair stands for a byte that is no UTF-8, of which Go writes the escape of U+FFFD. */
function quoteHalves(text: string): string {
  let quoted = '"';
  for (const character of text) {
    quoted += character.isWellFormed() ? JSON.stringify(character).slice(1, -1) : '\\ufffd';
  }
  return `${quoted}"`;
}

function escapeUnit(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
