/** Nesting that no token and no key set needs. */
const MAX_DEPTH = 32;

/**
 * Parses JSON text that every reader reads alike: duplicate keys, keys spelt with escapes, lone surrogates, numbers
 * beyond a double's range and deep nesting are errors. Integers beyond 2^53 come back as `bigint`; all values
 * are frozen. Linear in the text. Throws `SyntaxError`.
 */
export function parseStrictJson(text: string): unknown {
  // Before any parse: V8 of Node 24 takes an escaped key of one text for that of a later one (nodejs/node#63785), so a
  // forged token could change how a good one is read.
  if (text.includes('\\') && hasEscapedKey(text)) throw new SyntaxError('a key is spelt with an escape');
  const value: unknown = JSON.parse(text);
  // INVARIANT: the scanner below sees only text that JSON.parse accepted.
  const { longNumbers } = scan(text);
  const exact: unknown = longNumbers ? parseExact(text, reviveExact) : value;
  freeze(exact);
  return exact;
}

/** Whether a text in front of a colon holds a backslash; the text need not be JSON. */
function hasEscapedKey(text: string): boolean {
  for (let at = text.indexOf('"'); at !== -1; at = text.indexOf('"', at)) {
    let escaped = false;
    let end = at + 1;
    while (end < text.length && text.charCodeAt(end) !== QUOTE) {
      if (text.charCodeAt(end) === BACKSLASH) {
        escaped = true;
        end += 1;
      }
      end += 1;
    }
    at = end + 1;
    while (escaped && isSpace(text.charCodeAt(at))) at += 1;
    if (escaped && text.charCodeAt(at) === COLON) return true;
  }
  return false;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d;
}

interface Scan {
  /** Whether a number has more digits than a double keeps, or an exponent. */
  readonly longNumbers: boolean;
}

const QUOTE = 0x22;
const COLON = 0x3a;
const COMMA = 0x2c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

function scan(text: string): Scan {
  // One entry per open bracket: the keys so far of an object, `undefined` for a list.
  const open: (Set<string> | undefined)[] = [];
  let keyNext = false;
  let longNumbers = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = endOfString(text, at);
      const content = stringContent(text, at, end);
      if (keyNext) addKey(open.at(-1), content);
      keyNext = false;
      at = end;
    } else if (code === OPEN_OBJECT || code === OPEN_LIST) {
      keyNext = code === OPEN_OBJECT;
      open.push(keyNext ? new Set() : undefined);
      if (open.length > MAX_DEPTH) throw new SyntaxError(`nested deeper than ${MAX_DEPTH}`);
    } else if (code === CLOSE_OBJECT || code === CLOSE_LIST) {
      open.pop();
      keyNext = false;
    } else if (code === COMMA) {
      keyNext = open.at(-1) !== undefined;
    } else if (code === MINUS || (code >= ZERO && code <= NINE)) {
      const end = endOfNumber(text, at);
      if (end - at > 15 || !Number.isFinite(Number(text.slice(at, end)))) longNumbers = true;
      at = end - 1;
    }
  }
  return { longNumbers };
}

function addKey(keys: Set<string> | undefined, key: string): void {
  if (keys === undefined) return;
  if (keys.has(key)) throw new SyntaxError('an object has the same key twice');
  keys.add(key);
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; at += 1) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) at += 1;
    else if (code === QUOTE) return at;
  }
}

function stringContent(text: string, start: number, end: number): string {
  const raw = text.slice(start + 1, end);
  // JSON.parse of a string literal gives a string.
  const content = raw.includes('\\') ? (JSON.parse(text.slice(start, end + 1)) as string) : raw;
  if (!content.isWellFormed()) throw new SyntaxError('a string has a lone surrogate');
  return content;
}

/** `-` digits `.` `e` `E` `+`: what may follow the first character of a number. */
function endOfNumber(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && '0123456789.eE+-'.includes(text.charAt(at))) at += 1;
  return at;
}

type ReviveWithSource = (key: string, value: unknown, context: { readonly source?: string }) => unknown;

// The third parameter of a reviver (ECMA-262, JSON.parse source text access) is in V8 but not in every TypeScript lib.
const parseExact = JSON.parse as (text: string, revive: ReviveWithSource) => unknown;

function reviveExact(_key: string, value: unknown, context: { readonly source?: string }): unknown {
  if (typeof value !== 'number') return value;
  if (!Number.isFinite(value)) throw new SyntaxError('a number is out of range');
  const { source } = context;
  if (Number.isSafeInteger(value) || source === undefined || !INTEGER.test(source)) return value;
  return BigInt(source);
}

const INTEGER = /^-?\d+$/;

function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  Object.freeze(value);
  for (const member of Object.values(value)) freeze(member);
}
