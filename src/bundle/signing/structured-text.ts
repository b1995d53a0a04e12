import { isObject } from '../../decision/json.ts';
import { BundleError } from '../errors.ts';

/** Whether OPA signs the meaning of that member and not its bytes: `data.json` anywhere, and `.manifest`. */
export function isStructured(name: string): boolean {
  const last = name.slice(name.lastIndexOf('/') + 1);
  return last === 'data.json' || last === '.manifest';
}

/**
 * The text that OPA hashes for a structured member: keys sorted by their UTF-8, no blanks, each number as it was
 * written. A member in this form has OPA's digest as the digest of its bytes, so that none of them is free.
 */
export function toStructuredText(name: string, bytes: Uint8Array): Uint8Array {
  try {
    const text = UTF8.decode(bytes);
    if (!text.isWellFormed()) throw new SyntaxError('lone surrogates');
    return Buffer.from(print(rawJson.parse(text, (_key, value, { source }) => keepNumber(value, source))));
  } catch (error) {
    throw new BundleError('bundle_invalid', `\`${name}\` is not valid JSON in UTF-8`, { cause: error });
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** V8's raw JSON (https://github.com/tc39/proposal-json-parse-with-source), not yet in TypeScript's library. */
interface RawJsonSupport {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
}

// Node 24 has it; `engines` in package.json demands it.
const rawJson = JSON as unknown as RawJsonSupport;

class NumberText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

function keepNumber(value: unknown, source: string | undefined): unknown {
  return typeof value === 'number' && source !== undefined ? new NumberText(source) : value;
}

function print(value: unknown): string {
  if (value instanceof NumberText) return value.text;
  if (typeof value === 'string') return printText(value);
  if (Array.isArray(value)) return `[${value.map(print).join(',')}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const keys = Object.keys(value).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return `{${keys.map((key) => `${printText(key)}:${print(value[key])}`).join(',')}}`;
}

/** As Go's encoder writes a text without HTML escapes. */
function printText(text: string): string {
  if (!text.isWellFormed()) throw new SyntaxError('lone surrogates');
  return JSON.stringify(text).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
}
