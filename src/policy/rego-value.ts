/**
 * A Rego value as host builtins see it. Numbers keep their text: OPA computes on decimals, and 1.0 prints as 1.0.
 * Objects keep the engine's order; keys may be anything.
 */
export type RegoValue = null | boolean | string | RegoNumber | RegoSet | RegoObject | readonly RegoValue[];

export class RegoNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export class RegoSet {
  readonly items: readonly RegoValue[];

  constructor(items: readonly RegoValue[]) {
    this.items = items;
  }
}

export class RegoObject {
  readonly entries: readonly (readonly [RegoValue, RegoValue])[];

  constructor(entries: readonly (readonly [RegoValue, RegoValue])[]) {
    this.entries = entries;
  }

  /** The value under a text key. */
  get(key: string): RegoValue | undefined {
    // The last of two equal keys wins, as in Go's JSON decoder.
    return this.entries.findLast(([name]) => name === key)?.[1];
  }
}

/** A number of the host's own making. */
export function regoNumber(value: number | bigint): RegoNumber {
  return new RegoNumber(String(value));
}

export function isRegoArray(value: RegoValue | undefined): value is readonly RegoValue[] {
  return Array.isArray(value);
}

const DEEPEST = 1_000;

/**
 * Reads the engine's text form: JSON, with `{1, 2}` and `set()` for sets and any value as an object's key. Throws a
 * `SyntaxError` for anything else.
 */
export function parseRegoText(text: string): RegoValue {
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

  function value(depth: number): RegoValue {
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
        return new RegoSet([]);
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

  function number(): RegoNumber {
    const start = at;
    while (at < text.length && '+-.0123456789eE'.includes(text.charAt(at))) at++;
    if (at === start) fail();
    return new RegoNumber(text.slice(start, at));
  }

  /** The items up to `end`, behind those that were read already and a comma. */
  function sequence(end: string, depth: number, items: RegoValue[]): RegoValue[] {
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

  function objectOrSet(depth: number): RegoObject | RegoSet {
    skip();
    if (text[at] === '}') {
      at++;
      return new RegoObject([]);
    }
    const first = value(depth + 1);
    skip();
    if (text[at] !== ':') {
      if (text[at] === ',') {
        at++;
        return new RegoSet(sequence('}', depth, [first]));
      }
      expect('}');
      return new RegoSet([first]);
    }
    at++;
    const entries: (readonly [RegoValue, RegoValue])[] = [[first, value(depth + 1)]];
    for (;;) {
      skip();
      if (text[at] === '}') {
        at++;
        return new RegoObject(entries);
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

/** The same text form, for values that go back into the engine. */
export function toRegoText(value: RegoValue): string {
  if (value === null) return 'null';
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (typeof value === 'string') return JSON.stringify(value.toWellFormed());
  if (value instanceof RegoNumber) return value.text;
  if (value instanceof RegoSet) {
    return value.items.length === 0 ? 'set()' : `{${value.items.map(toRegoText).join(',')}}`;
  }
  if (value instanceof RegoObject) {
    return `{${value.entries.map(([key, member]) => `${toRegoText(key)}:${toRegoText(member)}`).join(',')}}`;
  }
  return `[${value.map(toRegoText).join(',')}]`;
}

/** JSON text as a Rego value, every digit kept; `undefined` when it is not exactly one JSON document. */
export function parseJsonText(text: string): RegoValue | undefined {
  try {
    JSON.parse(text);
    return parseRegoText(text);
  } catch {
    return undefined;
  }
}
