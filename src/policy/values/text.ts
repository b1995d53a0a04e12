import { numberOf, numberText, RegoNumber } from './number.ts';
import { isObject, objectOf, sortedEntries } from './object.ts';
import { RegoSet } from './set.ts';
import type { NumberValue, Value } from './value.ts';

const DEEPEST = 1_000;

/**
 * Reads OPA's text form: JSON, with `{1, 2}` and `set()` for sets and any value as an object's key. Throws a
 * `SyntaxError` for anything else. It takes some texts that are no JSON (see `json.ts` for a strict reader).
 */
export function parseRegoText(text: string): Value {
  let at = 0;

  function fail(): never {
    throw new SyntaxError('a value of the policy engine cannot be read');
  }

  function skip(): void {
    while (at < text.length && text.charCodeAt(at) <= 0x20) at++;
  }

  function expect(token: string): void {
    if (!text.startsWith(token, at)) fail();
    at += token.length;
  }

  function value(depth: number): Value {
    if (depth > DEEPEST) fail();
    skip();
    switch (text.charAt(at)) {
      case '"':
        return string();
      case '[':
        at++;
        return sequence(']', depth, []);
      case '{':
        at++;
        return objectOrSet(depth);
      case 's':
        expect('set()');
        return new RegoSet();
      case 'n':
        expect('null');
        return null;
      case 't':
        expect('true');
        return true;
      case 'f':
        expect('false');
        return false;
      default:
        return number();
    }
  }

  function string(): string {
    const start = at;
    let escaped = false;
    for (at++; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (unit === 0x22) {
        at++;
        if (!escaped) return text.slice(start + 1, at - 1);
        // JSON.parse of a quoted text is a text.
        return JSON.parse(text.slice(start, at)) as string;
      }
      if (unit < 0x20) escaped = true;
      if (unit === 0x5c) {
        escaped = true;
        at++;
      }
    }
    return fail();
  }

  function number(): NumberValue {
    const start = at;
    while (at < text.length && '+-.0123456789eE'.includes(text.charAt(at))) at++;
    if (at === start) fail();
    return numberOf(text.slice(start, at));
  }

  /** The items up to `end`, behind those that were read already and a comma. */
  function sequence(end: string, depth: number, items: Value[]): Value[] {
    skip();
    if (items.length === 0 && text[at] === end) {
      at++;
      return items;
    }
    for (;;) {
      items.push(value(depth + 1));
      skip();
      if (text[at] === end) {
        at++;
        return items;
      }
      expect(',');
    }
  }

  function objectOrSet(depth: number): Value {
    skip();
    if (text[at] === '}') {
      at++;
      return {};
    }
    const first = value(depth + 1);
    skip();
    if (text[at] !== ':') {
      if (text[at] === ',') {
        at++;
        return RegoSet.of(sequence('}', depth, [first]));
      }
      expect('}');
      return RegoSet.of([first]);
    }
    at++;
    const entries: (readonly [Value, Value])[] = [[first, value(depth + 1)]];
    for (;;) {
      skip();
      if (text[at] === '}') {
        at++;
        return objectOf(entries);
      }
      expect(',');
      const key = value(depth + 1);
      skip();
      expect(':');
      entries.push([key, value(depth + 1)]);
    }
  }

  const result = value(0);
  skip();
  if (at !== text.length) fail();
  return result;
}

/** The same text form, sets and objects in Rego's order. */
export function toRegoText(value: Value): string {
  if (typeof value === 'string') return JSON.stringify(value.toWellFormed());
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof RegoNumber) return numberText(value);
  if (value instanceof RegoSet) return value.size === 0 ? 'set()' : `{${value.sorted().map(toRegoText).join(',')}}`;
  if (isObject(value)) {
    return `{${sortedEntries(value)
      .map(([key, member]) => `${toRegoText(key)}:${toRegoText(member)}`)
      .join(',')}}`;
  }
  return `[${value.map(toRegoText).join(',')}]`;
}
